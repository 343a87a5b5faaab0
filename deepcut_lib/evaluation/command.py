"""``evaluate TABLE``: fill a table of the paper, as far as the data at hand go, and report it."""

import argparse
import hashlib
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path

from tqdm import tqdm

from deepcut_lib import __version__
from deepcut_lib.backbones import BACKBONES, Backbone, load_backbone
from deepcut_lib.cli import arguments as take
from deepcut_lib.datasets import SOURCES, DataSetError, check, open_dataset, remedy
from deepcut_lib.evaluation import parts_run, sets_run
from deepcut_lib.evaluation.methods import METHODS, Setup, unavailable
from deepcut_lib.evaluation.outcome import Outcome, inputs, section, without_folders, write_up
from deepcut_lib.evaluation.records import Records, Row
from deepcut_lib.evaluation.run import Job, run
from deepcut_lib.evaluation.tables import TABLES, Table
from deepcut_lib.files import printable

HELP = "fill a table of the paper"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument("table", choices=list(TABLES), metavar="TABLE", help="1 to 5, or horses or sample")
    parser.add_argument("--data", type=take.path, metavar="ROOT", help="folder of the data sets")
    parser.add_argument("--backbone", nargs="+", metavar="NAME", help=f"auto, or of: {', '.join(BACKBONES)}")
    parser.add_argument("--checkpoint", type=take.path, metavar="FILE", help="local weights of the named ViT")
    parser.add_argument("--methods", nargs="+", metavar="NAME", help="only these rows (default: all)")
    parser.add_argument(
        "--sets", nargs="+", metavar="NAME", help="only these data sets (default: the table's)"
    )
    parser.add_argument("--limit", type=take.whole, metavar="N", help="only the first N pictures of each set")
    parser.add_argument(
        "--seeds", type=take.whole, metavar="N", help="seeds 0 to N−1 (default: 1; table 5: 10)"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps (default: auto)")
    parser.add_argument("--stride", type=take.whole, metavar="PX", help="patch distance, at most the side")
    parser.add_argument("--size", type=take.whole, metavar="PX", help="side that pictures are fitted to")
    parser.add_argument(
        "--inputs",
        choices=["own", "same"],
        help="fit pictures as each method's publication does, or alike for all (default: own in 1 and 2)",
    )
    parser.add_argument("--batch", type=take.whole, default=8, help="pictures done together (default: 8)")
    parser.add_argument("--edge-model", type=take.path, metavar="FILE", help="edge model of EdgeBoxes")
    parser.add_argument(
        "--out", type=take.path, default=Path("results"), metavar="DIR", help="default: results"
    )
    parser.add_argument(
        "--record", type=take.path, metavar="FILE", help="also put the report into this Markdown file"
    )
    parser.add_argument("--overwrite", action="store_true", help="forget results of earlier runs")


def run_command(options: argparse.Namespace) -> int:
    """Run the command; returns its exit code: 0, or 1 if a picture failed or there was nothing to do.

    Raises:
        DeepCutError, ValueError: what was asked for cannot be done; the message says why.
    """
    table = TABLES[options.table]
    methods = _chosen("method", options.methods, table.methods)
    seeds = table.seeds if options.seeds is None else options.seeds
    names = options.backbone or table.backbones
    if len(names) > 1 and table.by != "backbone":
        raise ValueError(f"this table takes one backbone at a time, not {len(names)}")
    outcome = Outcome()
    _open_sets(options, table, outcome)
    if outcome.sets:
        for name in names:
            backbone = load_backbone(
                name, checkpoint=options.checkpoint, stride=options.stride, device=options.device
            )
            outcome.backbones[backbone.name] = backbone
    folder = options.out / section(options, outcome)
    try:
        _run_all(options, table, methods, seeds, outcome, folder)
    finally:  # also when interrupted: what there is can be read
        text = write_up(options, table, methods, seeds, outcome, folder)
    print(text)
    print(f"Written: {folder / 'report.md'}")
    for message in outcome.failures.values():
        print(f"not done: {printable(message)}", file=sys.stderr)
    if not outcome.sets:
        print("nothing was evaluated: none of the table's data is at hand", file=sys.stderr)
    return 1 if outcome.failures or not outcome.sets else 0


def _open_sets(options: argparse.Namespace, table: Table, outcome: Outcome) -> None:
    for name in options.sets or table.sets:
        source = SOURCES.get(name)
        title = source.title if source else name
        try:
            if source and name != "sample" and options.data is None:
                raise DataSetError(f"{title}: no --data was given. {remedy(name)}")
            dataset = open_dataset(name, options.data)
        except DataSetError as error:
            if options.sets:
                raise
            outcome.lines[name] = f"{title}: not at hand. {remedy(name)}"
            tqdm.write(f"note: {error}", file=sys.stderr)
            continue
        problems = check(name, options.data)
        for problem in problems:
            tqdm.write(f"note: {title}: {problem}", file=sys.stderr)
        outcome.sets[name] = dataset[: options.limit] if options.limit else dataset
        outcome.digests[name] = hashlib.sha256("\n".join(dataset.names).encode()).hexdigest()[:16]
        first = f"the first {len(outcome.sets[name]):,} of " if len(outcome.sets[name]) < len(dataset) else ""
        notes = "".join(f"; {without_folders(problem)}" for problem in problems)
        outcome.lines[name] = f"{title}, {first}{len(dataset):,} pictures{notes}"


def _run_all(
    options: argparse.Namespace,
    table: Table,
    methods: list[str],
    seeds: int,
    outcome: Outcome,
    folder: Path,
) -> None:
    steps = {"sets": len(sets_run.COUNTS) * seeds}
    amounts = [steps.get(table.kind, len(dataset)) for dataset in outcome.sets.values()]
    total = sum(amounts) * len(outcome.backbones) * (seeds if table.kind == "parts" else 1)
    unit = "draw" if table.kind == "sets" else "picture"
    with tqdm(total=total, unit=unit, smoothing=0.05, disable=None) as progress:
        for name, backbone in outcome.backbones.items():
            setup = Setup(backbone.recipe, options.edge_model)
            possible = _possible(table, methods, backbone, setup, outcome)
            for set_name, dataset in outcome.sets.items():
                progress.set_description(f"{SOURCES[set_name].title}, {name}")
                contents = dataset.contents()
                made_of = {
                    "weights": backbone.fingerprint,
                    "recipe": asdict(backbone.recipe),
                    "version": __version__,
                }
                if table.kind in _RUNS:  # its rows are made of all pictures; others of one, and say so
                    made_of["contents"] = hashlib.sha256("".join(contents.values()).encode()).hexdigest()
                records = Records(
                    folder / f"{set_name}-{name}.jsonl",
                    _settings(options, table, set_name, outcome.digests[set_name], backbone),
                    made_of,
                    overwrite=options.overwrite,
                )
                outcome.records[set_name, name] = records
                if table.kind in _RUNS:
                    go = _RUNS[table.kind]
                    outcome.failures |= go(dataset, backbone, possible, seeds, records, progress)
                    continue
                records.keep(partial(_is_current, contents))
                job = Job(
                    dataset,
                    contents,
                    backbone,
                    setup,
                    tuple(possible),
                    seeds,
                    localize=table.boxes,
                    own_inputs=inputs(options, table) == "own",
                    square=set_name == "cub",
                    size=options.size or "default",
                    batch=options.batch,
                )
                outcome.failures |= run(job, records, progress)


def _is_current(contents: dict[str, str], row: Row) -> bool:
    """Whether a row's picture and truth are still what they were; others are left alone."""
    image = row.get("image")
    return image not in contents or row.get("content") == contents[image]


def _possible(
    table: Table, methods: list[str], backbone: Backbone, setup: Setup, outcome: Outcome
) -> list[str]:
    """The methods that can be run with a backbone; why others cannot is kept for the report."""
    for method in methods:
        reason = None
        if table.kind == "parts":
            reason = parts_run.unavailable(method, backbone)
        elif table.kind == "pictures":
            reason = unavailable(METHODS[method], backbone, setup)
        if reason:
            outcome.unavailable[method] = reason
    return [method for method in methods if method not in outcome.unavailable]


def _settings(
    options: argparse.Namespace, table: Table, set_name: str, digest: str, backbone: Backbone
) -> Row:
    """What rows of one file must share. Methods, seeds and limits may differ: rows say theirs."""
    return {
        "table": options.table,
        "set": set_name,
        "pictures": digest,
        "backbone": backbone.name,
        "stride": backbone.stride,
        "size": options.size,
        "inputs": inputs(options, table),
        "batch": options.batch,
    }


_RUNS = {"sets": sets_run.run_sets, "parts": parts_run.run_parts}


def _chosen(kind: str, wanted: list[str] | None, there: tuple[str, ...]) -> list[str]:
    for name in wanted or ():
        if name not in there:
            raise ValueError(f"no {kind} of this table is called {name!r}; there are: {', '.join(there)}")
    return [name for name in there if not wanted or name in wanted]
