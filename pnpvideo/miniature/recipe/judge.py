"""The judge's stages: a small CLIPModel, trained to tell which texts are true of a picture.

Its text tower is the denoiser's text encoder, as in Stable Diffusion; its vision tower judges results. The loss is
CLIP's (arXiv 2103.00020, fig. 3) between pictures and captions, with three additions that need known scenes: each
caption comes with a false one that differs in one fact; each picture answers the world's questions, several of whose
answers may be true; and a head that is used in training alone predicts what each patch shows.
"""

from collections.abc import Sequence
from random import Random
from typing import NamedTuple

import torch
from torch import Tensor, nn
from transformers import CLIPConfig, CLIPModel, CLIPTextConfig, CLIPTokenizer, CLIPVisionConfig

from pnpvideo.miniature.recipe.augmentation import PATCH, PICTURE, Augmentation, preprocess
from pnpvideo.miniature.recipe.data import LOOKS_PER_SCENE, ArtPictures, Sources, training_instant
from pnpvideo.miniature.recipe.judge_data import JudgeSample, judge_sample, questions
from pnpvideo.miniature.recipe.stage import Stage, TrainingSettings, autocast
from pnpvideo.miniature.recipe.tokenizer import LENGTH, WIDTH
from pnpvideo.miniature.world import Instant, trace_gbuffer
from pnpvideo.miniature.world.geometry import FIRST_THING
from pnpvideo.miniature.world.shapes import SHAPES

LAYERS = 6
VISION_WEIGHTS = {"shape": 3}
"""Weights of the questions where the vision tower is trained alone: shapes are learnt last."""
PATCH_WEIGHT = 3


def new_judge(tokenizer: CLIPTokenizer) -> CLIPModel:
    """A text tower of 3 layers and a vision tower of 6, of width WIDTH; pictures of 128 pixels in patches of 16."""
    text = CLIPTextConfig(
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
    vision = CLIPVisionConfig(
        hidden_size=WIDTH,
        intermediate_size=4 * WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=4,
        image_size=PICTURE,
        patch_size=PATCH,
        projection_dim=WIDTH,
    )
    return CLIPModel(CLIPConfig(text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=WIDTH))


class JudgeWithPatchHead(nn.Module):
    """The judge, and a head from each patch to sky, ground or a shape, which is not exported."""

    def __init__(self, judge: CLIPModel) -> None:
        super().__init__()
        self.judge = judge
        self.patches = nn.Linear(WIDTH, FIRST_THING + len(SHAPES))


def patch_contents(scenes: Sequence[Instant], augmentations: Sequence[Augmentation], device: str) -> Tensor:
    """Shares of sky, ground and each shape in each patch, (b, patches, classes), from 2 x 2 rays a patch."""
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
    classes = nn.functional.one_hot(table.gather(1, ids), FIRST_THING + len(SHAPES)).float()
    rays: Tensor = classes.unflatten(1, (2 * side, 2 * side)).permute(0, 3, 1, 2)
    rays = torch.stack([augmentation.move(each, 1) for augmentation, each in zip(augmentations, rays, strict=True)])
    shares: Tensor = rays.unflatten(2, (side, 2)).unflatten(4, (side, 2)).mean((3, 5))
    return shares.flatten(2).mT


class _Batch(NamedTuple):
    """Rows of one step. keys: (source, scene, look) of each picture. scenes: None for drawings."""

    pictures: Tensor
    samples: list[JudgeSample]
    keys: list[tuple[int, int, int]]
    scenes: list[Instant | None]
    augmentations: list[Augmentation]


def _sample_batch(sources: Sources, count: int, rng: Random) -> _Batch:
    pictures, samples, keys, scenes, augmentations = [], [], [], [], []
    for _ in range(count):
        which = rng.choices(range(len(sources)), [share for _, share in sources])[0]
        source = sources[which][0]
        index, column = rng.randrange(source.scenes), rng.randrange(LOOKS_PER_SCENE)
        augmentations.append(Augmentation.random(rng))
        pictures.append(augmentations[-1].apply(source.half_size(index)[column]))
        samples.append(judge_sample(source, index, column, rng))
        keys.append((which, index, column))
        scenes.append(None if isinstance(source, ArtPictures) else training_instant(index))
    return _Batch(torch.stack(pictures), samples, keys, scenes, augmentations)


def judge_stage(
    name: str,
    model: JudgeWithPatchHead,
    tokenizer: CLIPTokenizer,
    sources: Sources,
    *,
    train_text: bool,
    settings: TrainingSettings,
) -> Stage:
    """Train both towers, or the vision tower alone, which leaves the denoiser's text encoder as it is."""
    judge, device = model.judge, settings.device
    for part in (judge.text_model, judge.text_projection):
        part.requires_grad_(train_text)

    def text_features(texts: list[str]) -> Tensor:
        tokens = tokenizer(texts, padding=True, truncation=True, max_length=LENGTH, return_tensors="pt")
        with torch.set_grad_enabled(train_text):
            features = judge.get_text_features(
                input_ids=tokens.input_ids.to(device), attention_mask=tokens.attention_mask.to(device)
            )
        return torch.nn.functional.normalize(features.pooler_output.float(), dim=-1)

    def loss(step: int, generator: torch.Generator) -> Tensor:
        rng = Random(step)
        batch = _sample_batch(sources, settings.batch, rng)
        captions, false_captions, answers = (list(each) for each in zip(*batch.samples, strict=True))
        asked = questions({name for true in answers for name in true.get("name", ())}, rng)
        prompts = [rng.choice(wordings) for choices in asked.values() for wordings in choices.values()]
        vision = judge.get_image_features(pixel_values=preprocess(batch.pictures.to(device)))
        picture_vectors = torch.nn.functional.normalize(vision.pooler_output.float(), dim=-1)
        patches = model.patches(vision.last_hidden_state[:, 1:])
        text_vectors = text_features([*captions, *false_captions, *prompts])
        with autocast(device, None):  # cosines times 100: bfloat16 would round them to units
            logits = judge.logit_scale.exp().clamp(max=100) * picture_vectors @ text_vectors.T
        total = _caption_loss(logits, captions, false_captions, batch.keys)
        known = [number for number, scene in enumerate(batch.scenes) if scene is not None]
        if known:
            with autocast(device, None):  # ray casting needs float32
                contents = patch_contents(
                    [scene for scene in batch.scenes if scene],
                    [batch.augmentations[number] for number in known],
                    device,
                )
            log_shares = patches[known].float().log_softmax(-1)
            total = total - PATCH_WEIGHT * (contents * log_shares).sum(-1).mean()
        first = 2 * len(captions)
        for question, choices in asked.items():
            true = torch.tensor([[answer in row.get(question, ()) for answer in choices] for row in answers])
            true = true.to(device)
            rows = true.any(1)
            if rows.any():  # no row where, for instance, all pictures are night photos and show no sky
                weight = 1 if train_text else VISION_WEIGHTS.get(question, 1)
                total = total + weight * _cross_entropy(logits[rows, first : first + len(choices)], true[rows])
            first += len(choices)
        return total

    return settings.stage(name, model, loss)


def _caption_loss(
    logits: Tensor, captions: list[str], false_captions: list[str], keys: list[tuple[int, int, int]]
) -> Tensor:
    """CLIP's loss in both directions. logits: (n, 2 n or more), columns: captions, false captions, others.

    Equal captions and captions of the same picture are all true; a false caption that equals the caption of another
    picture of the batch is left out of that picture's row.
    """
    count = len(captions)
    rows = list(zip(captions, keys, strict=True))
    same = torch.tensor([[a == b or s == t for b, t in rows] for a, s in rows], device=logits.device)
    twin = torch.tensor([[a == b for b in captions] for a in false_captions], device=logits.device)
    to_texts = logits[:, : 2 * count].masked_fill(torch.cat((torch.zeros_like(twin), twin.T), 1), -1e4)
    total = _cross_entropy(to_texts, torch.cat((same, torch.zeros_like(same)), 1))
    return total + _cross_entropy(logits[:, :count].T, same)


def _cross_entropy(logits: Tensor, true: Tensor) -> Tensor:
    """-log of the probability of all true columns together, mean over rows."""
    return (logits.logsumexp(1) - logits.masked_fill(~true, -1e4).logsumexp(1)).mean()
