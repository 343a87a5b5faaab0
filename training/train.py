"""Train the small transformer: ``python -m training.train distilled FOLDER… --out RUN``."""

import argparse
import csv
import io
import math
import os
import sys
import time
from collections.abc import Sequence
from copy import copy
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from safetensors.torch import save
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from tqdm import tqdm

from deepcut_lib.backbones import Backbone
from deepcut_lib.backbones.vit import vit_from_state
from deepcut_lib.errors import CheckpointError, DeepCutError
from deepcut_lib.images import find_images, load_image
from deepcut_lib.masks import find_masks, read_mask
from deepcut_lib.metrics import mask_iou
from deepcut_lib.recipe import CENTRED_RECIPE, PUBLISHED_RECIPE, Recipe
from deepcut_lib.segmentation import segment
from training.objectives import Distilled, Masked
from training.pictures import random_crops, read_pictures
from training.plot import COLUMNS, draw_curves

Pair: TypeAlias = tuple[Path, Path]
"""A photograph and its mask."""

PATCH, HEADS = 8, 6
OBJECTIVES = ("distilled", "masked")


@dataclass(frozen=True)
class Settings:
    """All that decides a run's outcome beside the pictures and their order.

    Attributes:
        objective: "distilled" or "masked".
        steps: of the optimiser.
        seed: of the first weights and of every crop.
        batch: crops of 112 pixels a step; the last fifth of the steps has a quarter as many of 224 pixels.
        dim: channels of the transformer.
        depth: its blocks.
    """

    objective: str
    steps: int
    seed: int = 0
    batch: int = 24
    dim: int = 192
    depth: int = 6


LEARNING_RATE = 1e-3
WEIGHT_DECAY = 0.05
WARM_UP = 50
CHECKPOINT_EVERY = 50
MEASURE_EVERY = 250
MEASURED = 18
"""Steps of warm-up, between checkpoints, and between measurements, and pictures of one measurement."""


def build_vit(settings: Settings) -> VisionTransformer:
    """The transformer, in DINO's layout, with positions for 28×28 patches."""
    return VisionTransformer(
        img_size=28 * PATCH,
        patch_size=PATCH,
        num_classes=0,
        embed_dim=settings.dim,
        depth=settings.depth,
        num_heads=HEADS,
        norm_layer=partial(nn.LayerNorm, eps=1e-6),
        dynamic_img_size=True,
    )


def train(
    settings: Settings,
    paths: Sequence[Path],
    out: Path,
    measured: Sequence[Pair] = (),
) -> dict[str, Tensor]:
    """Train, or go on where the checkpoint in `out` stands.

    Args:
        settings: the run.
        paths: the photographs.
        out: folder for the checkpoint, the log and the finished weights.
        measured: photographs with their masks, never trained on, for the IoU in the log.

    Returns:
        The transformer's state.

    Raises:
        CheckpointError: the checkpoint in `out` belongs to another run or is damaged.
        DeepCutError: no picture can be read, or the disk takes no checkpoint; the last good one is kept.
    """
    torch.manual_seed(settings.seed)
    vit = build_vit(settings)
    pictures, skipped = read_pictures(paths)
    objective: nn.Module = (
        Distilled(pictures, settings.dim) if settings.objective == "distilled" else Masked(vit, PATCH)
    )
    trained = nn.ModuleDict({"vit": vit, "objective": objective})
    optimizer = torch.optim.AdamW(_groups(trained), lr=LEARNING_RATE, betas=(0.9, 0.95))
    out.mkdir(parents=True, exist_ok=True)
    start, minutes = load_checkpoint(out / "checkpoint.pt", settings, trained, optimizer)
    log = Log(out / "log.csv", start)
    began = time.monotonic() - 60 * minutes
    losses = []
    for step in tqdm(range(start, settings.steps), initial=start, total=settings.steps, mininterval=5):
        losses.append(_step(step, settings, pictures, trained, optimizer))
        done = step + 1
        finished = done == settings.steps
        if done % CHECKPOINT_EVERY and not finished:
            continue
        minutes = (time.monotonic() - began) / 60
        row: dict[str, Any] = {"step": done, "minutes": round(minutes, 2), "loss": round(np.mean(losses), 4)}
        if measured and (done % MEASURE_EVERY == 0 or finished):
            subset = measured if finished else measured[:: math.ceil(len(measured) / MEASURED)]
            backbone = vit_from_state(vit.state_dict(), num_heads=HEADS, patch_size=PATCH, device="cpu")
            backbone.size = 28 * PATCH
            row |= {"pictures": len(subset), "iou": round(mean_iou(backbone, subset, CENTRED_RECIPE), 4)}
            row |= {"plain_iou": round(mean_iou(backbone, subset, PUBLISHED_RECIPE), 4)}
        log.add(row)
        losses = []
        save_checkpoint(out / "checkpoint.pt", settings, trained, optimizer, done, minutes)
    state = vit.state_dict()
    write(out / f"{settings.objective}.safetensors", save({k: v.half().clone() for k, v in state.items()}))
    if skipped:
        print(f"Left out, as they cannot be read ({len(skipped)}):", *skipped, sep="\n  ", file=sys.stderr)
    return state


def _step(
    step: int, settings: Settings, pictures: Tensor, trained: nn.ModuleDict, optimizer: torch.optim.Optimizer
) -> float:
    """One step; all chance in it comes from the seed and the step's number, so that a run can be resumed."""
    generator = torch.Generator().manual_seed(settings.seed * 1_000_003 + step)
    share = (step + 1) / settings.steps
    large = share > 0.8
    crops = random_crops(
        pictures,
        max(settings.batch // 4, 1) if large else settings.batch,
        (28 if large else 14) * PATCH,
        (0.4, 1.0) if large else (0.2, 1.0),
        generator,
    )
    for group in optimizer.param_groups:
        group["lr"] = LEARNING_RATE * min((step + 1) / WARM_UP, (1 + math.cos(math.pi * share)) / 2)
    loss = trained["objective"](trained["vit"], crops, generator)
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(trained.parameters(), 1.0)
    optimizer.step()
    return loss.item()


def _groups(module: nn.Module) -> list[dict[str, Any]]:
    """Matrices decay, vectors and tables do not."""
    matrices = [p for name, p in module.named_parameters() if p.ndim > 1 and "pos_embed" not in name]
    others = [p for name, p in module.named_parameters() if p.ndim < 2 or "pos_embed" in name]
    return [{"params": matrices, "weight_decay": WEIGHT_DECAY}, {"params": others, "weight_decay": 0.0}]


def mean_iou(backbone: Backbone, pairs: Sequence[Pair], recipe: Recipe) -> float:
    """Mean foreground IoU of the normalised cut with this recipe over photographs with masks."""
    backbone = copy(backbone)
    backbone.recipe = recipe
    scores = []
    for image, mask in pairs:
        picture = load_image(image)
        found = segment(picture, backbone=backbone)
        scores.append(mask_iou(found.mask, read_mask(mask, like=picture)))
    return float(np.mean(scores))


def pair_with_masks(images: Path, masks: Path) -> list[Pair]:
    """Photographs and the masks of the same name, sorted.

    Raises:
        DeepCutError: a photograph has no mask.
    """
    by_name = find_masks(masks)
    paths = find_images(images)
    missing = [path.name for path in paths if path.stem not in by_name]
    if missing:
        raise DeepCutError(f"{masks}: no mask for {', '.join(missing[:5])}; leave these pictures out")
    return [(path, by_name[path.stem]) for path in paths]


class Log:
    """The run's table, one row at each checkpoint; what a killed run wrote after its last one is dropped."""

    def __init__(self, path: Path, start: int) -> None:
        self.path = path
        self.rows: list[dict[str, Any]] = []
        if start and path.exists():
            with path.open(newline="") as file:
                self.rows = [row for row in csv.DictReader(file) if int(row["step"]) <= start]

    def add(self, row: dict[str, Any]) -> None:
        """Append a row and write the table."""
        self.rows.append(row)
        lines = [",".join(COLUMNS)]
        lines += [",".join(str(each.get(column, "")) for column in COLUMNS) for each in self.rows]
        write(self.path, ("\n".join(lines) + "\n").encode())
        tqdm.write("  ".join(f"{column} {value}" for column, value in row.items()))


def save_checkpoint(
    path: Path,
    settings: Settings,
    trained: nn.Module,
    optimizer: torch.optim.Optimizer,
    step: int,
    minutes: float,
) -> None:
    """Write a checkpoint in place of the last one; on failure the last one stays.

    Raises:
        DeepCutError: the disk is full or cannot be written.
    """
    buffer = io.BytesIO()
    torch.save(
        {
            "settings": asdict(settings),
            "step": step,
            "minutes": minutes,
            "trained": trained.state_dict(),
            "optimizer": optimizer.state_dict(),
        },
        buffer,
    )
    write(path, buffer.getvalue())


def load_checkpoint(
    path: Path, settings: Settings, trained: nn.Module, optimizer: torch.optim.Optimizer
) -> tuple[int, float]:
    """Load a checkpoint, if there is one.

    Returns:
        The steps already done and the minutes they took.

    Raises:
        CheckpointError: it is damaged, or was made by a run with other settings.
    """
    if not path.exists():
        return 0, 0.0
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch and zipfile have many words for a damaged file
        raise CheckpointError(f"{path}: damaged ({error}); delete it to start again") from error
    others = {name: value for name, value in stored["settings"].items() if value != asdict(settings)[name]}
    if others:
        told = ", ".join(f"{name}={value}, not {asdict(settings)[name]}" for name, value in others.items())
        raise CheckpointError(f"{path}: made with {told}; give these settings, or another --out")
    trained.load_state_dict(stored["trained"])
    optimizer.load_state_dict(stored["optimizer"])
    return stored["step"], stored["minutes"]


def write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all.

    Raises:
        DeepCutError: the disk is full or cannot be written; a file that was there is untouched.
    """
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        kept = "; the last good one is kept" if path.exists() else ""
        raise DeepCutError(
            f"{path}: cannot be written ({error.strerror}){kept}. Free some space and start again"
        ) from error


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="Train the small transformer.")
    parser.add_argument("objective", choices=OBJECTIVES)
    parser.add_argument("folders", nargs="*", type=Path, help="folders of photographs")
    parser.add_argument(
        "--labelled",
        nargs=2,
        type=Path,
        metavar=("IMAGES", "MASKS"),
        help="photographs with masks: every third is held out to measure, the others are trained on too",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of this run; resumes if it has one")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    try:
        pairs = pair_with_masks(*given.labelled) if given.labelled else []
        paths = find_images(*given.folders) if given.folders else []
        paths += [image for index, (image, _) in enumerate(pairs) if index % 3]
        if not paths:
            raise DeepCutError("no pictures to train on: name a folder, or --labelled IMAGES MASKS")
        train(Settings(given.objective, given.steps, given.seed), paths, given.out, pairs[::3])
        draw_curves(given.out / "log.csv", given.out / "curves.png")
    except DeepCutError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
