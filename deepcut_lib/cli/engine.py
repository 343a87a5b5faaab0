"""``--engine ray``: a command's pictures on a cluster, with a table of results instead of a file for each."""

import argparse
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import TYPE_CHECKING

from deepcut_lib.backbones import Backbone
from deepcut_lib.cli import arguments as take
from deepcut_lib.cli.folder import open_folder
from deepcut_lib.cli.trained import refuse
from deepcut_lib.files import printable
from deepcut_lib.recipe import Recipe
from deepcut_lib.trained import TrainedDeepCut

if TYPE_CHECKING:
    from deepcut_lib.distributed.work import Work

_OF_RAY = ("workers", "gpus", "cluster", "per_file")
_OF_ONE_MACHINE = ("masks", "matte", "matting", "together", "save_trained", "train_on")


def add_engine(parser: ArgumentParser) -> None:
    """Add the options of the engine."""
    engine = parser.add_argument_group(
        "engine",
        "With ray, workers on one machine or many write a table in --out, of Parquet files with a row for "
        "each picture; PATHS may be a Parquet list with a column 'path'. Pictures and --out must be seen "
        "under the same paths everywhere. See docs/scale.md.",
    )
    engine.add_argument(
        "--engine", choices=["local", "ray"], default="local", help="what does the work (default: local)"
    )
    engine.add_argument(
        "--cluster",
        metavar="ADDRESS",
        help="of a running Ray cluster (default: RAY_ADDRESS, or this machine)",
    )
    engine.add_argument(
        "--workers",
        type=take.whole,
        metavar="N",
        help="the most workers (default: one for each CPU or share)",
    )
    engine.add_argument(
        "--gpus",
        type=take.positive,
        metavar="SHARE",
        help="share of a GPU of each worker (default: CPUs only)",
    )
    engine.add_argument(
        "--per-file", type=take.whole, metavar="N", help="pictures of one file of the table (default: 128)"
    )


def check_engine(options: argparse.Namespace) -> None:
    """See that the options of the engine go with the others.

    Raises:
        ValueError: one of them does not; the message names it.
    """
    if options.engine == "local":
        refuse(options, _OF_RAY, "--engine local")
        return
    refuse(options, _OF_ONE_MACHINE, "--engine ray")
    if options.device != "auto":
        raise ValueError("--device does not go with --engine ray, where --gpus says what workers run on")


def run_by_ray(
    options: argparse.Namespace, backbone: Backbone, recipe: Recipe, loaded: TrainedDeepCut | None
) -> int:
    """Segment or localize all pictures on a cluster; returns the exit code.

    Args:
        options: of the command.
        backbone: the loaded one.
        recipe: how pictures are cut.
        loaded: the networks of ``--trained``, or None.

    Raises:
        DeepCutError: as `distributed.run`; and Ray is not installed.
    """
    from deepcut_lib.distributed import Labelling, Segmenting, run

    work: Work
    if loaded:
        work = Labelling(loaded, backbone, refine=options.refine)
        how = f"networks of {printable(options.trained.name)}"
    else:
        work = Segmenting(
            backbone,
            recipe,
            two_stage=options.two_stage,
            refine=options.refine,
            size=options.size or "default",
            random_state=options.seed,
            masks=options.command == "segment",
        )
        how = f"{take.described(recipe)}{', two-stage' if options.two_stage else ''}, seed {options.seed}"
    further = {} if options.per_file is None else {"per_file": options.per_file}
    pictures, unlisted = _pictures(options)
    outcome = run(
        pictures,
        options.out,
        work,
        workers=options.workers,
        gpus=options.gpus or 0.0,
        cluster=options.cluster,
        overwrite=options.overwrite,
        **further,
    )
    blank = f"; {outcome.blank} with nothing to cut" if outcome.blank else ""
    failed = f"; {outcome.failed} not done" if outcome.failed else ""
    kept = f"; {outcome.kept} kept from before" if outcome.kept else ""
    print(
        f"\n{outcome.pictures - outcome.failed} pictures with {backbone.name}, {how}{blank}{failed}{kept}."
        f"\nThe table: {printable(outcome.table)}"
    )
    for message in [*unlisted, *outcome.told]:
        print(f"not done: {message}", file=sys.stderr)
    if len(outcome.told) < outcome.failed:
        print(
            f"not done: {outcome.failed - len(outcome.told)} more; the table's column failure says why",
            file=sys.stderr,
        )
    return 1 if outcome.failed or unlisted else 0


def _pictures(options: argparse.Namespace) -> tuple[list[Path], list[str]]:
    """A list in Parquet as it is; of files and folders, what other commands take too.

    Returns:
        The files, also those that cannot be read, and messages of folders that may not be listed.
    """
    paths: list[Path] = options.paths
    if len(paths) == 1 and paths[0].suffix == ".parquet":
        return paths, []
    folder = open_folder(paths, options.out)
    files = [path for path in folder.failures if path.is_file()]
    unlisted = [message for path, message in folder.failures.items() if path not in files]
    return [*folder.pictures.values(), *files], unlisted
