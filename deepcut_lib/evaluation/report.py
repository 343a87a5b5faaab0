"""An evaluation written down: Markdown, CSV and figure, and its place in a collection of reports."""

import csv
import io
import platform
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import torch

from deepcut_lib import __version__
from deepcut_lib.backbones import BACKBONES
from deepcut_lib.backbones.registry import PAPER as PAPER_BACKBONE
from deepcut_lib.evaluation.paper import PAPER, QUOTED, Quoted
from deepcut_lib.evaluation.records import Row
from deepcut_lib.evaluation.spread import PAIRS, RESAMPLES, WITH_INTERVAL
from deepcut_lib.evaluation.state import Evaluation
from deepcut_lib.evaluation.tables import METRICS
from deepcut_lib.evaluation.tally import Cell, Cells, Difference, Tallies, cells, difference, of_seeds, tally
from deepcut_lib.files import write_whole
from deepcut_lib.plots.tables import table_figure

PACKAGES = ("torch", "numpy", "scipy", "scikit-learn", "timm", "pillow")


@dataclass(frozen=True)
class Report:
    """An evaluation and its numbers.

    Attributes:
        evaluation: how they were made.
        columns: the table's columns, in order, and their titles.
        quoted: rows that only have the paper's numbers.
        cells: the numbers.
        tallies: what they were made from.
    """

    evaluation: Evaluation
    columns: Mapping[str, str]
    quoted: Mapping[str, Quoted]
    cells: Cells
    tallies: Tallies

    @property
    def titles(self) -> dict[str, str]:
        """Of the table's rows, in order: those that can be run, then those that are quoted."""
        table = self.evaluation.table
        return {method: table.task.titles[method] for method in table.methods} | {
            name: f"{row.title} (quoted)" for name, row in self.quoted.items()
        }


def write_report(evaluation: Evaluation) -> str:
    """Write report.md, table.csv and figure.png of what there is, and record the report where that is wanted.

    Returns:
        The report, Markdown.

    Raises:
        DeepCutError: a file cannot be written, or a results file cannot be read.
    """
    request, table = evaluation.request, evaluation.table
    columns = table.task.columns(
        request.sets or table.sets, list(evaluation.backbones) or request.backbones or table.backbones
    )
    tallies = tally(_rows(evaluation))
    quoted = {
        name: row
        for name, row in QUOTED.get(request.table, {}).items()
        if any(column in columns for column, _ in row.numbers)
    }
    numbers = cells(request.table, [*table.methods, *quoted], columns, table.metrics, tallies)
    report = Report(evaluation, columns, quoted, numbers, tallies)
    folder = evaluation.folder
    write_whole(folder / "table.csv", to_csv(report))
    # where boxes alone were found, there is no IoU of masks to draw
    drawn = any(metric == table.metrics[0] for _, _, metric in numbers)
    figure = _figure(report) if drawn else None
    if figure:
        write_whole(folder / "figure.png", figure)
    text = to_markdown(report, "figure.png" if figure else None)
    write_whole(folder / "report.md", text)
    if request.record:
        _record(report, request.record, figure)
    return text


def _rows(evaluation: Evaluation) -> Iterator[tuple[str, Row]]:
    """The rows that were asked for, with their columns."""
    task = evaluation.table.task
    for (set_name, backbone), records in evaluation.records.items():
        names = set(evaluation.sets[set_name].names)
        for row in records.rows():
            if row["method"] not in evaluation.methods or row["seed"] >= evaluation.seeds:
                continue
            if task.pooled or row["image"] in names:
                yield task.column(row, set_name, backbone), row


def to_csv(report: Report) -> str:
    """One line for each number; no times, so that the same results give the same file."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["table", "column", "method", "measure", "mean", "std", "seeds", "images", "paper"])
    name = report.evaluation.request.table
    for (method, column, metric), cell in report.cells.items():
        mean = "" if cell.mean is None else f"{cell.mean:.4f}"
        std = "" if cell.mean is None else f"{cell.std:.4f}"
        paper = "" if cell.paper is None else cell.paper[0]
        writer.writerow([name, column, method, metric, mean, std, cell.seeds, cell.images, paper])
    return buffer.getvalue()


def to_markdown(report: Report, figure: str | None, level: int = 1) -> str:
    """The report: how it was made, ours beside the paper's, further measures, speed, what failed.

    Args:
        report: the evaluation and its numbers.
        figure: where the figure is, as seen from the file that the text goes to.
        level: of the heading.
    """
    evaluation, table = report.evaluation, report.evaluation.table
    backbone = f", `{next(iter(evaluation.backbones))}`" if len(evaluation.backbones) == 1 else ""
    parts = [f"{'#' * level} {table.title}{backbone}", f"    {_command(evaluation)}", _facts(evaluation)]
    if figure:
        parts.append(f"![{table.title}: {METRICS[table.metrics[0]]} of each method as bars]({figure})")
    if len(report.columns) > 1 or PAPER[evaluation.request.table]:
        parts += [f"{METRICS[table.metrics[0]]}:", _compared(report, table.metrics[0])]
        measured = {metric for _, _, metric in report.cells}
        parts += [
            f"{METRICS[metric]}:\n\n{_compared(report, metric)}"
            for metric in table.metrics[1:]
            if metric in measured
        ]
    else:
        parts.append(_measures(report))
    differences = _differences(report)
    if differences:
        parts += [
            f"{METRICS[table.metrics[0]]}, one method's minus another's on the same pictures, in points, "
            "with the 95 % bootstrap interval of that difference:",
            differences,
        ]
    if report.quoted:
        lines = [f"* {row.title}: {row.reason}" for row in report.quoted.values()]
        parts += ["Quoted from the paper, not run:", "\n".join(lines)]
    if report.tallies:
        parts += ["Images a second, features included, one method at a time:", _speed(report)]
    if evaluation.not_run:
        lines = [f"* {report.titles[name]}: {reason}" for name, reason in evaluation.not_run.items()]
        parts += ["Not run:", "\n".join(lines)]
    if evaluation.failures:
        lines = [f"* {without_folders(message)}" for message in evaluation.failures.values()]
        parts += [f"{len(lines)} could not be done:", "\n".join(lines)]
    return "\n\n".join(parts) + "\n"


def _command(evaluation: Evaluation) -> str:
    """The command that fills the table, without the folders of this machine."""
    request, table = evaluation.request, evaluation.table
    used = request.backbones or (table.backbones if "auto" not in table.backbones else None)
    used = used or list(evaluation.backbones) or [PAPER_BACKBONE]
    words = ["python -m deepcut_lib evaluate", request.table]
    if request.table != "sample" or request.data:
        words.append("--data ROOT")
    words += ["--backbone", *used]
    for flag, names in (("--methods", request.methods), ("--sets", request.sets)):
        if names:
            words += [flag, *map(shlex.quote, names)]
    for flag, value in (
        ("--limit", request.limit),
        ("--seeds", request.seeds),
        ("--stride", request.stride),
        ("--size", request.size),
        ("--inputs", request.inputs),
        ("--certificate", request.certificate),
    ):
        if value is not None:
            words.append(f"{flag} {value:g}" if isinstance(value, float) else f"{flag} {value}")
    if request.checkpoint:
        words.append(f"--checkpoint {shlex.quote(request.checkpoint.name)}")
    return " ".join(words)


def _facts(evaluation: Evaluation) -> str:
    """What a reader must know to trust the numbers, or to get them again."""
    table = evaluation.table
    lines = [f"* data: {line}" for line in evaluation.lines.values()]
    lines += [
        f"* backbone: `{name}`, {BACKBONES.get(name, 'weights of your own')}" for name in evaluation.backbones
    ]
    if evaluation.sets:
        several = f"seeds 0 to {evaluation.seeds - 1}: mean ± sample standard deviation over them"
        lines.append(f"* {several if evaluation.seeds > 1 else 'seed 0'}")
    lines.append(f"* pictures: {table.task.inputs_line(evaluation.inputs)}")
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    devices = {str(backbone.device) for backbone in evaluation.backbones.values()}
    device = ", ".join(devices) or "nothing run"
    threads = f"{torch.get_num_threads()} thread{'s' if torch.get_num_threads() > 1 else ''}"
    python = platform.python_version()
    lines.append(f"* deepcut_lib {__version__}, Python {python}, {packages}; {device}, {threads}")
    counted = ", but for numbers of clusters" if "clusters" in table.metrics else ""
    if WITH_INTERVAL & set(table.metrics):
        lines.append(
            f"* [from, to]: 95 % bootstrap interval over pictures, {RESAMPLES:,} resamples of each picture's "
            "mean over seeds"
        )
    lines.append(f"* in percent{counted}; *paper*: the paper's number; an empty place has not been measured")
    return "\n".join(lines)


def _compared(report: Report, metric: str) -> str:
    """Rows of methods; for each column ours and, where the paper has any, the paper's."""
    table = report.evaluation.table
    has_paper = any(of == metric for _, _, of in PAPER[report.evaluation.request.table])
    header = ["method"]
    for title in report.columns.values():
        header += [title, "*paper*"] if has_paper else [title]
    lines = []
    for method, title in report.titles.items():
        line = [title]
        for column in report.columns:
            cell = report.cells.get((method, column, metric))
            line.append(_ours(cell))
            if has_paper:
                line.append(_papers(cell))
        if any(line[1:]) or metric == table.metrics[0]:
            lines.append(line)
    return _grid(header, lines)


def _measures(report: Report) -> str:
    """Rows of methods, columns of measures, for the only column."""
    (column,) = report.columns
    metrics = report.evaluation.table.metrics
    lines = [
        [title, *(_ours(report.cells.get((method, column, metric))) for metric in metrics)]
        for method, title in report.titles.items()
        if any((method, column, metric) in report.cells for metric in metrics)
    ]
    return _grid(["method", *(METRICS[metric] for metric in metrics)], lines)


def _differences(report: Report) -> str:
    """Rows of pairs of methods, of those that were run."""
    metric, lines = report.evaluation.table.metrics[0], []
    for pair in PAIRS if metric in WITH_INTERVAL else ():
        apart = [difference(report.tallies, pair, column, metric) for column in report.columns]
        if any(apart):
            title = " − ".join(report.titles.get(method, method) for method in pair)
            lines.append([title, *map(_apart, apart)])
    return _grid(["methods", *report.columns.values()], lines) if lines else ""


def _apart(cell: Difference | None) -> str:
    if cell is None:
        return ""
    return f"{cell.mean:+.1f} [{cell.interval[0]:+.1f}, {cell.interval[1]:+.1f}]"


def _speed(report: Report) -> str:
    lines = []
    for method, title in report.titles.items():
        line = [title]
        for column in report.columns:
            seeds = of_seeds(report.tallies, method, column)
            seconds = sum(of_seed.seconds for of_seed in seeds)
            line.append(f"{sum(of_seed.rows for of_seed in seeds) / seconds:.1f}" if seconds else "")
        if any(line[1:]):
            lines.append(line)
    return _grid(["method", *report.columns.values()], lines)


def _ours(cell: Cell | None) -> str:
    if cell is None or cell.mean is None:
        return ""
    mean = f"{cell.mean:.1f} ± {cell.std:.1f}" if cell.seeds > 1 else f"{cell.mean:.1f}"
    return mean if cell.interval is None else f"{mean} [{cell.interval[0]:.1f}, {cell.interval[1]:.1f}]"


def _papers(cell: Cell | None) -> str:
    if cell is None or cell.paper is None:
        return ""
    mean, std = cell.paper
    return f"*{mean}*" if std is None else f"*{mean} ± {std}*"


def _grid(header: list[str], lines: list[list[str]]) -> str:
    rule = "|".join("---" for _ in header)
    return "\n".join(
        ["| " + " | ".join(header) + " |", f"|{rule}|", *("| " + " | ".join(line) + " |" for line in lines)]
    )


def _figure(report: Report) -> bytes:
    """The first measure as bars, PNG: the methods that have a number of it, ours or the paper's."""
    metric = report.evaluation.table.metrics[0]
    rows = {
        title: [report.cells.get((method, column, metric)) for column in report.columns]
        for method, title in report.titles.items()
    }
    rows = {title: row for title, row in rows.items() if any(row)}

    def ours(cell: Cell | None) -> tuple[float, float] | None:
        return None if cell is None or cell.mean is None else (cell.mean, cell.std)

    def papers(cell: Cell | None) -> tuple[float, float] | None:
        return None if cell is None or cell.paper is None else (cell.paper[0], cell.paper[1] or 0.0)

    figure = table_figure(
        list(rows),
        list(report.columns.values()),
        [[ours(cell) for cell in row] for row in rows.values()],
        [[papers(cell) for cell in row] for row in rows.values()],
        METRICS[metric],
    )
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=100)
    return buffer.getvalue()


def _record(report: Report, path: Path, figure: bytes | None) -> None:
    """Put the report into a collection of reports, in place of an earlier one of the same section."""
    name = report.evaluation.folder.name
    link = None
    if figure:
        link = f"docs/results/{name}.png"
        write_whole(path.parent / link, figure)
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    block = f"{begin}\n{to_markdown(report, link, level=2)}{end}"
    text = path.read_text(encoding="utf-8") if path.exists() else "# Results\n"
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    text, replaced = pattern.subn(lambda _: block, text)
    write_whole(path, text if replaced else f"{text.rstrip()}\n\n{block}\n")


def without_folders(problem: str) -> str:
    """A message for a report that others read: file names, without the folders of this machine."""
    return re.sub(r"(?<![\w:./])(?:\.{1,2}/(?:[^\s/,:]+/)*|/(?:[^\s/,:]+/)+)", "", problem)
