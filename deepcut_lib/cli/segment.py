"""``segment`` and ``localize``: each picture on its own, or all by the same trained networks."""

import argparse
import time
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial

import numpy as np
from PIL import Image
from tqdm import tqdm

from deepcut_lib.batches import TOGETHER, by_size
from deepcut_lib.cli import arguments as take
from deepcut_lib.cli.engine import add_engine, check_engine, run_by_ray
from deepcut_lib.cli.folder import Folder, Job, open_folder, settings_of
from deepcut_lib.cli.kept import FILES, MATTE_FILE, Row, kept_results, write_results
from deepcut_lib.cli.page import gallery
from deepcut_lib.cli.trained import add_trained, check_trained, load_networks, networks_for
from deepcut_lib.clustering import OBJECTIVES
from deepcut_lib.images import load_image
from deepcut_lib.masks import read_mask
from deepcut_lib.matting import METHODS, Method, check_method, matte_of
from deepcut_lib.metrics import box_iou, box_of, mask_iou
from deepcut_lib.plots import label_picture, overlay
from deepcut_lib.recipe import CC_CLUSTERS, PRIOR_RECIPE
from deepcut_lib.segmentation import Segmentation, cut
from deepcut_lib.threads import side_by_side


def add_command(commands: take.Commands) -> None:
    """Add ``segment`` and ``localize``."""
    _add(
        commands.add_parser(
            "segment",
            description="Write each picture's mask, clusters, box and overlay, and a page to look through.",
        )
    )
    _add(
        commands.add_parser(
            "localize",
            description="The same files; what is reported and scored is the box round the main object.",
        )
    )


def _add(parser: take.Parser) -> None:
    take.add_prior(take.add_pictures(parser))
    parser.add_argument(
        "--masks", type=take.path, metavar="DIR", help="true masks, named as the pictures, to score against"
    )
    clustering = parser.add_argument_group(
        "clustering",
        "What is given replaces that of the backbone's recipe. With a foreground prior it is "
        f"{PRIOR_RECIPE.objective}, {PRIOR_RECIPE.n_clusters} clusters, {PRIOR_RECIPE.epochs} epochs.",
    )
    clustering.add_argument(
        "--objective",
        choices=list(OBJECTIVES),
        help="Eq. 9 (ncut), Eq. 10 (cc), or N-cut without the term for equal sizes (soft_ncut); a foreground "
        "prior keeps its word in the loss beside each of them (default: the backbone's recipe)",
    )
    clustering.add_argument(
        "--k",
        type=take.whole,
        help=f"clusters; with cc the most (default: the backbone's recipe; --objective cc: {CC_CLUSTERS})",
    )
    clustering.add_argument(
        "--alpha", type=take.positive, help="k sensitivity of cc (default: the backbone's recipe)"
    )
    clustering.add_argument(
        "--epochs", type=take.whole, help="optimisation steps (default: the backbone's recipe)"
    )
    clustering.add_argument("--two-stage", action="store_true", help="cut foreground and background again")
    clustering.add_argument("--refine", action="store_true", help="sharpen masks by the bilateral solver")
    matting = parser.add_argument_group(
        "matting", "How much of each pixel is foreground, found round the edge of the refined mask."
    )
    matting.add_argument(
        "--matte",
        action="store_true",
        help="write the foreground alone too, a PNG with alpha; masks are then refined",
    )
    matting.add_argument(
        "--matting",
        choices=METHODS,
        metavar="METHOD",
        help=f"what finds alpha, with --matte: one of {', '.join(METHODS)} (default: {METHODS[0]}); all but "
        "the first need pymatting",
    )
    add_trained(parser)
    add_engine(parser)
    parser.set_defaults(run=run_segment)


def run_segment(options: argparse.Namespace) -> int:
    """Segment or localize all pictures, going past bad ones; finished ones are kept from earlier runs."""
    check_engine(options)
    check_trained(options)
    matting = _checked_matting(options)
    local = options.engine == "local"
    if local:  # what is wrong with the pictures is said before anything is loaded
        folder = open_folder(options.paths, options.out, masks=options.masks, overwrite=options.overwrite)
    backbone, loaded = load_networks(options)
    if loaded:
        recipe = loaded.recipe
    else:
        recipe = backbone.foreground_recipe.but(
            objective=options.objective, n_clusters=options.k, alpha=options.alpha, epochs=options.epochs
        )
    if not local:
        return run_by_ray(options, backbone, recipe, loaded)
    networks = networks_for(options, folder, backbone, loaded, recipe)
    settings = settings_of(options, backbone, recipe=asdict(recipe), refine=options.refine)
    how = f"{backbone.name}, {take.described(recipe)}"
    if matting:
        settings["matting"] = matting
        how += f", mattes by {matting}"
    if networks:
        settings |= networks.settings
        how += f", {networks.described}"
    else:
        size = options.size or "default"
        settings |= {"two_stage": options.two_stage, "size": size, "random_state": options.seed}
        how += f"{', two-stage' if options.two_stage else ''}, seed {options.seed}"

    def cut_all(pictures: list[Image.Image]) -> list[Segmentation]:
        features = backbone.batch(pictures, size=settings["size"])
        if networks:
            fitted = networks.fitted()
            return [
                fitted.segment_features(of_picture, refine_on=picture if options.refine else None)
                for of_picture, picture in zip(features, pictures, strict=True)
            ]
        return cut(
            features,
            recipe=recipe,
            two_stage=options.two_stage,
            refine_on=pictures if options.refine else None,
            random_state=options.seed,
        )

    def make(jobs: Sequence[Job]) -> list[Row]:
        rows: dict[str, Row] = {}
        loaded = zip(jobs, side_by_side(lambda job: load_image(job.path), jobs, gpu=False), strict=True)
        for batch in by_size(loaded, settings["size"], len(jobs)):
            truths = [
                read_mask(folder.masks[job.name], picture) if job.name in folder.masks else None
                for job, picture in batch
            ]
            found = zip(batch, truths, cut_all([picture for _, picture in batch]), strict=True)
            written = side_by_side(lambda one: _write(options, *one, matting), found, gpu=False)
            rows |= {job.name: row for (job, _), row in zip(batch, written, strict=True)}
        return [rows[job.name] for job in jobs]

    rows: list[Row] = []
    made = 0
    started = time.perf_counter()
    width = max(map(len, folder.pictures))
    print(f"{'picture':{width}}  {'backbone':12}  clusters  {_score_name(options):>8}  seconds")
    try:
        for name, row, taken in folder.in_batches(
            make,
            TOGETHER.get(backbone.device.type, 1),
            kept=partial(kept_results, options.out),
            settings=settings,
        ):
            rows.append(row)
            made += taken is not None
            score = "" if row["score"] is None else f"{row['score']:.3f}"
            note = f"  {row['message']}" if row["message"] else ""
            took = "kept" if taken is None else f"{taken:.2f}"
            tqdm.write(
                f"{name:{width}}  {backbone.name:12}  {row['n_clusters']:8}  {score:>8}  {took:>7}{note}"
            )
    finally:  # also when interrupted: what is done can be looked at
        summary = _summary(options, folder, rows, how)
        figures = gallery([_captioned(row) for row in rows])
        folder.write_page(f"DeepCut: {options.command}", f"{summary}.", figures)
    if made:
        summary += f"; {(time.perf_counter() - started) / made:.2f} s a picture"
    if made < len(rows):
        summary += f"; {len(rows) - made} kept from before"
    return folder.report(f"{summary}.")


def _write(
    options: argparse.Namespace,
    loaded: tuple[Job, Image.Image],
    truth: np.ndarray | None,
    segmentation: Segmentation,
    matting: Method | None,
) -> Row:
    job, picture = loaded
    row = {
        **job.made_from,
        "n_clusters": segmentation.n_clusters,
        "box": segmentation.box,
        "foreground_share": float(segmentation.mask.mean()),
        "spread": segmentation.spread,
        "message": segmentation.message,
        "score": None if truth is None else _score(options.command, segmentation, truth),
        "coarse_score": None if truth is None else mask_iou(segmentation.coarse_mask, truth),
    }
    drawn = {
        "mask": Image.fromarray(segmentation.mask),
        "labels": label_picture(segmentation),
        "overlay": overlay(picture, segmentation.mask, segmentation.box),
    }
    files = FILES
    if matting:
        files = FILES | MATTE_FILE
        drawn["matte"] = matte_of(picture, segmentation, method=matting).picture()
    return write_results(options.out, job.name, files, drawn, row)


def _checked_matting(options: argparse.Namespace) -> Method | None:
    """What finds alpha, or None where no matte is wanted; mattes begin at refined masks, so those are.

    Raises:
        ValueError: options for mattes do not go together.
        PyMattingMissingError: the method needs pymatting, and it is not installed.
    """
    if not options.matte:
        if options.matting:
            raise ValueError("--matting says how mattes are made; give --matte too")
        return None
    options.refine = True
    method: Method = options.matting or METHODS[0]
    check_method(method)
    return method


def _score(command: str, segmentation: Segmentation, truth: np.ndarray) -> float:
    if command == "segment":
        return mask_iou(segmentation.mask, truth)
    box = box_of(truth)
    return box_iou(segmentation.box, box) if box else 0.0


def _score_name(options: argparse.Namespace) -> str:
    return "IoU" if options.command == "segment" else "box IoU"


def _summary(options: argparse.Namespace, folder: Folder, rows: Sequence[Row], how: str) -> str:
    """A sentence on all pictures, the same whenever it is made: without times."""
    scored = [row for row in rows if row["score"] is not None]
    scores = [row["score"] for row in scored]
    parts = [f"{len(rows)} pictures with {how}"]
    if options.masks:
        parts.append(f"{len(folder.masks)} of {len(folder.pictures)} pictures have a mask")
    if scored and options.command == "segment":
        coarse = np.mean([row["coarse_score"] for row in scored])
        before = f" ({coarse:.3f} before the bilateral solver)" if options.refine else ""
        parts.append(f"mean foreground IoU {np.mean(scores):.3f}{before} over {len(scored)} with a mask")
    elif scored:
        share = np.mean([score >= 0.5 for score in scores])
        parts.append(f"CorLoc {share:.3f} over {len(scored)} with a mask")
    blank = sum(bool(row["message"]) for row in rows)
    if blank:
        parts.append(f"{blank} with nothing to cut")
    if folder.failures:
        parts.append(f"{len(folder.failures)} not done")
    return "; ".join(parts)


def _captioned(row: Row) -> Row:
    score = "" if row["score"] is None else f", IoU {row['score']:.3f}"
    note = f"; {row['message']}" if row["message"] else ""
    return {**row, "caption": f"{row['n_clusters']} clusters{score}{note}"}
