"""The judge's stage: a small CLIPModel, trained to tell which words are true of a picture of the world.

Its text tower is the denoiser's text encoder, as in Stable Diffusion; its vision tower judges results. The loss is
CLIP's (arXiv 2103.00020, fig. 3), pictures against captions, with three things that a procedural world makes possible:
each caption brings a false twin (one fact changed), each picture answers the world's questions, whose true answers are
known (several may be), and each patch says what it shows (a head that only training has).
"""

from collections.abc import Sequence
from random import Random

import torch
from torch import Tensor, nn
from transformers import CLIPConfig, CLIPModel, CLIPTextConfig, CLIPTokenizer, CLIPVisionConfig

from pnpvideo.miniature.recipe.data import DRAWN, ArtPictures, Pictures, moment
from pnpvideo.miniature.recipe.lessons import lesson, questions
from pnpvideo.miniature.recipe.precision import precision
from pnpvideo.miniature.recipe.stage import Stage
from pnpvideo.miniature.recipe.view import PATCH, PICTURE, View, seen_by_judge
from pnpvideo.miniature.recipe.words import LENGTH, WIDTH
from pnpvideo.miniature.world import Instant, trace_gbuffer
from pnpvideo.miniature.world.geometry import FIRST_THING
from pnpvideo.miniature.world.shapes import SHAPES

LAYERS = 6
SIGHT_WEIGHTS = {"shape": 3}
"""Of the questions, where sight is trained alone: shapes are what it learns last."""


def new_judge(tokenizer: CLIPTokenizer) -> CLIPModel:
    """Two towers of width 128: words in 3 layers, pictures of 128 pixels as patches of 16 in 6."""
    words = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=4 * WIDTH,
        num_hidden_layers=3,
        num_attention_heads=4,
        max_position_embeddings=LENGTH,
        projection_dim=WIDTH,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    sight = CLIPVisionConfig(
        hidden_size=WIDTH,
        intermediate_size=4 * WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=4,
        image_size=PICTURE,
        patch_size=PATCH,
        projection_dim=WIDTH,
    )
    return CLIPModel(CLIPConfig(text_config=words.to_dict(), vision_config=sight.to_dict(), projection_dim=WIDTH))


class Taught(nn.Module):
    """The judge with the head that training has: from each patch to sky, ground or a shape."""

    def __init__(self, judge: CLIPModel) -> None:
        super().__init__()
        self.judge = judge
        self.patches = nn.Linear(WIDTH, FIRST_THING + len(SHAPES))


def patch_contents(scenes: list[Instant], views: list[View], device: str) -> Tensor:
    """What each patch shows, shares of sky, ground and each shape: (b, patches, classes), by 2 x 2 rays a patch."""
    side = PICTURE // PATCH
    ids = trace_gbuffer(scenes, 2 * side, device).ids
    order = list(SHAPES)
    slots = max(len(scene.things) for scene in scenes)
    table = torch.tensor(
        [
            [0, 1, *(FIRST_THING + order.index(t.shape) for t in scene.things), *[0] * (slots - len(scene.things))]
            for scene in scenes
        ],
        device=ids.device,
    )
    shown = nn.functional.one_hot(table.gather(1, ids), FIRST_THING + len(SHAPES)).float()
    rays = shown.unflatten(1, (2 * side, 2 * side)).permute(0, 3, 1, 2)
    rays = torch.stack([view.of(each, 1) for view, each in zip(views, rays, strict=True)])
    return rays.unflatten(2, (side, 2)).unflatten(4, (side, 2)).mean((3, 5)).flatten(2).mT


def judge_stage(
    name: str,
    taught: Taught,
    tokenizer: CLIPTokenizer,
    worlds: Sequence[tuple[Pictures, float]],
    *,
    words: bool,
    batch: int,
    steps: int,
    rate: float,
    device: str,
) -> Stage:
    """Both towers, or without ``words`` the vision tower alone: what the denoiser reads then stays as it is."""
    model = taught.judge
    for part in (model.text_model, model.text_projection):
        part.requires_grad_(words)

    def text_features(texts: list[str]) -> Tensor:
        tokens = tokenizer(texts, padding=True, truncation=True, max_length=LENGTH, return_tensors="pt")
        with torch.set_grad_enabled(words):
            features = model.get_text_features(
                input_ids=tokens.input_ids.to(device), attention_mask=tokens.attention_mask.to(device)
            )
        return torch.nn.functional.normalize(features.pooler_output.float(), dim=-1)

    def loss(step: int, generator: torch.Generator) -> Tensor:
        rng = Random(step)
        shown, lessons, views, drawn, scenes = [], [], [], [], []
        for _ in range(batch):
            which = rng.choices(range(len(worlds)), [share for _, share in worlds])[0]
            pictures = worlds[which][0]
            index, column = rng.randrange(pictures.scenes), rng.randrange(DRAWN)
            views.append(View.drawn(rng))
            shown.append(views[-1].seen(pictures.halves(index)[column]))
            lessons.append(lesson(pictures, index, column, rng))
            drawn.append((which, index, column))
            scenes.append(None if isinstance(pictures, ArtPictures) else moment(index))
        captions, lies, truths = (list(each) for each in zip(*lessons, strict=True))
        asked = questions({name for truth in truths for name in truth.get("name", ())}, rng)
        prompts = [rng.choice(wordings) for choices in asked.values() for wordings in choices.values()]
        sight = model.get_image_features(pixel_values=seen_by_judge(torch.stack(shown).to(device)))
        seen = torch.nn.functional.normalize(sight.pooler_output.float(), dim=-1)
        told = taught.patches(sight.last_hidden_state[:, 1:])
        said = text_features([*captions, *lies, *prompts])
        with precision(device, None):  # cosines times 100: bfloat16 would round them to units
            logits = model.logit_scale.exp().clamp(max=100) * seen @ said.T
        same = torch.tensor(
            [
                [a == b or s == t for b, t in zip(captions, drawn, strict=True)]
                for a, s in zip(captions, drawn, strict=True)
            ],
            device=device,
        )
        twin = torch.tensor([[a == b for b in captions] for a in lies], device=device)
        to_words = logits[:, : 2 * batch].masked_fill(torch.cat((torch.zeros_like(twin), twin.T), 1), -1e4)
        total = _cross_entropy(to_words, torch.cat((same, torch.zeros_like(same)), 1))
        total = total + _cross_entropy(logits[:, :batch].T, same)
        known = [number for number, scene in enumerate(scenes) if scene is not None]
        if known:
            with precision(device, None):  # rays are cast
                contents = patch_contents(
                    [scene for scene in scenes if scene], [views[number] for number in known], device
                )
            total = total - 3 * (contents * told[known].float().log_softmax(-1)).sum(-1).mean()
        first = 2 * batch
        for question, choices in asked.items():
            true = torch.tensor(
                [[answer in truth.get(question, ()) for answer in choices] for truth in truths], device=device
            )
            rows = true.any(1)
            if rows.any():  # a batch of nights has no sky to ask for
                weight = 1 if words else SIGHT_WEIGHTS.get(question, 1)
                total = total + weight * _cross_entropy(logits[rows, first : first + len(choices)], true[rows])
            first += len(choices)
        return total

    return Stage(name=name, module=taught, loss=loss, batch=batch, steps=steps, rate=rate)


def _cross_entropy(logits: Tensor, true: Tensor) -> Tensor:
    """-log of the share of all true columns, mean over rows."""
    return (logits.logsumexp(1) - logits.masked_fill(~true, -1e4).logsumexp(1)).mean()
