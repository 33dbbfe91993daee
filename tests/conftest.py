"""A Stable Diffusion checkpoint of random weights, small enough for any test, and clips to translate."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, DDIMScheduler, EulerDiscreteScheduler, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from benchmarks.topology import letter_tokenizer
from pnpvideo.backends.stable_diffusion import StableDiffusion
from pnpvideo.backends.stable_diffusion3 import StableDiffusion3
from pnpvideo.injection import Conditioning
from pnpvideo.settings.options import Options
from pnpvideo.video.ffmpeg import executable
from tests.joint import write_joint

if TYPE_CHECKING:
    from playwright.sync_api import Browser

LENGTH, WIDTH = 20, 16  # tokens, one a letter, with two for start and end; channels of the text
POOLED = 12  # channels of a text as a whole


def pytest_configure(config: pytest.Config) -> None:
    """Give the tests a store of their own, and heed the signals that a shell's background job or nohup ignores.

    Processes that tests start inherit both. With the user's own store, a test could pass by what an earlier run left.
    """
    cache = tempfile.TemporaryDirectory(prefix="pnpvideo-tests-")
    config.add_cleanup(cache.cleanup)
    os.environ["XDG_CACHE_HOME"] = cache.name
    for name, handler in (("SIGINT", signal.default_int_handler), ("SIGHUP", signal.SIG_DFL)):
        if hasattr(signal, name) and signal.getsignal(getattr(signal, name)) is signal.SIG_IGN:
            signal.signal(getattr(signal, name), handler)


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """Headless Chromium; without it, or without playwright, the tests are skipped: ``make browser`` installs both."""
    pytest.importorskip("playwright.sync_api", reason="playwright is not installed; `make browser` installs it")
    from tests.browser import launched

    with launched() as started:
        yield started


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stable Diffusion 1.x's topology at a fraction of its width, 64 pixels; to be copied before it is altered."""
    folder = tmp_path_factory.mktemp("model") / "random"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        tokenizer = letter_tokenizer(folder / "tokenizer", LENGTH)
        UNet2DConditionModel(
            sample_size=8,
            block_out_channels=(16, 32, 32, 32),
            cross_attention_dim=WIDTH,
            attention_head_dim=2,
            norm_num_groups=8,
            down_block_types=("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
            up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
        ).save_pretrained(folder / "unet")
        AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            block_out_channels=(4, 8, 8, 8),
            latent_channels=4,
            norm_num_groups=4,
            mid_block_add_attention=False,
        ).save_pretrained(folder / "vae")
        CLIPTextModel(
            CLIPTextConfig(
                vocab_size=len(tokenizer),
                hidden_size=WIDTH,
                intermediate_size=2 * WIDTH,
                num_hidden_layers=1,
                num_attention_heads=2,
                max_position_embeddings=LENGTH,
                bos_token_id=tokenizer.bos_token_id,
                eos_token_id=tokenizer.eos_token_id,
                pad_token_id=tokenizer.pad_token_id,
            )
        ).save_pretrained(folder / "text_encoder")
    DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    ).save_pretrained(folder / "scheduler")
    return folder


@pytest.fixture(scope="session")
def backend(checkpoint: Path) -> StableDiffusion:
    return StableDiffusion(str(checkpoint), torch.device("cpu"), torch.float32)


@pytest.fixture(scope="session")
def xl_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stable Diffusion XL's topology likewise; its two text encoders differ in width."""
    folder = tmp_path_factory.mktemp("xl") / "random"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        widths = {"text_encoder": WIDTH, "text_encoder_2": WIDTH + 8}
        for part, width in widths.items():
            tokenizer = letter_tokenizer(folder / part.replace("text_encoder", "tokenizer"), LENGTH)
            config = CLIPTextConfig(
                vocab_size=len(tokenizer),
                hidden_size=width,
                intermediate_size=2 * width,
                num_hidden_layers=2,
                num_attention_heads=2,
                max_position_embeddings=LENGTH,
                projection_dim=POOLED,
                bos_token_id=tokenizer.bos_token_id,
                eos_token_id=tokenizer.eos_token_id,
                pad_token_id=tokenizer.pad_token_id,
            )
            kind = CLIPTextModel if part == "text_encoder" else CLIPTextModelWithProjection
            kind(config).save_pretrained(folder / part)
        UNet2DConditionModel(
            sample_size=8,
            block_out_channels=(16, 32, 32),
            cross_attention_dim=sum(widths.values()),
            attention_head_dim=(2, 2, 4),
            norm_num_groups=8,
            transformer_layers_per_block=(1, 1, 2),
            use_linear_projection=True,
            addition_embed_type="text_time",
            addition_time_embed_dim=8,
            projection_class_embeddings_input_dim=POOLED + 6 * 8,
            down_block_types=("DownBlock2D",) + ("CrossAttnDownBlock2D",) * 2,
            up_block_types=("CrossAttnUpBlock2D",) * 2 + ("UpBlock2D",),
        ).save_pretrained(folder / "unet")
        AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            block_out_channels=(4, 8, 8, 8),
            latent_channels=4,
            norm_num_groups=4,
            mid_block_add_attention=False,
            scaling_factor=0.13025,
        ).save_pretrained(folder / "vae")
    EulerDiscreteScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1, timestep_spacing="leading"
    ).save_pretrained(folder / "scheduler")
    return folder


@pytest.fixture(scope="session")
def xl_backend(xl_checkpoint: Path) -> StableDiffusion:
    return StableDiffusion(str(xl_checkpoint), torch.device("cpu"), torch.float32)


@pytest.fixture(scope="session")
def joint_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stable Diffusion 3's topology likewise, with T5."""
    return write_joint(tmp_path_factory.mktemp("joint") / "random")


@pytest.fixture(scope="session")
def joint_backend(joint_checkpoint: Path) -> StableDiffusion3:
    return StableDiffusion3(str(joint_checkpoint), torch.device("cpu"), torch.float32)


@pytest.fixture(params=["1.x", "XL"])
def either(request: pytest.FixtureRequest) -> StableDiffusion:
    """A backend of each topology."""
    found = request.getfixturevalue("xl_backend" if request.param == "XL" else "backend")
    assert isinstance(found, StableDiffusion)
    return found


@pytest.fixture
def clip_of(tmp_path: Path) -> Callable[..., Path]:
    """clip_of(count, width, height, hold): a video of a square that moves at every ``hold``-th frame."""

    def make(count: int, width: int = 96, height: int = 64, hold: int = 1, name: str = "in.mp4") -> Path:
        pictures = np.full((count, height, width, 3), (150, 200, 235), np.uint8)
        for index, picture in enumerate(pictures):
            left = 4 + 4 * (index // hold)
            picture[20:36, left : left + 16] = (220, 60, 50)
        raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", "12", "-i", "pipe:0"]
        codec = ["-c:v", "libx264", "-crf", "10", "-pix_fmt", "yuv444p"]
        command = [executable(), "-v", "error", "-y", *raw, *codec, f"file:{tmp_path / name}"]
        subprocess.run(command, input=pictures.tobytes(), check=True)
        return tmp_path / name

    return make


@pytest.fixture
def as_user() -> Callable[..., subprocess.CompletedProcess[str]]:
    """as_user(*words): the command, run by a user whom the modes of files bind; root gives up its rights for it."""
    prefix: list[str] = []
    if os.name != "posix":
        pytest.skip("modes")
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("root may read and write everywhere, and setpriv is not installed")
        prefix = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [*prefix, sys.executable, "-m", "pnpvideo", *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=100)

    return run


@pytest.fixture
def options(checkpoint: Path, tmp_path: Path) -> Callable[..., Options]:
    """Options of a small, quick run."""

    def make(**given: Any) -> Options:
        usual = {"model": str(checkpoint), "store": tmp_path / "store", "steps": 2, "size": 32, "device": "cpu"}
        return Options.from_flat({**usual, "source_prompt": "", **given})

    return make


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The rows of every call of the network."""
    rows: list[int] = []
    predict = StableDiffusion.predict

    def counted(self: StableDiffusion, x: torch.Tensor, timestep: int, context: Conditioning) -> torch.Tensor:
        rows.append(len(x))
        return predict(self, x, timestep, context)

    monkeypatch.setattr(StableDiffusion, "predict", counted)
    return rows
