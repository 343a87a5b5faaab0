"""The command line: ``python -m deepcut_lib segment|localize|parts|cluster|evaluate|doctor``."""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from deepcut_lib import __version__
from deepcut_lib.backbones import BACKBONES, Backbone, load_backbone
from deepcut_lib.cli_sets import (
    add_cluster_arguments,
    add_parts_arguments,
    digest,
    encoded,
    named,
    run_cluster,
    run_parts,
)
from deepcut_lib.doctor import run_doctor
from deepcut_lib.errors import DeepCutError, ImageError
from deepcut_lib.evaluation import command as evaluation
from deepcut_lib.files import write_whole
from deepcut_lib.gallery import gallery_page
from deepcut_lib.images import find_images, load_image
from deepcut_lib.metrics import box_iou, mask_iou
from deepcut_lib.plots import label_picture, overlay
from deepcut_lib.segmentation import Segmentation, segment

_KINDS = {"mask": "_mask.png", "labels": "_labels.png", "overlay": "_overlay.jpg"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code: 0, or 1 if anything could not be done."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "doctor":
            return run_doctor()
        if options.command == "evaluate":
            return evaluation.run_command(options)
        if options.command == "parts":
            return run_parts(options)
        if options.command == "cluster":
            return run_cluster(options)
        return _run_folder(options)
    except (DeepCutError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; run the same command again to go on", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m deepcut_lib",
        description="DeepCut: unsupervised segmentation by graph neural network clustering.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    sources, shared = _source_options(), _clustering_options()
    commands.add_parser(
        "segment",
        parents=[sources, shared],
        help="foreground masks of pictures",
        description="Write each picture's mask, clusters, box and overlay, and a page to look through.",
    )
    commands.add_parser(
        "localize",
        parents=[sources, shared],
        help="one box for each picture",
        description="The same files; what is reported and scored is the box round the main object.",
    )
    add_parts_arguments(
        commands.add_parser(
            "parts",
            parents=[sources],
            help="the same parts in all pictures",
            description="Cut each picture's foreground into parts that mean the same in every picture.",
        )
    )
    add_cluster_arguments(
        commands.add_parser(
            "cluster",
            parents=[sources],
            help="clusters of pictures, their number found",
            description="Sort pictures into clusters by what they show, without a number of clusters.",
        )
    )
    evaluation.add_arguments(commands.add_parser("evaluate", help=evaluation.HELP))
    commands.add_parser("doctor", help="check versions, devices, backbones, data and widgets")
    return parser


def _source_options() -> argparse.ArgumentParser:
    """What every command on pictures takes."""
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("paths", nargs="+", type=Path, metavar="PATHS", help="pictures, or folders of them")
    shared.add_argument("--out", type=Path, required=True, metavar="DIR", help="where results are written")
    shared.add_argument("--seed", type=int, default=0, help="seed of the random starts (default: 0)")
    shared.add_argument("--overwrite", action="store_true", help="do finished pictures again")

    features = shared.add_argument_group("features")
    features.add_argument(
        "--backbone",
        default="auto",
        metavar="NAME",
        help=f"auto (DINO ViT-S/8 if at hand, else the embedded one), or one of: {', '.join(BACKBONES)}",
    )
    features.add_argument("--checkpoint", type=Path, metavar="FILE", help="local weights of the named ViT")
    features.add_argument("--stride", type=int, metavar="PX", help="patch distance, below the patch side")
    features.add_argument("--size", type=int, metavar="PX", help="side that pictures are resized to")
    features.add_argument("--device", default="auto", help="auto, cpu, cuda or mps (default: auto)")
    return shared


def _clustering_options() -> argparse.ArgumentParser:
    """What cutting single pictures takes besides."""
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--masks", type=Path, metavar="DIR", help="true masks NAME.png, to score against")
    clustering = shared.add_argument_group("clustering")
    clustering.add_argument(
        "--objective", choices=["ncut", "cc"], default="ncut", help="Eq. 9 or Eq. 10 (default: ncut)"
    )
    clustering.add_argument(
        "--k", type=int, help="clusters; with cc the most (default: the backbone's recipe)"
    )
    clustering.add_argument("--alpha", type=float, default=3.0, help="k sensitivity of cc (default: 3)")
    clustering.add_argument("--epochs", type=int, default=10, help="optimisation steps (default: 10)")
    clustering.add_argument("--two-stage", action="store_true", help="cut foreground and background again")
    clustering.add_argument("--refine", action="store_true", help="sharpen masks by the bilateral solver")
    return shared


def _run_folder(options: argparse.Namespace) -> int:
    """Segment or localize all pictures, going past bad ones; finished ones are kept from earlier runs."""
    pictures = named(find_images(*options.paths))
    backbone = load_backbone(
        options.backbone, checkpoint=options.checkpoint, stride=options.stride, device=options.device
    )
    knobs = {
        "objective": options.objective,
        "n_clusters": options.k,
        "alpha": options.alpha,
        "epochs": options.epochs,
        "two_stage": options.two_stage,
        "refine": options.refine,
        "size": options.size or "default",
        "random_state": options.seed,
    }
    settings = {
        **knobs,
        "backbone": backbone.name,
        "checkpoint": str(options.checkpoint) if options.checkpoint else None,
        "stride": backbone.stride,
        "command": options.command,
        "version": __version__,
    }
    rows: list[dict[str, Any]] = []
    failures: dict[str, str] = {}
    width = max(map(len, pictures))
    print(f"{'picture':{width}}  {'backbone':12}  clusters  {_score_name(options):>8}  seconds")
    try:
        for name, path in tqdm(pictures.items(), unit="picture", disable=not sys.stderr.isatty()):
            try:
                row = _finished(options, name, path, settings) or _process(
                    options, name, path, backbone, knobs, settings
                )
            except (ImageError, ValueError) as error:
                failures[name] = str(error) if str(path) in str(error) else f"{path}: {error}"
                continue
            rows.append(row)
            score = "" if row["score"] is None else f"{row['score']:.3f}"
            seconds = "kept" if row["kept"] else f"{row['seconds']:.2f}"
            tqdm.write(f"{name:{width}}  {backbone.name:12}  {row['n_clusters']:8}  {score:>8}  {seconds:>7}")
    finally:  # also when interrupted: what is done can be looked at
        summary = _summary(options, rows, failures, settings)
        page = gallery_page(
            f"DeepCut: {options.command}", summary, [_captioned(row) for row in rows], failures
        )
        write_whole(options.out / "index.html", page)
    print(f"\n{summary}\nLook through them: {options.out / 'index.html'}")
    for message in failures.values():
        print(f"not done: {message}", file=sys.stderr)
    return 1 if failures else 0


def _process(
    options: argparse.Namespace,
    name: str,
    path: Path,
    backbone: Backbone,
    knobs: dict[str, Any],
    settings: dict[str, Any],
) -> dict[str, Any]:
    started = time.perf_counter()
    picture = load_image(path)
    truth = _true_mask(options.masks, path, picture) if options.masks else None
    found = segment(picture, backbone=backbone, **knobs)
    row = {
        "name": name,
        "picture": path.name,
        "sha256": digest(path),
        "masks": str(options.masks) if options.masks else None,
        "settings": settings,
        "n_clusters": found.n_clusters,
        "box": found.box,
        "foreground_share": float(found.mask.mean()),
        "score": None if truth is None else _score(options, found, truth),
        "coarse_score": None if truth is None else mask_iou(found.coarse_mask, truth),
        "seconds": time.perf_counter() - started,
        **{kind: name + ending for kind, ending in _KINDS.items()},
    }
    for kind, shown in {
        "mask": Image.fromarray(found.mask),
        "labels": label_picture(found),
        "overlay": overlay(picture, found.mask, found.box),
    }.items():
        write_whole(options.out / (name + _KINDS[kind]), encoded(shown, _KINDS[kind]))
    # Last, so that it vouches for the others
    write_whole(options.out / f"{name}.json", json.dumps(row, indent=1) + "\n")
    return {**row, "kept": False}


def _finished(
    options: argparse.Namespace, name: str, path: Path, settings: dict[str, Any]
) -> dict[str, Any] | None:
    """The row of an earlier run of the same picture with the same settings, if all its files are there."""
    if options.overwrite:
        return None
    try:
        row = json.loads((options.out / f"{name}.json").read_text(encoding="utf-8"))
        same = (
            row["settings"] == settings
            and row["sha256"] == digest(path)
            and row["masks"] == (str(options.masks) if options.masks else None)
            and all((options.out / row[kind]).exists() for kind in _KINDS)
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return {**row, "kept": True} if same else None


def _true_mask(folder: Path, path: Path, picture: Image.Image) -> np.ndarray | None:
    file = folder / f"{path.stem}.png"
    if not file.exists():
        return None
    mask = np.asarray(load_image(file).convert("L")) > 127
    if mask.shape != (picture.height, picture.width):
        raise ImageError(
            f"{file}: the mask is {mask.shape[1]}×{mask.shape[0]} pixels, "
            f"but {path} is {picture.width}×{picture.height}; give a mask of the picture's size"
        )
    return mask


def _score(options: argparse.Namespace, found: Segmentation, truth: np.ndarray) -> float:
    if options.command == "segment":
        return mask_iou(found.mask, truth)
    rows, columns = np.nonzero(truth)
    if not len(rows):
        return 0.0
    box = (int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1)
    return box_iou(found.box, box)


def _score_name(options: argparse.Namespace) -> str:
    return "IoU" if options.command == "segment" else "box IoU"


def _summary(
    options: argparse.Namespace,
    rows: list[dict[str, Any]],
    failures: dict[str, str],
    settings: dict[str, Any],
) -> str:
    scores = [row["score"] for row in rows if row["score"] is not None]
    new = [row["seconds"] for row in rows if not row["kept"]]
    two_stage = ", two-stage" if settings["two_stage"] else ""
    parts = [
        f"{len(rows)} pictures with {settings['backbone']}, {settings['objective']}{two_stage}, "
        f"seed {settings['random_state']}"
    ]
    if scores and options.command == "segment":
        coarse = np.mean([row["coarse_score"] for row in rows if row["score"] is not None])
        before = f" ({coarse:.3f} before the bilateral solver)" if settings["refine"] else ""
        parts.append(f"mean foreground IoU {np.mean(scores):.3f}{before} over {len(scores)} with a mask")
    elif scores:
        share = np.mean([score >= 0.5 for score in scores])
        parts.append(f"CorLoc {share:.3f} over {len(scores)} with a mask")
    if new:
        parts.append(f"{np.mean(new):.2f} s a picture")
    if len(new) < len(rows):
        parts.append(f"{len(rows) - len(new)} kept from before")
    if failures:
        parts.append(f"{len(failures)} not done")
    return "; ".join(parts) + "."


def _captioned(row: dict[str, Any]) -> dict[str, Any]:
    score = "" if row["score"] is None else f", IoU {row['score']:.3f}"
    return {**row, "caption": f"{row['n_clusters']} clusters{score}"}
