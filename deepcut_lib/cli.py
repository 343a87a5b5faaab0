"""The command line: ``python -m deepcut_lib segment|localize|parts|cluster|evaluate|doctor``."""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from deepcut_lib import __version__, cli_evaluate
from deepcut_lib import arguments as take
from deepcut_lib.backbones import BACKBONES, Backbone, load_backbone
from deepcut_lib.cli_sets import (
    add_cluster_arguments,
    add_parts_arguments,
    run_cluster,
    run_parts,
)
from deepcut_lib.doctor import run_doctor
from deepcut_lib.errors import DeepCutError, ImageError
from deepcut_lib.files import printable, sha256, write_whole
from deepcut_lib.folder import (
    FILES,
    Row,
    find_pictures,
    kept_results,
    own_failure,
    report,
    write_results,
)
from deepcut_lib.gallery import gallery_page
from deepcut_lib.images import load_image
from deepcut_lib.masks import find_masks, read_mask
from deepcut_lib.metrics import box_iou, box_of, mask_iou
from deepcut_lib.plots import label_picture, overlay
from deepcut_lib.segmentation import Segmentation, segment


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code: 0, or 1 if anything could not be done."""
    take.escape_output()
    try:
        options = _parser().parse_args(arguments)
        if options.command == "doctor":
            return run_doctor()
        if options.command == "evaluate":
            return cli_evaluate.run(options)
        if options.command == "parts":
            return run_parts(options)
        if options.command == "cluster":
            return run_cluster(options)
        return _run_folder(options)
    except (DeepCutError, ValueError) as error:
        print(f"error: {printable(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; run the same command again to go on", file=sys.stderr)
        return 130


def _parser() -> take.Parser:
    parser = take.Parser(
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
    cli_evaluate.add_command(commands)
    commands.add_parser("doctor", help="check versions, devices, backbones, data and widgets")
    return parser


def _source_options() -> take.Parser:
    """What every command on pictures takes."""
    shared = take.Parser(add_help=False)
    shared.add_argument(
        "paths", nargs="+", type=take.path, metavar="PATHS", help="pictures, or folders of them"
    )
    shared.add_argument(
        "--out", type=take.path, required=True, metavar="DIR", help="where results are written"
    )
    shared.add_argument("--seed", type=take.seed, default=0, help="seed of the random starts (default: 0)")
    shared.add_argument("--overwrite", action="store_true", help="do finished pictures again")

    features = shared.add_argument_group("features")
    features.add_argument(
        "--backbone",
        default="auto",
        metavar="NAME",
        help=f"auto (DINO ViT-S/8 if at hand, else the embedded one), or one of: {', '.join(BACKBONES)}",
    )
    features.add_argument(
        "--checkpoint", type=take.path, metavar="FILE", help="local weights of the named ViT"
    )
    features.add_argument(
        "--stride", type=take.whole, metavar="PX", help="patch distance, below the patch side"
    )
    features.add_argument("--size", type=take.whole, metavar="PX", help="side that pictures are resized to")
    features.add_argument("--device", default="auto", help="auto, cpu, cuda or mps (default: auto)")
    return shared


def _clustering_options() -> take.Parser:
    """What cutting single pictures takes besides."""
    shared = take.Parser(add_help=False)
    shared.add_argument(
        "--masks", type=take.path, metavar="DIR", help="true masks, named as the pictures, to score against"
    )
    clustering = shared.add_argument_group("clustering")
    clustering.add_argument(
        "--objective", choices=["ncut", "cc"], default="ncut", help="Eq. 9 or Eq. 10 (default: ncut)"
    )
    clustering.add_argument(
        "--k", type=take.whole, help="clusters; with cc the most (default: the backbone's recipe)"
    )
    clustering.add_argument(
        "--alpha", type=take.positive, default=3.0, help="k sensitivity of cc (default: 3)"
    )
    clustering.add_argument("--epochs", type=take.whole, default=10, help="optimisation steps (default: 10)")
    clustering.add_argument("--two-stage", action="store_true", help="cut foreground and background again")
    clustering.add_argument("--refine", action="store_true", help="sharpen masks by the bilateral solver")
    return shared


def _run_folder(options: argparse.Namespace) -> int:
    """Segment or localize all pictures, going past bad ones; finished ones are kept from earlier runs."""
    pictures, failures = find_pictures(options.paths, options.out)
    masks = _masks_of(options.masks, pictures) if options.masks else {}
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
        "weights": backbone.fingerprint,
        "recipe": asdict(backbone.recipe),
        "stride": backbone.stride,
        "command": options.command,
        "version": __version__,
    }
    rows: list[Row] = []
    seconds: list[float] = []
    width = max(map(len, pictures))
    print(f"{'picture':{width}}  {'backbone':12}  clusters  {_score_name(options):>8}  seconds")
    try:
        for name, path in tqdm(pictures.items(), unit="picture", disable=not sys.stderr.isatty()):
            with own_failure(failures, name, path):
                started = time.perf_counter()
                made_from = {
                    "picture": printable(path.name),
                    "sha256": sha256(path),
                    "mask_sha256": sha256(masks[name]) if name in masks else None,
                    "settings": settings,
                }
                row = None if options.overwrite else kept_results(options.out, name, made_from)
                kept = row is not None
                if row is None:
                    row = _process(options.out, name, path, masks.get(name), backbone, knobs, made_from)
                    seconds.append(time.perf_counter() - started)
                rows.append(row)
                score = "" if row["score"] is None else f"{row['score']:.3f}"
                note = f"  {row['message']}" if row["message"] else ""
                took = "kept" if kept else f"{seconds[-1]:.2f}"
                tqdm.write(
                    f"{name:{width}}  {backbone.name:12}  {row['n_clusters']:8}  {score:>8}  {took:>7}{note}"
                )
    finally:  # also when interrupted: what is done can be looked at
        found = f"{len(masks)} of {len(pictures)} pictures have a mask" if options.masks else ""
        summary = _summary(rows, failures, settings, found)
        page = gallery_page(
            f"DeepCut: {options.command}", f"{summary}.", [_captioned(row) for row in rows], failures
        )
        write_whole(options.out / "index.html", page)
    if seconds:
        summary += f"; {np.mean(seconds):.2f} s a picture"
    if len(seconds) < len(rows):
        summary += f"; {len(rows) - len(seconds)} kept from before"
    return report(options.out, f"{summary}.", failures)


def _process(
    out: Path,
    name: str,
    path: Path,
    mask: Path | None,
    backbone: Backbone,
    knobs: dict[str, Any],
    made_from: Row,
) -> Row:
    picture = load_image(path)
    truth = None if mask is None else read_mask(mask, picture)
    found = segment(picture, backbone=backbone, **knobs)
    row = {
        **made_from,
        "n_clusters": found.n_clusters,
        "box": found.box,
        "foreground_share": float(found.mask.mean()),
        "spread": found.spread,
        "message": found.message,
        "score": None if truth is None else _score(made_from["settings"]["command"], found, truth),
        "coarse_score": None if truth is None else mask_iou(found.coarse_mask, truth),
    }
    shown = {
        "mask": Image.fromarray(found.mask),
        "labels": label_picture(found),
        "overlay": overlay(picture, found.mask, found.box),
    }
    return write_results(out, name, FILES, shown, row)


def _masks_of(folder: Path, pictures: dict[str, Path]) -> dict[str, Path]:
    """The masks of pictures, by the names of their results.

    Raises:
        ImageError: there is none.
    """
    there = find_masks(folder)
    masks = {name: there[path.stem] for name, path in pictures.items() if path.stem in there}
    if not masks:
        wanted = next(iter(pictures.values())).with_suffix(".png").name
        raise ImageError(f"{folder}: none of its {len(there)} masks is named as a picture, such as {wanted}")
    return masks


def _score(command: str, found: Segmentation, truth: np.ndarray) -> float:
    if command == "segment":
        return mask_iou(found.mask, truth)
    box = box_of(truth)
    return box_iou(found.box, box) if box else 0.0


def _score_name(options: argparse.Namespace) -> str:
    return "IoU" if options.command == "segment" else "box IoU"


def _summary(rows: list[Row], failures: dict[str, str], settings: Row, masks: str) -> str:
    """A sentence on all pictures, the same whenever it is made: without times."""
    scores = [row["score"] for row in rows if row["score"] is not None]
    two_stage = ", two-stage" if settings["two_stage"] else ""
    parts = [
        f"{len(rows)} pictures with {settings['backbone']}, {settings['objective']}{two_stage}, "
        f"seed {settings['random_state']}"
    ]
    if masks:
        parts.append(masks)
    if scores and settings["command"] == "segment":
        coarse = np.mean([row["coarse_score"] for row in rows if row["score"] is not None])
        before = f" ({coarse:.3f} before the bilateral solver)" if settings["refine"] else ""
        parts.append(f"mean foreground IoU {np.mean(scores):.3f}{before} over {len(scores)} with a mask")
    elif scores:
        share = np.mean([score >= 0.5 for score in scores])
        parts.append(f"CorLoc {share:.3f} over {len(scores)} with a mask")
    blank = sum(bool(row["message"]) for row in rows)
    if blank:
        parts.append(f"{blank} with nothing to cut")
    if failures:
        parts.append(f"{len(failures)} not done")
    return "; ".join(parts)


def _captioned(row: Row) -> Row:
    score = "" if row["score"] is None else f", IoU {row['score']:.3f}"
    note = f"; {row['message']}" if row["message"] else ""
    return {**row, "caption": f"{row['n_clusters']} clusters{score}{note}"}
