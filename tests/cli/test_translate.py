"""From words on the command line to the call of the engine."""

import json
import os
from pathlib import Path

import pytest
from pnpvideo.cli.main import main

from pnpvideo import errors
from pnpvideo.events import Notice, Progress, Report
from pnpvideo.settings.options import KNOWN, Options
from pnpvideo.video.span import Span, TimeSpan

from .conftest import Engine

Output = pytest.CaptureFixture[str]


BEGUN = "pnpvideo: load: libraries ...\n"
"""What is shown at once, since loading takes seconds."""


def run(*words: str) -> int:
    return main(["translate", "in.mp4", "a prompt", "-o", "out.mp4", *words])


def test_without_options_the_defaults_reach_the_engine(engine: Engine, capsys: Output) -> None:
    assert run() == 0
    assert engine.calls == [(Path("in.mp4"), "a prompt", "out.mp4", Options())]
    said = capsys.readouterr()
    assert said.out == "" and said.err == f"{BEGUN}pnpvideo: wrote out.mp4\n"


def test_every_flag_reaches_the_engine(engine: Engine) -> None:
    flags = """--model sd15 --source-prompt s --negative n --method sdedit --coherence joint --steps 7 --guidance 2.5
        --preset draft --solver ddim --spacing checkpoint --window 12 --no-sidecar
        --memory 1.5G --guidance-span :0.6
        --feature-until 0.7 --attention-until 0.4 --fresh-noise 0.1 --inversion-depth 0.5 --inversion-rounds 2
        --strength 0.3 --keyframe-every 4 --seed 9 --size 256 --frames 2:9
        --captioner c --placement start --direction d:0.5 --mask m.png --cross-attention 0.2 --cross-attention-until 0.6
        --update code --map-pixels 64 --source-guidance 1.5
        --checkpointing --regularize 1 --batch 3 --device cpu --dtype bfloat16 --decoder decord
        --track 1 --allow-partial --compile --store kept --store-limit 2G
        --preview-every 2 --preview-file p.png --lora ink.safetensors:0.8 --lora b --vae v --prediction epsilon
        --embedding inkwash.safetensors:ink --few-step lcm
        --control canny:0.5 --controlnet c.safetensors --control-span 0:0.6 --preview-vae t -y"""
    assert run(*flags.split()) == 0
    expected = Options.from_flat(
        {
            "sidecar": False,
            "model": "sd15",
            "source_prompt": "s",
            "negative": "n",
            "method": "sdedit",
            "coherence": "joint",
            "preset": "draft",
            "solver": "ddim",
            "spacing": "checkpoint",
            "window": 12,
            "memory": 3 * 2**29,
            "guidance_span": (0.0, 0.6),
            "steps": 7,
            "guidance": 2.5,
            "feature_until": 0.7,
            "attention_until": 0.4,
            "fresh_noise": 0.1,
            "inversion_depth": 0.5,
            "inversion_rounds": 2,
            "captioner": "c",
            "placement": "start",
            "directions": (("d", 0.5),),
            "mask": Path("m.png"),
            "cross_attention": 0.2,
            "cross_attention_until": 0.6,
            "update": "code",
            "source_guidance": 1.5,
            "map_pixels": 64,
            "checkpointing": True,
            "regularize": 1.0,
            "strength": 0.3,
            "keyframe_every": 4,
            "seed": 9,
            "size": 256,
            "frames": (2, 9),
            "batch": 3,
            "device": "cpu",
            "dtype": "bfloat16",
            "compile": True,
            "decoder": "decord",
            "track": 1,
            "allow_partial": True,
            "store": Path("kept"),
            "store_limit": 2**31,
            "preview_every": 2,
            "lora": (("ink.safetensors", 0.8), ("b", 1.0)),
            "vae": Path("v"),
            "prediction": "epsilon",
            "embedding": (("inkwash.safetensors", "ink"),),
            "few_step": "lcm",
            "control": (("canny", 0.5),),
            "controlnet": ("c.safetensors",),
            "control_span": ((0.0, 0.6),),
            "preview_vae": Path("t"),
            "preview_file": Path("p.png"),
            "overwrite": True,
        }
    )
    assert engine.options == expected and set(engine.options.unread) == set(expected.unread)
    assert set(engine.options.unread) >= {"feature_until", "cross_attention", "update"}  # of other methods than sdedit
    unset = [name for name in KNOWN if name not in engine.options.origins]
    assert unset == ["generate", "change", "change_strength", "keep_background"], "every other option has its flag"


def test_generate_takes_a_prompt_and_no_input(engine: Engine) -> None:
    words = ["translate", "--generate", "a photo", "-o", "out.png", "--source-prompt", "a cartoon"]
    assert main(words) == 0
    ((source, prompt, _, options),) = engine.calls
    assert (source, prompt, options.generate, options.prompts.source_prompt) == (None, "a photo", True, "a cartoon")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["in.mp4", "-o", "out.mp4"], "give INPUT and PROMPT"),
        (["in.mp4", "a", "prompt", "-o", "out.mp4"], "several words in quotes"),
        (["--generate", "in.mp4", "a prompt", "-o", "out.mp4"], "no INPUT"),
        (["in.mp4", "a prompt"], "--output"),
        (["in.mp4", "a prompt", "-o", "out.mp4", "--stepz", "5"], "--stepz"),
        (["in.mp4", "a prompt", "-o", "out.mp4", "--steps", "many"], "--steps"),
        (["in.mp4", "a prompt", "-o", "out.mp4", "--method", "magic"], "--method"),
        (["in.mp4", "a prompt", "-o", "out.mp4", "--config", "missing.toml"], "missing.toml"),
    ],
)
def test_wrong_usage_exits_with_2_and_says_what_is_wrong(
    engine: Engine, capsys: Output, words: list[str], complaint: str
) -> None:
    assert main(["translate", *words]) == 2
    said = capsys.readouterr()
    assert complaint in said.err and said.out == "" and engine.calls == []


@pytest.mark.parametrize(
    ("flags", "field"),
    [
        (["--steps", "0"], "steps is 0"),
        (["--steps", "-3"], "steps is -3"),
        (["--guidance", "nan"], "guidance is nan"),
        (["--guidance", "-1"], "guidance is -1"),
        (["--strength", "inf"], "strength is inf"),
        (["--feature-until", "1.5"], "feature_until is 1.5"),
        (["--seed", "-1"], "seed is -1"),
        (["--batch", "0"], "batch is 0"),
        (["--frames", "5:5"], "frames is 5:5"),
    ],
)
def test_a_value_that_is_not_accepted_names_its_field(
    engine: Engine, capsys: Output, flags: list[str], field: str
) -> None:
    assert run(*flags) == 2
    said = capsys.readouterr()
    assert said.err.startswith(f"pnpvideo: {field}") and said.err.count("\n") == 1 and engine.calls == []


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("0:25", (0, 25)),
        ("10:", (10, None)),
        (":4", (0, 4)),
        (":", (0, None)),
        ("007:9", (7, 9)),
        ("2.5s:4s", TimeSpan(2.5, 4)),
        ("2.5s:", TimeSpan(2.5)),
        (":4s", TimeSpan(0, 4)),
        ("0s:0.123456789s", TimeSpan(0, 0.123456789)),
    ],
)
def test_spans(engine: Engine, text: str, span: Span) -> None:
    assert run("--frames", text) == 0
    assert engine.options.reading.frames == span


@pytest.mark.parametrize(
    "text",
    ["5", "", "a:b", "-1:5", "1:2:3", "1.5:3", " 1:2", "٣:٤", "2s", "s:2s", "1e9s:", "-1s:2s", ".5s:1s", "1:30s:2:00s"],
)
def test_what_is_no_span_is_refused(engine: Engine, capsys: Output, text: str) -> None:
    assert run("--frames", text) == 2
    assert "A:B" in capsys.readouterr().err and engine.calls == []


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("10:4s", "'10:4s', a mix of frames and seconds"),
        ("2.5s:4", "'2.5s:4', a mix of frames and seconds"),
        ("4s:2s", "the span is 4s:2s"),
        ("2s:2s", "the span is 2s:2s"),
    ],
)
def test_a_span_that_makes_no_sense_is_refused(engine: Engine, capsys: Output, text: str, complaint: str) -> None:
    assert run("--frames", text) == 2
    assert complaint in capsys.readouterr().err and engine.calls == []


@pytest.mark.parametrize("name", ["-i.mp4", "-y", "--help.mp4", "$(touch x);.mp4", "a b\nc.mp4", "%d*.mp4", "ö" * 120])
def test_odd_names_are_files(engine: Engine, name: str) -> None:
    assert main(["translate", "-o", name, "--", name, "a prompt"]) == 0
    ((source, _, output, options),) = engine.calls
    assert source == Path(output) == Path(name)
    assert not options.overwrite
    assert list(Path().iterdir()) == []


def test_json_is_one_object_on_stdout_and_the_rest_on_stderr(engine: Engine, capsys: Output) -> None:
    engine.work = lambda report: report(Notice(message="a word"))
    assert run("--json") == 0
    said = capsys.readouterr()
    assert json.loads(said.out) == {"output": "out.mp4", "seed": 0, "timings": {"sample": 1.5}}
    assert said.err == f"{BEGUN}pnpvideo: a word\npnpvideo: wrote out.mp4\n"


def test_json_progress_is_json_to_the_last_line(engine: Engine, capsys: Output) -> None:
    engine.work = lambda report: report(Progress(stage="read", done=1, total=2, unit="frame"))
    assert run("--progress", "json", "--json") == 0
    said = capsys.readouterr()
    assert [json.loads(line)["event"] for line in said.err.splitlines()] == ["progress", "progress", "notice"]
    assert json.loads(said.out)["output"] == "out.mp4"


def test_the_model_libraries_are_hushed_but_under_v(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRANSFORMERS_VERBOSITY")
    monkeypatch.setenv("DIFFUSERS_VERBOSITY", "debug")
    assert run("-v") == 0
    assert "TRANSFORMERS_VERBOSITY" not in os.environ
    assert run() == 0
    assert (os.environ["TRANSFORMERS_VERBOSITY"], os.environ["DIFFUSERS_VERBOSITY"]) == ("error", "debug")


def test_quiet_says_only_errors(engine: Engine, capsys: Output) -> None:
    assert run("-q") == 0
    assert capsys.readouterr() == ("", "")
    assert run("-q", "--steps", "0") == 2
    assert "steps is 0" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.PnPVideoError, 1),
        (errors.StoreError, 1),
        (errors.OptionError, 2),
        (errors.InputError, 3),
        (errors.DecodeError, 3),
        (errors.ModelError, 4),
        (errors.NoMatchingSite, 4),
        (errors.DeviceError, 5),
        (errors.OutputError, 6),
        (errors.EncodeError, 6),
    ],
)
def test_each_error_has_its_exit_code_and_one_line(
    engine: Engine, capsys: Output, error: type[errors.PnPVideoError], code: int
) -> None:
    def fail(report: Report) -> None:
        raise error("what was given\nand \x1b[31mwhat to do")

    engine.work = fail
    assert run("--json") == code
    assert capsys.readouterr() == ("", f"{BEGUN}pnpvideo: what was given\\nand \\x1b[31mwhat to do\n")
    assert run("-v") == code
    assert "Traceback" in capsys.readouterr().err


class TestSettings:
    """Flags over PNPVIDEO_* over --config over pnpvideo.toml over the user's config.toml."""

    @pytest.fixture(autouse=True)
    def files(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        user = tmp_path / "user"
        user.mkdir()
        monkeypatch.setattr("platformdirs.user_config_path", lambda name: user)
        (user / "config.toml").write_text('steps = 11\nseed = 11\nbatch = 11\nsize = 110\nmodel = "user"\n')
        Path("pnpvideo.toml").write_text("steps = 12\nseed = 12\nbatch = 12\nsize = 120\n")
        Path("given.toml").write_text("steps = 13\nseed = 13\nbatch = 13\n")
        monkeypatch.setenv("PNPVIDEO_STEPS", "14")
        monkeypatch.setenv("PNPVIDEO_SEED", "14")

    def test_each_source_gives_way_to_the_one_above(self, engine: Engine) -> None:
        assert run("--config", "given.toml", "--steps", "15") == 0
        flat = engine.options.flat()
        assert [flat[name] for name in ("steps", "seed", "batch", "size", "model")] == [15, 14, 13, 120, "user"]
        origins = [engine.options.origins[name] for name in ("steps", "seed", "batch", "size")]
        assert origins == ["flag", "variable PNPVIDEO_SEED", "given.toml", "pnpvideo.toml"]

    def test_a_switch_can_come_from_a_variable(self, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PNPVIDEO_OVERWRITE", "1")
        monkeypatch.setenv("PNPVIDEO_FRAMES", "1:3")
        assert run() == 0
        assert engine.options.overwrite and engine.options.reading.frames == (1, 3)

    def test_a_folder_in_a_file_starts_at_the_file(self, engine: Engine) -> None:
        Path("deep").mkdir()
        Path("deep/given.toml").write_text('store = "kept"\nframes = "4s:"\n')
        assert run("--config", "deep/given.toml") == 0
        assert engine.options.runtime.store == Path("deep/kept") and engine.options.reading.frames == TimeSpan(4)

    @pytest.mark.parametrize("option", ["model", "captioner"])
    @pytest.mark.parametrize(
        ("given", "meant"),
        [
            ("own/model", "deep/own/model"),
            ("./own", "deep/own"),
            ("../missing", "deep/../missing"),
            ("owner/name", "owner/name"),
            ("sd15", "sd15"),  # an alias, though a folder beside the file has its name
            ("elsewhere", "elsewhere"),  # a folder, but not beside the file
            ("~/model", "{home}/model"),
        ],
    )
    def test_a_model_in_a_file_is_sought_beside_that_file(
        self, engine: Engine, option: str, given: str, meant: str
    ) -> None:
        for folder in ("deep/own/model", "deep/sd15", "elsewhere"):
            Path(folder).mkdir(parents=True)
        Path("deep/given.toml").write_text(f'{option} = "{given}"\n')
        assert run("--config", "deep/given.toml") == 0
        assert engine.options.flat()[option] == meant.format(home=Path.home())

    @pytest.mark.parametrize(
        ("line", "complaint"),
        [
            ("stepz = 5", "unknown option 'stepz'"),
            ("steps = 0", "steps is 0"),
            ("steps = 2.5", "steps is 2.5"),
            ("steps = true", "steps is True"),
            ("guidance = nan", "guidance is nan"),
            ("strength = -0.5", "strength is -0.5"),
            ('overwrite = "no"', "overwrite is 'no'"),
            ("model = 5", "model is 5"),
            ('method = "magic"', "method is 'magic'"),
            ("frames = 5", "frames is 5"),
            ('frames = "5"', "frames is '5'"),
            ("[translate]\nsteps = 5", "unknown option 'translate'"),
            ("steps = ", "no TOML file"),
            ("x = " + "[" * 19_000, "no TOML file"),
            ("#" * 20_001, "too large"),
        ],
    )
    def test_a_mistake_in_a_file_names_the_file_and_the_field(
        self, engine: Engine, capsys: Output, line: str, complaint: str
    ) -> None:
        Path("given.toml").write_text(line)
        assert run("--config", "given.toml", "--steps", "5") == 2
        said = capsys.readouterr().err
        assert said.startswith("pnpvideo: given.toml") and complaint in said and said.count("\n") == 1
        assert engine.calls == []

    def test_a_file_that_is_no_text_is_refused(self, engine: Engine, capsys: Output) -> None:
        Path("given.toml").write_bytes(b"model = '\xff'")
        assert run("--config", "given.toml") == 2
        assert "given.toml is no TOML file" in capsys.readouterr().err
