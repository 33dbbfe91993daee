"""The corpus: small, sound files and folders of each kind that pnpvideo reads, made by ffmpeg, Pillow and ourselves."""

import dataclasses
import hashlib
import io
import json
import os
import re
import subprocess
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pnpvideo.miniature import WEIGHTS
from pnpvideo.video.ffmpeg import executable


@dataclass(frozen=True)
class Seed:
    """A sound input.

    format: the row of the table that it counts in. reader: what reads it, a key of READERS. files: content by path
    below the input's folder. name: the file that is read, "" for the folder itself.
    """

    format: str
    reader: str
    files: dict[str, bytes]
    name: str

    @property
    def group(self) -> str:
        """What costs about the same time to read: "video", "picture" or "other"."""
        if self.reader not in ("media", "mask"):
            return "other"
        return "video" if self.format in VIDEOS else "picture"


_LAVFI = ("-f", "lavfi", "-i")
_PICTURES = (*_LAVFI, "testsrc=s=32x24:r=25:d=0.12")
_SOUND = (*_LAVFI, "sine=d=0.12")
_CLEAR = (*_LAVFI, "color=red@0.5:s=32x24:r=25:d=0.12,format=yuva420p")

VIDEOS: dict[str, dict[str, tuple[str, ...]]] = {
    "mp4": {
        "h264.mp4": (*_PICTURES, *_SOUND, "-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a", "aac"),
        "index-first.mp4": (*_PICTURES, "-c:v", "libx264", "-pix_fmt", "yuv444p", "-movflags", "+faststart"),
        "fragments.mp4": (*_PICTURES, "-c:v", "libx264", "-movflags", "frag_keyframe+empty_moov", "-g", "1"),
        "hevc.mp4": (*_PICTURES, "-c:v", "libx265", "-x265-params", "log-level=none", "-tag:v", "hvc1"),
        "av1.mp4": (*_PICTURES, "-c:v", "libaom-av1", "-cpu-used", "8"),
    },
    "mov": {
        "prores.mov": (*_CLEAR, "-c:v", "prores_ks", "-profile:v", "4444", "-pix_fmt", "yuva444p10le"),
        "motion-jpeg.mov": (*_PICTURES, *_SOUND, "-c:v", "mjpeg", "-pix_fmt", "yuvj420p", "-c:a", "pcm_s16le"),
    },
    "mkv": {
        "h264.mkv": (*_PICTURES, *_SOUND, "-c:v", "libx264", "-c:a", "flac"),
        "two.mkv": (*_PICTURES, *_PICTURES, "-map", "0", "-map", "1", "-c:v", "ffv1", "-disposition:v:1", "default"),
    },
    "webm": {
        "vp9.webm": (*_CLEAR, *_SOUND, "-c:v", "libvpx-vp9", "-cpu-used", "8", "-c:a", "libopus"),
        "vp8.webm": (*_PICTURES, "-c:v", "libvpx", "-cpu-used", "8"),
    },
    "avi": {
        "mpeg4.avi": (*_PICTURES, *_SOUND, "-c:v", "mpeg4", "-c:a", "mp2"),
        "huffyuv.avi": (*_PICTURES, "-c:v", "huffyuv"),
    },
    "ts": {
        "h264.ts": (*_PICTURES, *_SOUND, "-c:v", "libx264", "-c:a", "aac"),
        "mpeg2.m2ts": (*_PICTURES, "-c:v", "mpeg2video", "-mpegts_m2ts_mode", "1"),
    },
    "mpg": {"mpeg2.mpg": (*_PICTURES, *_SOUND, "-c:v", "mpeg2video", "-c:a", "mp2")},
    "flv": {
        "h264.flv": (*_PICTURES, *_SOUND, "-c:v", "libx264", "-c:a", "aac"),
        "sorenson.flv": (*_PICTURES, "-c:v", "flv"),
    },
    "ogg": {"theora.ogv": (*_PICTURES, *_SOUND, "-c:v", "libtheora", "-c:a", "libvorbis")},
    "wmv": {"wmv2.wmv": (*_PICTURES, *_SOUND, "-c:v", "wmv2", "-c:a", "wmav2")},
    "mjpeg": {"pictures.mjpeg": (*_PICTURES, "-c:v", "mjpeg", "-pix_fmt", "yuvj420p", "-f", "mjpeg")},
}  # fmt: skip
_BY_FFMPEG: dict[str, dict[str, tuple[str, ...]]] = {
    "dpx": {"a.dpx": (*_PICTURES, "-frames:v", "1", "-update", "1", "-pix_fmt", "gbrp10be")},
    "exr": {"a.exr": (*_PICTURES, "-frames:v", "1", "-update", "1", "-pix_fmt", "gbrpf32le", "-compression", "zip16")},
    "avif": {"moving.avif": (*_PICTURES, "-c:v", "libaom-av1", "-cpu-used", "8")},
    "ppm": {"wide.ppm": (*_PICTURES, "-frames:v", "1", "-update", "1", "-pix_fmt", "rgb48be")},
}


def corpus(folder: Path) -> list[Seed]:
    """All seeds, in an order that never depends on the machine. folder: where ffmpeg may write."""
    seeds = [*_by_ffmpeg(VIDEOS, folder), *_by_ffmpeg(_BY_FFMPEG, folder), *_by_pillow(), *_folders(), *_files()]
    masks = [Seed("mask", "mask", seed.files, seed.name) for seed in seeds if seed.name in ("grey.png", "h264.mkv")]
    return [*seeds, *masks, *_models(folder / "model"), *_stores(folder / "store")]


def _by_ffmpeg(table: dict[str, dict[str, tuple[str, ...]]], folder: Path) -> Iterator[Seed]:
    exact = ("-threads", "1", "-fflags", "+bitexact", "-flags:v", "+bitexact", "-flags:a", "+bitexact")
    for form, files in table.items():
        for name, options in files.items():
            path = folder / name
            command = [executable(), "-v", "error", "-nostdin", "-y", *options, *exact, f"file:{path}"]
            subprocess.run(command, check=True, env={**os.environ, "SVT_LOG": "0"})
            yield Seed(form, "media", {name: path.read_bytes()}, name)


def _saved(image: Image.Image, suffix: str, more: Sequence[Image.Image] = (), **options: Any) -> bytes:
    """The image in the format of ``suffix``; an animation, or pages, where there are ``more``."""
    stream = io.BytesIO()
    if more:
        options |= {"save_all": True, "append_images": [each.copy() for each in more]}
    image.copy().save(
        stream, Image.registered_extensions()[suffix], **options
    )  # Pillow leaves its encoder in the image
    return stream.getvalue()


def _by_pillow() -> Iterator[Seed]:
    Image.init()
    rows, columns = np.mgrid[:24, :32]
    rgb = Image.fromarray(np.stack([rows * 9, columns * 7, rows * columns % 251], -1).astype(np.uint8))
    alpha = Image.fromarray((columns * 8).astype(np.uint8))
    clear, grey = Image.merge("RGBA", (*rgb.split(), alpha)), rgb.convert("L")
    wide = Image.fromarray((rows * columns * 88).astype(np.uint16))
    floats = Image.fromarray((rows / 24).astype(np.float32))
    moving = [rgb.rotate(90 * k) for k in range(3)]
    clearing = [clear.rotate(90 * k) for k in range(3)]
    exif = Image.Exif()
    exif[0x0112], exif[0x010E], exif[0x8298] = 6, "a picture", "nobody's"
    animated: dict[str, Any] = {"more": moving[1:], "duration": [40, 80, 120], "loop": 2}
    yield from (
        Seed(suffix, "media", {name: content}, name)
        for suffix, name, content in (
            ("png", "rgb.png", _saved(rgb, ".png", exif=exif)),
            ("png", "rgba.png", _saved(clear, ".png")),
            ("png", "grey.png", _saved(grey, ".png")),
            ("png", "palette.png", _saved(rgb.quantize(16), ".png", transparency=3)),
            ("png", "wide.png", _saved(wide, ".png")),
            ("png", "bits.png", _saved(rgb.convert("1"), ".png")),
            ("jpeg", "rgb.jpg", _saved(rgb, ".jpg", exif=exif)),
            ("jpeg", "cmyk.jpg", _saved(rgb.convert("CMYK"), ".jpg", progressive=True)),
            ("jpeg", "grey.jpg", _saved(grey, ".jpg", restart_marker_blocks=2)),
            ("jpeg", "two.jpg", _saved(rgb, ".mpo", moving[1:])),
            ("gif", "still.gif", _saved(rgb, ".gif")),
            ("gif", "moving.gif", _saved(moving[0], ".gif", **animated)),
            ("gif", "clear.gif", _saved(clearing[0], ".gif", clearing[1:], disposal=2)),
            ("apng", "moving.apng", _saved(moving[0], ".apng", **animated)),
            ("apng", "clear.png", _saved(clearing[0], ".png", clearing[1:], blend=1)),
            ("webp", "lossy.webp", _saved(rgb, ".webp", exif=exif)),
            ("webp", "lossless.webp", _saved(clear, ".webp", lossless=True)),
            ("webp", "moving.webp", _saved(moving[0], ".webp", **animated)),
            ("tiff", "raw.tif", _saved(rgb, ".tif", exif=exif)),
            ("tiff", "lzw.tif", _saved(clear, ".tif", compression="tiff_lzw")),
            ("tiff", "deflate.tif", _saved(wide, ".tif", compression="tiff_adobe_deflate")),
            ("tiff", "fax.tif", _saved(rgb.convert("1"), ".tif", compression="group4")),
            ("tiff", "jpeg.tif", _saved(rgb, ".tif", compression="jpeg")),
            ("tiff", "floats.tif", _saved(floats, ".tif")),
            ("tiff", "big.tif", _saved(rgb, ".tif", big_tiff=True)),
            ("tiff", "pages.tif", _saved(rgb, ".tif", moving[1:])),
            ("bmp", "rgb.bmp", _saved(rgb, ".bmp")),
            ("bmp", "palette.bmp", _saved(rgb.quantize(16), ".bmp")),
            ("tga", "raw.tga", _saved(rgb, ".tga")),
            ("tga", "run-lengths.tga", _saved(clear, ".tga", compression="tga_rle")),
            ("ppm", "rgb.ppm", _saved(rgb, ".ppm")),
            ("ppm", "bits.pbm", _saved(rgb.convert("1"), ".pbm")),
            ("ppm", "floats.pfm", _saved(floats, ".pfm")),
            ("jpeg 2000", "a.jp2", _saved(rgb, ".jp2")),
            ("jpeg 2000", "a.j2k", _saved(rgb, ".j2k")),
            ("avif", "still.avif", _saved(clear, ".avif")),
            ("qoi", "a.qoi", _saved(rgb, ".qoi")),
        )
    )


def _folders() -> Iterator[Seed]:
    picture = Image.new("RGB", (32, 24), (9, 99, 199))
    mixed = {f"in/frame{k}{suffix}": _saved(picture, suffix) for k, suffix in enumerate((".png", ".jpg", ".tif"))}
    yield Seed("folder", "media", mixed, "in")
    from PIL.PngImagePlugin import PngInfo

    timed = {}
    for k in range(3):
        text = PngInfo()
        text.add_text("pts_seconds", f"{k}/24")
        text.add_text("duration_seconds", "1/24")
        timed[f"in/{k}.png"] = _saved(picture, ".png", pnginfo=text)
    yield Seed("folder", "media", timed, "in")


_TOML = """# what a run takes where nothing else is asked
model = "miniature"
steps = 8
guidance = 2.5
seed = 3
frames = "0:25"
guidance_span = [0.0, 0.8]
memory = "4GB"
directions = ["ball2cube.safetensors:1.2"]
change = ["ball", "cube"]
mask = "mask.png"
"""


def _files() -> Iterator[Seed]:
    import torch

    values = torch.arange(8.0).reshape(4, 2)
    about = {"format": "pnpvideo direction 1", "source": "ball", "target": "cube", "encoder": "a" * 64}
    about["counts"] = json.dumps({"ball": {"kept": 3, "said twice": 1}, "cube": {"kept": 3}})
    tensors = {
        name: {"dtype": "F32", "shape": [4, 2], "data_offsets": [32 * n, 32 * n + 32]}
        for n, name in enumerate(("delta", "word", "end"))
    }
    header = json.dumps({"__metadata__": about, **tensors}).encode()  # the library's order differs from run to run
    own = len(header).to_bytes(8, "little") + header + 3 * values.numpy().tobytes()
    yield Seed("direction", "direction", {"ball2cube.safetensors": own}, "ball2cube.safetensors")
    for dtype in (torch.float32, torch.bfloat16):
        stream = io.BytesIO()
        torch.save(values.unsqueeze(0).to(dtype), stream)
        yield Seed("direction (.pt)", "direction", {"ball2cube.pt": stream.getvalue()}, "ball2cube.pt")
    stream = io.BytesIO()
    torch.save(values, stream, _use_new_zipfile_serialization=False)
    old = re.sub(rb"X.\0\0\0\d{6,}", b"X\x0e\0\0\0" + b"0" * 14, stream.getvalue(), flags=re.DOTALL)  # an address
    yield Seed("direction (.pt)", "direction", {"ball2cube.pt": old}, "ball2cube.pt")
    lines = b"a red ball\na blue ball on sand\n\nballs\n"
    yield Seed("sentences", "sentences", {"sentences.txt": lines}, "sentences.txt")
    yield Seed("settings", "settings", {"settings.toml": _TOML.encode()}, "settings.toml")


def _checkpoint(folder: Path) -> None:
    """Stable Diffusion's layout with next to no weights, so that building its networks takes milliseconds."""
    import torch
    from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
    from safetensors.torch import save_file
    from transformers import CLIPTextConfig, CLIPTextModel

    from benchmarks.topology import letter_tokenizer

    torch.manual_seed(0)
    tokens = len(letter_tokenizer(folder / "tokenizer", 8))
    UNet2DConditionModel(
        sample_size=8,
        layers_per_block=1,
        block_out_channels=(8, 8),
        cross_attention_dim=8,
        attention_head_dim=2,
        norm_num_groups=4,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    ).save_pretrained(folder / "unet")
    AutoencoderKL(block_out_channels=(4,), norm_num_groups=4, mid_block_add_attention=False).save_pretrained(
        folder / "vae"
    )
    text = CLIPTextConfig(
        vocab_size=tokens,
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=8,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
    )
    text.save_pretrained(folder / "text_encoder")
    save_file(CLIPTextModel(text).state_dict(), folder / "text_encoder" / "model.safetensors", {"format": "pt"})
    DDIMScheduler(beta_schedule="scaled_linear", clip_sample=False, steps_offset=1).save_pretrained(
        folder / "scheduler"
    )
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "StableDiffusionPipeline"}))
    (folder / "pnpvideo.json").write_text(json.dumps({"guidance": 2.5, "negative": "grey", "inversion_rounds": 1}))


def _models(folder: Path) -> Iterator[Seed]:
    _checkpoint(folder)
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    plain = {f"model/{path.relative_to(folder).as_posix()}": path.read_bytes() for path in paths}
    sharded = dict(plain)
    stem = "model/unet/diffusion_pytorch_model"
    content = sharded.pop(f"{stem}.safetensors")
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    part = "diffusion_pytorch_model-00001-of-00001.safetensors"
    index = {"metadata": {"total_size": 8}, "weight_map": {key: part for key in header if key != "__metadata__"}}
    sharded |= {f"model/unet/{part}": content, f"{stem}.safetensors.index.json": json.dumps(index).encode()}
    sums = "".join(f"{hashlib.sha256(plain[name]).hexdigest()}  {name[6:]}\n" for name in sorted(plain))
    yield Seed("model", "model", plain, "model")
    yield Seed("model", "model", {**sharded}, "model")
    yield Seed("SHA256SUMS", "model", {**plain, "model/SHA256SUMS": sums.encode()}, "model/SHA256SUMS")
    yield Seed("card", "model", plain, "model/pnpvideo.json")
    for name in ("unet", "vae", "text_encoder"):
        yield Seed("config", "model", plain, f"model/{name}/config.json")
        weights = "model" if name == "text_encoder" else "diffusion_pytorch_model"
        yield Seed("weights", "model", plain, f"model/{name}/{weights}.safetensors")
    for name in ("scheduler/scheduler_config.json", "model_index.json"):
        yield Seed("config", "model", plain, f"model/{name}")
    yield Seed("index", "model", sharded, f"{stem}.safetensors.index.json")
    for part in ("captioner", "judge"):
        files = {f"model/{path.name}": path.read_bytes() for path in sorted((WEIGHTS / part).iterdir())}
        for name in files:
            if name.endswith(".json"):
                yield Seed(part, part, files, name)
    words = {name: content for name, content in plain.items() if name.startswith("model/tokenizer/")}
    for name in words:
        yield Seed("tokenizer", "tokenizer", words, name)
    vocabulary = {
        token: number for number, token in enumerate(["<|startoftext|>", "<|endoftext|>", "a</w>", "b", "ba</w>"])
    }
    old = {
        "model/tokenizer/vocab.json": json.dumps(vocabulary).encode(),
        "model/tokenizer/merges.txt": b"#version: 0.2\nb a</w>\n",
        "model/tokenizer/tokenizer_config.json": words["model/tokenizer/tokenizer_config.json"],
    }
    yield Seed("tokenizer", "tokenizer", old, "model/tokenizer/merges.txt")
    yield Seed("single file", "model", {"model.safetensors": content}, "model.safetensors")
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(zipfile.ZipInfo("archive/data.pkl"), b"\x80\x02}q\x00.")
    yield Seed("single file", "model", {"model.ckpt": stream.getvalue()}, "model.ckpt")


def _stores(folder: Path) -> Iterator[Seed]:
    import torch

    from pnpvideo.store import Store
    from pnpvideo.store.entry import MANIFEST
    from pnpvideo.store.manifest import Manifest

    key = "0" * 64
    with Store(folder).entry("trajectory", key) as entry:
        entry.put("level-0000", {"x": torch.zeros(2, 3)}, {"step": 1})
        entry.put("level-0001", {"x": torch.ones(2, 3)})
    path = folder / "trajectory" / key / MANIFEST
    found = Manifest.read(path)
    assert found is not None
    dataclasses.replace(found, created_seconds=1.0).write(path)  # the same bytes in every run
    files = {
        f"store/{path.relative_to(folder).as_posix()}": path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
    manifest = next(name for name in files if name.endswith("manifest.json"))
    yield Seed("store", "store", dict(sorted(files.items())), manifest)
