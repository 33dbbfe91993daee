"""Files of textual inversions (arXiv 2208.01618): which word one adds to prompts, read from its header.

Three namings are known: that of AUTOMATIC1111 and kohya's trainers (one tensor "emb_params"), the same for Stable
Diffusion XL ("clip_l" and "clip_g"), and that of diffusers (one tensor, whose name is the word).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pnpvideo.backends.family import Family, spoken_family
from pnpvideo.backends.identify import Kind, identify
from pnpvideo.backends.model_files import tensor_shapes
from pnpvideo.errors import ModelError

UNNAMED = ("emb_params", "*")
OF_XL = {"text_encoder": "clip_l", "text_encoder_2": "clip_g"}
MOST_VECTORS = 75
"""As many tokens as a prompt has places."""
CONVERSION = (
    'python -c "import torch, safetensors.torch as s; '
    "w = torch.load('IN.pt', weights_only=True, map_location='cpu'); w = w.get('string_to_param', w); "
    "s.save_file({k.replace('*', 'emb_params'): v.detach().clone().contiguous() for k, v in w.items()}, "
    "'OUT.safetensors')\""
)
"""With weights_only, torch reads tensors from a pickle and runs nothing else."""


@dataclass(frozen=True)
class EmbeddingFile:
    """word: stands for it in prompts. tensors: text encoder -> its tensor. widths: text encoder -> channels.

    vectors: how many tokens of a prompt the word takes.
    """

    path: Path
    word: str
    tensors: Mapping[str, str]
    widths: Mapping[str, int]
    vectors: int

    @classmethod
    def of(cls, path: Path, word: str = "") -> "EmbeddingFile":
        """Read the header. word "": the one that the file states, else its name. Raises ModelError."""
        if not path.is_file():
            raise ModelError(f"{path} is no file; accepted is a textual inversion in a .safetensors file")
        identity = identify(path)
        if identity.kind == Kind.PICKLE:
            raise ModelError(
                f"{path} is {identity}; get it as .safetensors, or, where you trust its source, convert it: "
                f"{CONVERSION}"
            )
        shapes = tensor_shapes([path])
        tensors = (
            OF_XL if set(shapes) == set(OF_XL.values()) else dict.fromkeys(("text_encoder",), min(shapes, default=""))
        )
        if identity.kind != Kind.EMBEDDING or set(shapes) != set(tensors.values()):
            raise ModelError(
                f"{path} is {identity}; accepted for --embedding is a textual inversion in a .safetensors file"
            )
        counts = {shape[0] if len(shape) == 2 else 1 for shape in shapes.values()}
        if len(counts) > 1 or not 1 <= max(counts) <= MOST_VECTORS:
            raise ModelError(
                f"{path} holds {' and '.join(map(str, sorted(counts)))} vectors; accepted are 1 to {MOST_VECTORS}, as "
                "many for each text encoder"
            )
        own = tensors["text_encoder"]
        named = len(tensors) == 1 and own not in UNNAMED
        widths = {part: shapes[name][-1] for part, name in tensors.items()}
        return cls(path, (word or (own if named else path.stem)).strip(), tensors, widths, max(counts))

    @property
    def family(self) -> str:
        """The model that it was made for, as far as its shapes say."""
        return Family.SDXL.value if len(self.widths) > 1 else spoken_family(self.widths["text_encoder"])

    def check_fits(self, model: Path, widths: Mapping[str, object]) -> None:
        """Raise ModelError if it is for another model. widths: text encoder of ``model`` -> channels."""
        if self.widths != widths:
            own, needed = (" and ".join(map(str, each.values())) for each in (self.widths, widths))
            raise ModelError(
                f"{self.path} is an embedding for {self.family}, of width {own}, and {model} reads words of width "
                f"{needed}; accepted is an embedding for the model's own family"
            )


def embeddings_of(stated: Sequence[tuple[str, str]]) -> tuple[EmbeddingFile, ...]:
    """Read the headers of embeddings, by (file, word). Raises ModelError, also for two of the same word."""
    found = tuple(EmbeddingFile.of(Path(path), word) for path, word in stated)
    paths: dict[str, Path] = {}
    for each in found:
        if (other := paths.setdefault(each.word.lower(), each.path)) is not each.path:
            raise ModelError(
                f"{other} and {each.path} both add the word {each.word!r}; give one of them another: {each.path}:WORD"
            )
    return found
