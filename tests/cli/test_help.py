"""What --help shows, and what it takes to show it."""

import re
import subprocess
import sys

import pytest
from pnpvideo.cli.main import main

from pnpvideo.methods.registry import USUAL_EDIT
from pnpvideo.option import SECTIONS, flag_of
from pnpvideo.settings.options import KNOWN

Output = pytest.CaptureFixture[str]
COMMANDS = ("translate", "edit", "plan")


def shown(capsys: Output, *words: str) -> dict[str, list[str]]:
    """Heading -> the long flags under it, in order."""
    assert main(list(words)) == 0
    found: dict[str, list[str]] = {}
    heading = ""
    for line in capsys.readouterr().out.splitlines():
        if re.fullmatch(r"\w[^:]*:", line):
            heading = line[:-1]
        elif heading and (flag := re.match(r"  (?:-\w, )?(--[\w-]+)", line)):
            found.setdefault(heading, []).append(flag.group(1))
    return found


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_about_ten_usual_options_first(capsys: Output, command: str) -> None:
    found = shown(capsys, command, "--help")
    first, *rest = found
    assert first == "Usual options" and 8 <= len(found[first]) <= 14
    assert command == "plan" or "--output" in found[first][:3]
    assert rest == ["Other options"] and "--help-all" in found[rest[0]]


@pytest.mark.parametrize(
    ("command", "own"), [("edit", "--from"), ("preview", "--grid"), ("tune", "--trials"), ("batch", "--dry-run")]
)
def test_options_of_the_command_itself_are_usual_options(capsys: Output, command: str, own: str) -> None:
    found = shown(capsys, command, "--help")
    assert own in found["Usual options"]
    assert "--config" in found["Other options"] and "--quiet" in found["Other options"]


def test_help_of_edit_says_which_method_is_the_default(capsys: Output) -> None:
    assert main(["edit", "--help"]) == 0
    assert f"[default:{USUAL_EDIT}]" in "".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("command", COMMANDS)
def test_help_all_shows_every_option_under_a_heading(capsys: Output, command: str) -> None:
    usual, everything = shown(capsys, command, "--help"), shown(capsys, command, "--help-all")
    assert next(iter(everything)) == "Usual options" and everything["Usual options"] == usual["Usual options"]
    flags = [flag for listed in everything.values() for flag in listed]
    assert len(flags) == len(set(flags))
    for name, spec in KNOWN.items():
        long = [flag for flag in flag_of(name, spec) if flag.startswith("--")]
        if long and long[0] in flags:
            title = "Usual options" if spec.section == "usual" else spec.section.capitalize()
            assert long[0] in everything[title]
    assert {section.capitalize() for section in SECTIONS if section not in ("usual", "output")} <= set(everything)


def test_help_says_how_many_options_it_leaves_out(capsys: Output) -> None:
    everything = sum(map(len, shown(capsys, "translate", "--help-all").values()))
    usual = sum(map(len, shown(capsys, "translate", "--help").values()))
    assert main(["translate", "--help"]) == 0
    assert f"{everything - usual} more options: --help-all" in capsys.readouterr().out


@pytest.mark.parametrize(
    "code",
    [
        "import pnpvideo; dir(pnpvideo); pnpvideo.OptionError",
        "from pnpvideo.cli.main import main; main(['--help'])",
        "from pnpvideo.cli.main import main; main(['translate', '--help-all'])",
        "import pnpvideo.__main__ as module; sys.argv = ['pnpvideo', '--version']; module.main()",
    ],
)
def test_importing_and_helping_load_nothing_heavy(code: str) -> None:
    heavy = ("torch", "diffusers", "transformers", "huggingface_hub", "numpy", "cv2", "PIL", "rich", "imageio_ffmpeg")
    program = f"import sys\n{code}\nprint([name for name in {heavy} if name in sys.modules], file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"


def test_the_module_is_the_command() -> None:
    done = subprocess.run([sys.executable, "-m", "pnpvideo", "--help"], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith("Usage: pnpvideo [OPTIONS] COMMAND")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_get_their_completion(shell: str) -> None:
    """As docs/quickstart.md has it; then the words that fit come from the command itself."""
    asked = {"_PNPVIDEO_COMPLETE": f"{shell}_source", "PATH": "/usr/bin:/bin"}
    script = subprocess.run([sys.executable, "-m", "pnpvideo"], env=asked, capture_output=True, text=True)
    assert script.returncode == 0 and "_PNPVIDEO_COMPLETE" in script.stdout and script.stderr == ""
    asked = {"_PNPVIDEO_COMPLETE": "bash_complete", "COMP_WORDS": "pnpvideo translate --pres", "COMP_CWORD": "2"}
    fits = subprocess.run([sys.executable, "-m", "pnpvideo"], env=asked, capture_output=True, text=True)
    assert fits.stdout == "plain,--preset\n"
