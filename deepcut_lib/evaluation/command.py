"""``evaluate TABLE``: fill a table of the paper, as far as the data at hand go, and report it."""

import argparse
import hashlib
import re
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from deepcut_lib import __version__
from deepcut_lib.backbones import BACKBONES, Backbone, load_backbone
from deepcut_lib.backbones.registry import PAPER as PAPER_BACKBONE
from deepcut_lib.datasets import SOURCES, DataSet, DataSetError, check, open_dataset, remedy
from deepcut_lib.evaluation import parts_run, report, sets_run
from deepcut_lib.evaluation.methods import METHODS, Setup, unavailable
from deepcut_lib.evaluation.records import Records, Row
from deepcut_lib.evaluation.run import Job, run
from deepcut_lib.evaluation.tables import METRICS, TABLES, Table
from deepcut_lib.files import write_whole
from deepcut_lib.kless import PICTURE_SIZE
from deepcut_lib.plots.tables import table_figure

HELP = "fill a table of the paper"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument("table", choices=list(TABLES), metavar="TABLE", help="1 to 5, or horses or sample")
    parser.add_argument("--data", type=Path, metavar="ROOT", help="folder of the data sets")
    parser.add_argument("--backbone", nargs="+", metavar="NAME", help=f"auto, or of: {', '.join(BACKBONES)}")
    parser.add_argument("--checkpoint", type=Path, metavar="FILE", help="local weights of the named ViT")
    parser.add_argument("--methods", nargs="+", metavar="NAME", help="only these rows (default: all)")
    parser.add_argument(
        "--sets", nargs="+", metavar="NAME", help="only these data sets (default: the table's)"
    )
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N pictures of each set")
    parser.add_argument("--seeds", type=int, metavar="N", help="seeds 0 to N−1 (default: 1; of table 5: 10)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps (default: auto)")
    parser.add_argument("--stride", type=int, metavar="PX", help="patch distance, below the patch side")
    parser.add_argument("--size", type=int, metavar="PX", help="side of squares that pictures are fitted to")
    parser.add_argument(
        "--inputs",
        choices=["own", "same"],
        help="fit pictures as each method's publication does, or alike for all (default: own in 1 and 2)",
    )
    parser.add_argument("--batch", type=int, default=8, help="pictures worked on together (default: 8)")
    parser.add_argument("--edge-model", type=Path, metavar="FILE", help="structured edges, for EdgeBoxes")
    parser.add_argument("--out", type=Path, default=Path("results"), metavar="DIR", help="(default: results)")
    parser.add_argument(
        "--record", type=Path, metavar="FILE", help="also put the report into this Markdown file"
    )
    parser.add_argument("--overwrite", action="store_true", help="forget results of earlier runs")


@dataclass
class Progress:
    """What a run has come to.

    Attributes:
        sets: the sets at hand, as far as --limit goes.
        digests: of the names of all their pictures.
        lines: what the report says of each set.
        backbones: those that were loaded.
        unavailable: why methods could not be run.
        failures: messages of what could not be done.
        records: by set and backbone.
    """

    sets: dict[str, DataSet] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    lines: dict[str, str] = field(default_factory=dict)
    backbones: dict[str, Backbone] = field(default_factory=dict)
    unavailable: dict[str, str] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    records: dict[tuple[str, str], Records] = field(default_factory=dict)


def run_command(options: argparse.Namespace) -> int:
    """Run the command; returns its exit code: 0, or 1 if a picture failed or there was nothing to do.

    Raises:
        DeepCutError, ValueError: what was asked for cannot be done; the message says why.
    """
    table = TABLES[options.table]
    methods = _chosen("method", options.methods, table.methods)
    seeds = table.seeds if options.seeds is None else options.seeds
    for name, number in (("--seeds", seeds), ("--batch", options.batch), ("--limit", options.limit or 1)):
        if number < 1:
            raise ValueError(f"{name} must be at least 1, not {number}")
    names = options.backbone or table.backbones
    if len(names) > 1 and table.by != "backbone":
        raise ValueError(f"this table takes one backbone at a time, not {len(names)}")
    state = Progress()
    _open_sets(options, table, state)
    if state.sets:
        for name in names:
            backbone = load_backbone(
                name, checkpoint=options.checkpoint, stride=options.stride, device=options.device
            )
            state.backbones[backbone.name] = backbone
    folder = options.out / _section(options, state)
    try:
        _run_all(options, table, methods, seeds, state, folder)
    finally:  # also when interrupted: what there is can be read
        text = _report(options, table, methods, seeds, state, folder)
    print(text)
    print(f"Written: {folder / 'report.md'}")
    for message in state.failures.values():
        print(f"not done: {message}", file=sys.stderr)
    if not state.sets:
        print("nothing was evaluated: none of the table's data is at hand", file=sys.stderr)
    return 1 if state.failures or not state.sets else 0


def _open_sets(options: argparse.Namespace, table: Table, state: Progress) -> None:
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
            state.lines[name] = f"{title}: not at hand. {remedy(name)}"
            tqdm.write(f"note: {error}", file=sys.stderr)
            continue
        problems = check(name, options.data)
        for problem in problems:
            tqdm.write(f"note: {title}: {problem}", file=sys.stderr)
        state.sets[name] = dataset[: options.limit] if options.limit else dataset
        state.digests[name] = hashlib.sha256("\n".join(dataset.names).encode()).hexdigest()[:16]
        first = f"the first {len(state.sets[name]):,} of " if len(state.sets[name]) < len(dataset) else ""
        notes = "".join(f"; {_without_folders(problem)}" for problem in problems)
        state.lines[name] = f"{title}, {first}{len(dataset):,} pictures{notes}"


def _run_all(
    options: argparse.Namespace,
    table: Table,
    methods: list[str],
    seeds: int,
    state: Progress,
    folder: Path,
) -> None:
    steps = {"sets": len(sets_run.COUNTS) * seeds}
    amounts = [steps.get(table.kind, len(dataset)) for dataset in state.sets.values()]
    total = sum(amounts) * len(state.backbones) * (seeds if table.kind == "parts" else 1)
    unit = "draw" if table.kind == "sets" else "picture"
    with tqdm(total=total, unit=unit, smoothing=0.05, disable=None) as progress:
        for name, backbone in state.backbones.items():
            setup = Setup(backbone.recipe, options.edge_model)
            possible = _possible(table, methods, backbone, setup, state)
            for set_name, dataset in state.sets.items():
                progress.set_description(f"{SOURCES[set_name].title}, {name}")
                records = Records(
                    folder / f"{set_name}-{name}.jsonl",
                    _settings(options, table, set_name, state.digests[set_name], backbone),
                    overwrite=options.overwrite,
                )
                state.records[set_name, name] = records
                if table.kind in _RUNS:
                    go = _RUNS[table.kind]
                    state.failures |= go(dataset, backbone, possible, seeds, records, progress)
                    continue
                job = Job(
                    dataset,
                    backbone,
                    setup,
                    tuple(possible),
                    seeds,
                    localize=table.boxes,
                    own_inputs=_inputs(options, table) == "own",
                    square=set_name == "cub",
                    size=options.size or "default",
                    batch=options.batch,
                )
                state.failures |= run(job, records, progress)


def _possible(
    table: Table, methods: list[str], backbone: Backbone, setup: Setup, state: Progress
) -> list[str]:
    """The methods that can be run with a backbone; why others cannot is kept for the report."""
    for method in methods:
        reason = None
        if table.kind == "parts":
            reason = parts_run.unavailable(method, backbone)
        elif table.kind == "pictures":
            reason = unavailable(METHODS[method], backbone, setup)
        if reason:
            state.unavailable[method] = reason
    return [method for method in methods if method not in state.unavailable]


def _settings(
    options: argparse.Namespace, table: Table, set_name: str, digest: str, backbone: Backbone
) -> Row:
    """What rows of one file must share. Methods, seeds and limits may differ: rows say theirs."""
    return {
        "table": options.table,
        "set": set_name,
        "pictures": digest,
        "backbone": backbone.name,
        "checkpoint": str(options.checkpoint) if options.checkpoint else None,
        "stride": backbone.stride,
        "size": options.size,
        "inputs": _inputs(options, table),
        "batch": options.batch,
        "version": __version__,
    }


def _report(
    options: argparse.Namespace,
    table: Table,
    methods: list[str],
    seeds: int,
    state: Progress,
    folder: Path,
) -> str:
    columns = _columns(options, table, state)
    tallies = report.tally(_rows(table, methods, seeds, state))
    found = [cell for cell in report.cells(table, options.table, columns, tallies) if cell.method in methods]
    facts = report.Facts(
        table=options.table,
        command=_command(options, table, state),
        backbones={name: BACKBONES.get(name, "weights of your own") for name in state.backbones},
        sets=state.lines,
        seeds=seeds if state.sets else 0,
        inputs=_INPUTS.get(table.kind) or _INPUTS[_inputs(options, table)],
        device=", ".join({str(one.device) for one in state.backbones.values()}) or "nothing run",
        titles=_titles(table),
        columns=columns,
        unavailable=state.unavailable,
        failures=[_without_folders(message) for message in state.failures.values()],
    )
    write_whole(folder / "table.csv", report.to_csv(facts, found))
    figure = _figure(table, facts, found, folder / "figure.png") if found else None
    text = report.to_markdown(table, facts, found, tallies, "figure.png" if figure else None)
    write_whole(folder / "report.md", text)
    if options.record:
        _record(options, table, facts, found, tallies, figure, folder.name)
    return text


def _rows(table: Table, methods: list[str], seeds: int, state: Progress) -> Iterator[tuple[str, Row]]:
    """The rows that were asked for, with their columns; a picture that was done twice counts once."""
    for (set_name, backbone), records in state.records.items():
        names = set(state.sets[set_name].names)
        for row in records.rows():
            if row["method"] not in methods or row["seed"] >= seeds:
                continue
            if table.kind != "sets" and row["image"] not in names:
                continue
            yield {"set": set_name, "backbone": backbone, **row}[table.by], row


def _columns(options: argparse.Namespace, table: Table, state: Progress) -> dict[str, str]:
    if table.by == "classes":
        return {str(count): f"{count} classes" for count in sets_run.COUNTS}
    if table.by == "backbone":
        return {name: name for name in state.backbones or options.backbone or table.backbones}
    return {name: SOURCES[name].title for name in options.sets or table.sets}


def _figure(table: Table, facts: report.Facts, found: list[report.Cell], path: Path) -> Path:
    metric = table.metrics[0]
    cells = {(cell.method, cell.column): cell for cell in found if cell.metric == metric}
    methods = [
        method for method in table.methods if any((method, column) in cells for column in facts.columns)
    ]

    def ours(cell: report.Cell | None) -> tuple[float, float] | None:
        return None if cell is None or cell.mean is None else (cell.mean, cell.std)

    def papers(cell: report.Cell | None) -> tuple[float, float] | None:
        return None if cell is None or cell.paper is None else (cell.paper[0], cell.paper[1] or 0.0)

    rows = [[cells.get((method, column)) for column in facts.columns] for method in methods]
    figure = table_figure(
        [facts.titles[method] for method in methods],
        list(facts.columns.values()),
        [[ours(cell) for cell in row] for row in rows],
        [[papers(cell) for cell in row] for row in rows],
        METRICS[metric],
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)
    return path


def _record(
    options: argparse.Namespace,
    table: Table,
    facts: report.Facts,
    found: list[report.Cell],
    tallies: report.Tallies,
    figure: Path | None,
    section: str,
) -> None:
    """Put the report into a collection of reports, in place of an earlier one of the same section."""
    path: Path = options.record
    link = None
    if figure:
        link = f"docs/results/{section}.png"
        write_whole(path.parent / link, figure.read_bytes())
    body = report.to_markdown(table, facts, found, tallies, link, level=2)
    begin, end = f"<!-- begin {section} -->", f"<!-- end {section} -->"
    block = f"{begin}\n{body}{end}"
    text = path.read_text(encoding="utf-8") if path.exists() else "# Results\n"
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    text, replaced = pattern.subn(lambda _: block, text)
    write_whole(path, text if replaced else f"{text.rstrip()}\n\n{block}\n")


def _section(options: argparse.Namespace, state: Progress) -> str:
    name = f"table{options.table}" if options.table.isdigit() else options.table
    return f"{name}-{next(iter(state.backbones))}" if len(state.backbones) == 1 else name


def _command(options: argparse.Namespace, table: Table, state: Progress) -> str:
    """The command that fills the table, without the folders of this machine."""
    used = options.backbone or (table.backbones if "auto" not in table.backbones else None)
    used = used or list(state.backbones) or [PAPER_BACKBONE]
    words = ["python -m deepcut_lib evaluate", options.table]
    if options.table != "sample" or options.data:
        words.append("--data ROOT")
    words += ["--backbone", *used]
    for flag in ("methods", "sets"):
        if getattr(options, flag):
            words += [f"--{flag}", *map(shlex.quote, getattr(options, flag))]
    for flag in ("limit", "seeds", "stride", "size", "inputs"):
        if getattr(options, flag) is not None:
            words.append(f"--{flag} {getattr(options, flag)}")
    if options.checkpoint:
        words.append(f"--checkpoint {shlex.quote(options.checkpoint.name)}")
    return " ".join(words)


def _titles(table: Table) -> dict[str, str]:
    if table.kind == "sets":
        return sets_run.TITLES
    if table.kind == "parts":
        return parts_run.TITLES
    return {name: method.title for name, method in METHODS.items()}


def _inputs(options: argparse.Namespace, table: Table) -> str:
    return options.inputs or ("own" if table.own_inputs else "same")


_RUNS = {"sets": sets_run.run_sets, "parts": parts_run.run_parts}

_INPUTS = {
    "own": "fitted as each method's publication does",
    "same": "squashed to the backbone's square, the same features for all methods",
    "sets": f"whole ones at {PICTURE_SIZE} pixels, one vector for each, the same for all methods",
    "parts": f"shorter side {parts_run.SHORTER_SIDE} pixels; methods are fitted to at most "
    f"{parts_run.FIT_ON}, then label all; background is a label of its own",
}


def _chosen(kind: str, wanted: list[str] | None, there: tuple[str, ...]) -> list[str]:
    for name in wanted or ():
        if name not in there:
            raise ValueError(f"no {kind} of this table is called {name!r}; there are: {', '.join(there)}")
    return [name for name in there if not wanted or name in wanted]


def _without_folders(problem: str) -> str:
    """A message for a report that others read: file names, without the folders of this machine."""
    return re.sub(r"(?<![\w:])/(?:[^\s/,:]+/)+", "", problem)
