"""What a run has come to, written down: report, table and figure, and a place in a collection of reports."""

import argparse
import io
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from deepcut_lib.backbones import BACKBONES, Backbone
from deepcut_lib.backbones.registry import PAPER as PAPER_BACKBONE
from deepcut_lib.datasets import SOURCES, DataSet
from deepcut_lib.evaluation import parts_run, report, sets_run
from deepcut_lib.evaluation.methods import METHODS
from deepcut_lib.evaluation.records import Records, Row
from deepcut_lib.evaluation.tables import METRICS, Table
from deepcut_lib.files import write_whole
from deepcut_lib.kless import PICTURE_SIZE
from deepcut_lib.plots.tables import table_figure

_INPUTS = {
    "own": "fitted as each method's publication does",
    "same": "squashed to the backbone's square, the same features for all methods",
    "sets": f"whole ones at {PICTURE_SIZE} pixels, one vector for each, the same for all methods",
    "parts": f"shorter side {parts_run.SHORTER_SIDE} pixels; methods are fitted to at most "
    f"{parts_run.FIT_ON}, then label all; background is a label of its own",
}


@dataclass
class Outcome:
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


def write_up(
    options: argparse.Namespace,
    table: Table,
    methods: list[str],
    seeds: int,
    outcome: Outcome,
    folder: Path,
) -> str:
    """Write report, table and figure of what there is, and record it if that was asked for.

    Args:
        options: the command's.
        table: which table.
        methods, seeds: those asked for.
        outcome: what the run has come to.
        folder: where report.md, table.csv and figure.png go.

    Returns:
        The report, Markdown.
    """
    columns = _columns(options, table, outcome)
    tallies = report.tally(_rows(table, methods, seeds, outcome))
    found = [cell for cell in report.cells(table, options.table, columns, tallies) if cell.method in methods]
    facts = report.Facts(
        table=options.table,
        command=_command(options, table, outcome),
        backbones={name: BACKBONES.get(name, "weights of your own") for name in outcome.backbones},
        sets=outcome.lines,
        seeds=seeds if outcome.sets else 0,
        inputs=_INPUTS.get(table.kind) or _INPUTS[inputs(options, table)],
        device=", ".join({str(one.device) for one in outcome.backbones.values()}) or "nothing run",
        titles=titles(table),
        columns=columns,
        unavailable=outcome.unavailable,
        failures=[without_folders(message) for message in outcome.failures.values()],
    )
    write_whole(folder / "table.csv", report.to_csv(facts, found))
    drawn = any(cell.metric == table.metrics[0] for cell in found)  # boxes alone have no IoU of masks
    figure = _figure(table, facts, found, folder / "figure.png") if drawn else None
    text = report.to_markdown(table, facts, found, tallies, "figure.png" if figure else None)
    write_whole(folder / "report.md", text)
    if options.record:
        _record(options, table, facts, found, tallies, figure, folder.name)
    return text


def _rows(table: Table, methods: list[str], seeds: int, outcome: Outcome) -> Iterator[tuple[str, Row]]:
    """The rows that were asked for, with their columns; a picture that was done twice counts once."""
    for (set_name, backbone), records in outcome.records.items():
        names = set(outcome.sets[set_name].names)
        for row in records.rows():
            if row["method"] not in methods or row["seed"] >= seeds:
                continue
            if table.kind != "sets" and row["image"] not in names:
                continue
            yield {"set": set_name, "backbone": backbone, **row}[table.by], row


def _columns(options: argparse.Namespace, table: Table, outcome: Outcome) -> dict[str, str]:
    if table.by == "classes":
        return {str(count): f"{count} classes" for count in sets_run.COUNTS}
    if table.by == "backbone":
        return {name: name for name in outcome.backbones or options.backbone or table.backbones}
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
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=100)
    write_whole(path, buffer.getvalue())
    return path


def _record(
    options: argparse.Namespace,
    table: Table,
    facts: report.Facts,
    found: list[report.Cell],
    tallies: report.Tallies,
    figure: Path | None,
    name: str,
) -> None:
    """Put the report into a collection of reports, in place of an earlier one of the same section."""
    path: Path = options.record
    link = None
    if figure:
        link = f"docs/results/{name}.png"
        write_whole(path.parent / link, figure.read_bytes())
    body = report.to_markdown(table, facts, found, tallies, link, level=2)
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    block = f"{begin}\n{body}{end}"
    text = path.read_text(encoding="utf-8") if path.exists() else "# Results\n"
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    text, replaced = pattern.subn(lambda _: block, text)
    write_whole(path, text if replaced else f"{text.rstrip()}\n\n{block}\n")


def section(options: argparse.Namespace, outcome: Outcome) -> str:
    """What the folder of a run and its place in a collection are called."""
    name = f"table{options.table}" if options.table.isdigit() else options.table
    return f"{name}-{next(iter(outcome.backbones))}" if len(outcome.backbones) == 1 else name


def _command(options: argparse.Namespace, table: Table, outcome: Outcome) -> str:
    """The command that fills the table, without the folders of this machine."""
    used = options.backbone or (table.backbones if "auto" not in table.backbones else None)
    used = used or list(outcome.backbones) or [PAPER_BACKBONE]
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


def titles(table: Table) -> dict[str, str]:
    """What the table's rows are called, by method."""
    if table.kind == "sets":
        return sets_run.TITLES
    if table.kind == "parts":
        return parts_run.TITLES
    return {name: method.title for name, method in METHODS.items()}


def inputs(options: argparse.Namespace, table: Table) -> str:
    """How pictures are fitted: as each method's publication does ("own"), or the same for all."""
    return options.inputs or ("own" if table.own_inputs else "same")


def without_folders(problem: str) -> str:
    """A message for a report that others read: file names, without the folders of this machine."""
    return re.sub(r"(?<![\w:])/(?:[^\s/,:]+/)+", "", problem)
