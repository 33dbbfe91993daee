"""The page in a real browser: frames are exact, every control works by pointer and by keys, nothing is asked of a
network, and no text runs."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pnpvideo.compare import ComparisonOptions, write_page
from pnpvideo.events import ignore
from tests.compare.pictures import moving, write_folder

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

FRAMES = 6
COPY = """
var copied = canvas => {
    const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d', {willReadFrequently: true});
    copy.drawImage(canvas, 0, 0);
    return copy;
};"""
"""A canvas that is read itself would be moved off the graphics card, and the browser would complain."""
HOSTILE = "<img src=x onerror=document.title='run'>\"'&"


@dataclass
class Opened:
    """A page in a browser, and what went wrong in it since it was opened."""

    page: "Page"
    complaints: list[str] = field(default_factory=list)
    """Messages of the console, and errors."""
    requests: list[str] = field(default_factory=list)

    @property
    def moment(self) -> int:
        """The moment that is on the screen, once it is the one that was asked for."""
        wanted = self.page.input_value("#moment")
        self.page.wait_for_selector(f"#stage[data-moment='{wanted}']")
        return int(wanted)

    def number_in_picture(self, clip: int) -> int:
        """The number of the frame that this clip's canvas shows, read from its colour."""
        assert self.moment >= 0
        red = self.page.evaluate(
            f"""{COPY}
            copied(document.querySelectorAll('.pane canvas')[{clip}]).getImageData(4, 4, 1, 1).data[0]"""
        )
        return round(red / 40)

    def brightest(self, selector: str) -> int:
        """The largest value of any colour in a canvas."""
        return int(
            self.page.evaluate(
                f"""{COPY}
                var {{width, height}} = document.querySelector('{selector}');
                copied(document.querySelector('{selector}')).getImageData(0, 0, width, height).data
                    .filter((value, at) => at % 4 < 3).reduce((one, other) => Math.max(one, other))"""
            )
        )


def numbered(count: int) -> list[np.ndarray]:
    """Frames with a patch in the corner whose red says their number."""
    pictures = moving(count)
    for number, picture in enumerate(pictures):
        picture[:16, :16] = (40 * number, 0, 0)
    return pictures


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a source and two results, with names, a prompt and a report that try to run."""
    folder = tmp_path_factory.mktemp("compare")
    source = write_folder(folder / "source", numbered(FRAMES))
    result = write_folder(folder / HOSTILE.replace("/", ""), numbered(FRAMES))
    marked = numbered(FRAMES)
    for picture in marked:
        picture[40:56, :16] = (0, 0, 255)
    other = write_folder(folder / "other", marked)
    reports = [folder / "1.json", folder / "2.json"]
    for report, prompt in zip(reports, (f"</script>{HOSTILE}", "a photo"), strict=True):
        report.write_text(json.dumps({"prompt": prompt, "resolved": {HOSTILE: HOSTILE}}), "utf-8")
    options = ComparisonOptions(prompt=HOSTILE)
    write_page(source, [result, other], folder / "page.html", options, run_reports=reports, report=ignore)
    return folder / "page.html"


@pytest.fixture(scope="module")
def shared(browser: "Browser", file: Path) -> Iterator[Opened]:
    page = browser.new_page(viewport={"width": 1200, "height": 900}, color_scheme="light")
    opened = Opened(page)
    page.on("console", lambda message: opened.complaints.append(message.text))
    page.on("pageerror", lambda error: opened.complaints.append(str(error)))
    page.on("request", lambda request: opened.requests.append(request.url))
    page.goto(file.as_uri())
    page.wait_for_selector("#stage[data-moment]")
    yield opened
    page.close()


@pytest.fixture
def opened(shared: Opened) -> Opened:
    """The shared page as it is at first: the first frame, the wipe in the middle, no focus."""
    page = shared.page
    page.evaluate("document.activeElement.blur()")
    page.check("input[value=wipe]", force=True)
    page.select_option("#a", "0")
    page.select_option("#b", "1")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("Home")
    assert shared.moment == 0
    return shared


def test_arrow_keys_step_by_exactly_one_frame(opened: Opened) -> None:
    seen = []
    for _ in range(FRAMES):
        seen.append((opened.number_in_picture(0), opened.number_in_picture(1)))
        opened.page.keyboard.press("ArrowRight")
    assert seen == [(number, number) for number in range(FRAMES)]
    opened.page.keyboard.press("ArrowLeft")
    assert opened.number_in_picture(0) == FRAMES - 2
    assert opened.page.inner_text("#where").startswith(f"Frame {FRAMES - 2} / {FRAMES - 1}")
    assert opened.page.inner_text("#live") == f"Frame {FRAMES - 2} of {FRAMES - 1}, 0.{FRAMES - 2}00 s"
    assert f"frame {FRAMES - 2} of" in (opened.page.get_attribute("canvas", "aria-label") or "")


def test_home_end_and_the_time_line_seek(opened: Opened) -> None:
    opened.page.keyboard.press("End")
    assert opened.number_in_picture(1) == FRAMES - 1
    opened.page.fill("#moment", "2")
    assert opened.number_in_picture(0) == 2
    opened.page.focus("#moment")
    opened.page.keyboard.press("ArrowRight")
    assert opened.number_in_picture(0) == 3, "one step, although both the page and the slider know the key"
    assert opened.page.get_attribute("#moment", "aria-valuetext") == f"Frame 3 of {FRAMES - 1}, 0.300 s"


def test_it_plays_loops_and_pauses_on_the_frame_that_it_shows(opened: Opened) -> None:
    page = opened.page
    page.select_option("#speed", "2")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("Space")
    assert page.get_attribute("#play", "aria-label") == "Pause"
    page.evaluate(
        """() => new Promise(looped => {
            const stage = document.getElementById('stage');
            let before = -1;
            new MutationObserver(() => {
                if (Number(stage.dataset.moment) < before) looped();
                before = Number(stage.dataset.moment);
            }).observe(stage, {attributeFilter: ['data-moment']});
        })"""
    )
    page.click("#play")
    assert page.get_attribute("#play", "aria-label") == "Play"
    assert opened.number_in_picture(0) == opened.moment
    page.uncheck("#loop")
    page.click("#play")
    page.wait_for_selector("#play[aria-label=Play]")
    assert opened.moment == FRAMES - 1, "without the loop it ends on the last frame"
    page.check("#loop")
    page.select_option("#speed", "1")


def test_the_wipe_follows_the_pointer_the_slider_and_keys(opened: Opened) -> None:
    page = opened.page
    box = page.locator(".panes").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + 40)
    page.mouse.up()
    assert page.input_value("#wipe") == "25"
    clip = page.evaluate("getComputedStyle(document.querySelector('.pane.b canvas')).clipPath")
    assert clip.startswith("inset(0") and "25%" in clip
    assert page.evaluate("getComputedStyle(document.getElementById('divider')).left").startswith(
        str(int(box["width"] / 4))[:2]
    )
    page.focus("#wipe")
    page.keyboard.press("ArrowRight")
    assert page.input_value("#wipe") == "26" and opened.moment == 0
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("Shift+ArrowLeft")
    assert page.input_value("#wipe") == "21" and opened.moment == 0
    assert page.get_attribute("#wipe", "aria-valuetext") == "21 percent A"


def test_views_show_the_clips_that_were_chosen(opened: Opened) -> None:
    page = opened.page

    def shown() -> list[str]:
        return [text.strip().split("\n")[0] for text in page.locator(".pane:visible b").all_inner_texts()]

    assert shown() == ["source", HOSTILE]
    page.select_option("#b", "2")
    assert shown() == ["source", "other"]
    page.click("#swap")
    assert (page.input_value("#a"), page.input_value("#b")) == ("2", "0")
    assert page.locator(".pane.a b").inner_text() == "other"
    page.click("text=Side by side")
    assert not page.is_visible("#wipe") and page.locator("canvas:visible").count() == 2
    page.click("text=All")
    assert page.locator("canvas:visible").count() == 3
    page.click("text=Difference >> nth=0")
    assert page.locator("canvas:visible").count() == 1
    page.wait_for_selector("#difference[data-moment='0']")
    assert opened.brightest("#difference") > 150
    page.select_option("#a", "0")
    page.select_option("#b", "1")
    page.keyboard.press("ArrowRight")
    page.wait_for_selector("#difference[data-moment='1']")
    assert opened.brightest("#difference") < 24


def test_arrows_step_through_frames_after_a_view_was_chosen_with_the_pointer(opened: Opened) -> None:
    opened.page.click("text=Side by side")
    opened.page.keyboard.press("ArrowRight")
    assert opened.moment == 1 and opened.page.is_checked("input[value=pair]")


def test_a_click_on_a_curve_goes_to_that_frame_and_values_follow(opened: Opened) -> None:
    page = opened.page
    chart = page.locator(".chart").first
    curve = chart.locator("svg")
    curve.scroll_into_view_if_needed()
    box = curve.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] * 3 / (FRAMES - 1), box["y"] + 30)
    assert opened.moment == 3 and opened.number_in_picture(0) == 3
    data = json.loads(page.inner_text("#data") or page.evaluate("document.getElementById('data').textContent"))
    assert chart.locator(".here").all_inner_texts() == [values[3] for values in data["charts"][0]]
    assert float(chart.locator(".cursor").get_attribute("x1") or 0) == 1000 * 3 / (FRAMES - 1)
    chart.locator(".worst").click()
    assert opened.moment == int(chart.locator(".worst").get_attribute("data-moment") or -1)


def test_the_player_fills_the_screen_and_leaves_it_again(opened: Opened) -> None:
    opened.page.click("#full")
    opened.page.wait_for_selector("#player:fullscreen")
    opened.page.keyboard.press("ArrowRight")
    assert opened.number_in_picture(0) == 1
    opened.page.click("#full")
    opened.page.wait_for_selector("#player:not(:fullscreen)")


def test_it_is_dark_or_light_as_the_system_says_and_the_button_overrides_that(opened: Opened) -> None:
    page = opened.page

    def brightness() -> int:
        return int(re.findall(r"\d+", page.evaluate("getComputedStyle(document.documentElement).backgroundColor"))[0])

    assert brightness() > 200 and page.get_attribute("#theme", "aria-pressed") == "false"
    page.emulate_media(color_scheme="dark")
    page.wait_for_selector("#theme[aria-pressed=true]")
    assert brightness() < 50
    page.click("#theme")
    assert brightness() > 200 and page.get_attribute("#theme", "aria-pressed") == "false"
    page.emulate_media(color_scheme="light")
    page.click("#theme")
    assert brightness() < 50
    page.click("#theme")


def contrast(page: "Page", selector: str) -> float:
    """The contrast ratio (WCAG 2) of an element's text and the nearest background behind it."""
    return float(
        page.evaluate(
            """selector => {
                const numbers = text => text.match(/[\\d.]+/g).map(Number);
                const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
                    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
                    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
                let behind = document.querySelector(selector);
                const ink = light(numbers(getComputedStyle(behind).color));
                const opaque = element => (numbers(getComputedStyle(element).backgroundColor)[3] ?? 1) === 1;
                while (!opaque(behind)) behind = behind.parentElement;
                const paper = light(numbers(getComputedStyle(behind).backgroundColor));
                return (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
            }""",
            selector,
        )
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_stand_out_from_their_background(opened: Opened, scheme: str) -> None:
    opened.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light", reduced_motion="reduce")
    for selector in ("h1", "h1 span", ".modes span", ".field span", "#where", ".chart > p", ".scale span", ".facts em"):
        assert contrast(opened.page, selector) >= 4.5, selector
    opened.page.emulate_media(color_scheme="light")


def test_tab_goes_through_the_controls_in_the_order_of_the_page(opened: Opened) -> None:
    page, seen = opened.page, list[str]()
    page.evaluate("window.scrollTo(0, 0)")
    page.focus("#theme")
    for _ in range(12):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.id || document.activeElement.value"))
        outline = page.evaluate(
            "(e => getComputedStyle(e.matches('[type=radio]') ? e.nextElementSibling : e).outlineStyle)"
            "(document.activeElement)"
        )
        assert outline != "none", f"{seen[-1]} shows that it has the focus"
    assert seen == ["wipe", "a", "swap", "b", "full", "wipe", "back", "play", "forward", "moment", "speed", "loop"]


def test_every_control_has_a_name_and_every_picture_a_text(opened: Opened) -> None:
    nameless = opened.page.evaluate(
        """[...document.querySelectorAll('button, input, select, [role=img], [role=region]')].filter(element =>
            !(element.ariaLabel || element.labels?.[0]?.textContent.trim() || element.textContent.trim()
              || element.getAttribute('aria-labelledby'))).map(element => element.outerHTML)"""
    )
    assert nameless == []
    assert opened.page.locator("#live[role=status]").count() == 1


@pytest.mark.parametrize("width", [360, 1600])
def test_nothing_is_wider_than_the_window(opened: Opened, width: int) -> None:
    opened.page.set_viewport_size({"width": width, "height": 800})
    for view in ("wipe", "pair", "all", "difference"):
        opened.page.check(f"input[value={view}]", force=True)
        assert opened.page.evaluate("document.documentElement.scrollWidth") <= width, view
    opened.page.set_viewport_size({"width": 1200, "height": 900})


def test_no_text_runs_nothing_complains_and_nothing_is_requested(opened: Opened, file: Path) -> None:
    page = opened.page
    assert page.title() == f"source and {HOSTILE}, other"
    assert page.locator("img").count() == 0
    assert HOSTILE in page.inner_text(".facts >> nth=0") and HOSTILE in page.inner_text(".chart:last-child p")
    assert opened.complaints == []
    assert [url for url in opened.requests if not url.startswith("data:")] == [file.as_uri()]


def test_the_policy_stops_a_script_that_is_put_into_the_page(browser: "Browser", file: Path, tmp_path: Path) -> None:
    altered = tmp_path / "altered.html"
    attack = "<img src=x onerror=\"document.title='run'\"><script>document.title='run'</script>"
    altered.write_text(file.read_text("utf-8").replace("<main>", f"<main>{attack}"), "utf-8")
    page = browser.new_page()
    page.goto(altered.as_uri())
    page.wait_for_selector("#stage[data-moment]")
    assert page.title() != "run"
    page.close()


def test_clips_of_other_rates_and_stills_play_together(
    browser: "Browser", tmp_path: Path, folder_of: Callable[..., Path]
) -> None:
    slow, fast = folder_of("slow", numbered(3), fps=5), folder_of("other", numbered(6), fps=10)
    still = folder_of("still", numbered(1))
    write_page(slow, [fast, still], tmp_path / "page.html", report=ignore)
    page = browser.new_page()
    page.goto((tmp_path / "page.html").as_uri())
    page.click("text=All")
    opened, seen = Opened(page), []
    for _ in range(6):
        seen.append(tuple(opened.number_in_picture(clip) for clip in range(3)))
        page.keyboard.press("ArrowRight")
    assert seen == [(number // 2, number, 0) for number in range(6)]
    assert "aligned by time" in page.inner_text(".notes")
    page.close()


def test_a_page_of_stills_has_no_transport(browser: "Browser", tmp_path: Path, folder_of: Callable[..., Path]) -> None:
    still = folder_of("still", numbered(1))
    write_page(still, [still], tmp_path / "page.html", report=ignore)
    page = browser.new_page()
    page.goto((tmp_path / "page.html").as_uri())
    page.wait_for_selector("#stage[data-moment='0']")
    assert not page.is_visible(".transport") and page.is_visible("#wipe")
    page.close()
