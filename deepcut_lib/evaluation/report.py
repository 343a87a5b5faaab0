"""From rows of results to a table: Markdown, CSV, and the numbers of a figure."""

import csv
import io
import platform
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

import numpy as np
import torch

from deepcut_lib import __version__
from deepcut_lib.evaluation.paper import PAPER, Number
from deepcut_lib.evaluation.records import Row
from deepcut_lib.evaluation.scores import THRESHOLDS, expand_f
from deepcut_lib.evaluation.tables import METRICS, Table
from deepcut_lib.metrics import cluster_scores, keypoint_scores

PACKAGES = ("torch", "numpy", "scipy", "scikit-learn", "timm", "pillow")


@dataclass
class Tally:
    """What the rows of one method, seed and column add up to; only sums are kept, and parts' labels."""

    rows: int = 0
    seconds: float = 0.0
    sums: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    f: np.ndarray = field(default_factory=lambda: np.zeros(len(THRESHOLDS)))
    f_rows: int = 0
    truth: list[list[int]] = field(default_factory=list)
    labels: list[list[int]] = field(default_factory=list)

    def add(self, row: Row) -> None:
        """Count a row."""
        self.rows += 1
        self.seconds += row["seconds"]
        for key in METRICS.keys() & row.keys():
            self.sums[key] = self.sums.get(key, 0.0) + row[key]
            self.counts[key] = self.counts.get(key, 0) + 1
        if "f" in row:
            self.f += expand_f(row["f"])
            self.f_rows += 1
        if "parts" in row:
            self.truth.append(row["parts"])
            self.labels.append(row["labels"])

    def scores(self) -> dict[str, float]:
        """The measures: means over pictures; max F and those of key points over all of them at once."""
        scores = {key: total / self.counts[key] for key, total in self.sums.items()}
        if self.f_rows:
            scores["max_f"] = float(self.f.max() / self.f_rows)
        if sum(map(len, self.truth)):
            pooled = keypoint_scores(self.truth, self.labels)
            scores |= {"nmi": pooled.nmi, "ari": pooled.ari, "clusters": pooled.n_clusters}
            truth, labels = np.concatenate(self.truth), np.concatenate(self.labels)
            if (labels > 0).any():
                alone = cluster_scores(truth[labels > 0], labels[labels > 0])
                scores |= {"nmi_parts": alone.nmi, "ari_parts": alone.ari}
        return scores


@dataclass(frozen=True)
class Cell:
    """One number of a table: mean and deviation over seeds, in percent (but ``clusters``).

    Attributes:
        method: the row.
        column: the column.
        metric: the measure.
        mean: ours, or None if there is none yet.
        std: sample standard deviation over seeds; 0 for one seed.
        seeds: how many seeds.
        images: how many pictures (or draws) of each.
        paper: the paper's number.
    """

    method: str
    column: str
    metric: str
    mean: float | None
    std: float
    seeds: int
    images: int
    paper: Number | None


@dataclass(frozen=True)
class Facts:
    """What a report says of how its numbers were made.

    Attributes:
        table: name of the table.
        command: what fills it.
        backbones: name → one line on what it is.
        sets: set → a line on it: how many pictures, or why there are none.
        seeds: how many.
        inputs: how pictures were fitted.
        device: where it ran.
        titles: of methods.
        columns: of columns, in order.
        unavailable: method → why it could not be run.
        failures: messages of what could not be done.
    """

    table: str
    command: str
    backbones: Mapping[str, str]
    sets: Mapping[str, str]
    seeds: int
    inputs: str
    device: str
    titles: Mapping[str, str]
    columns: Mapping[str, str]
    unavailable: Mapping[str, str]
    failures: Iterable[str]


Tallies = dict[tuple[str, str, int], Tally]
"""By column, method and seed."""


def tally(rows: Iterable[tuple[str, Row]]) -> Tallies:
    """Add up rows, each given with its column; one is held at a time."""
    tallies: Tallies = {}
    for column, row in rows:
        tallies.setdefault((column, row["method"], row["seed"]), Tally()).add(row)
    return tallies


def cells(table: Table, name: str, columns: Iterable[str], tallies: Tallies) -> list[Cell]:
    """All numbers of a table, with the paper's; those that nobody has are left out."""
    return list(_cells(table, name, columns, tallies))


def _cells(table: Table, name: str, columns: Iterable[str], tallies: Tallies) -> Iterator[Cell]:
    for column in columns:
        for method in table.methods:
            seeds = [one for (where, what, _), one in tallies.items() if (where, what) == (column, method)]
            for metric in table.metrics:
                values = np.array([scores[metric] for one in seeds if metric in (scores := one.scores())])
                values = values * (1 if metric == "clusters" else 100)
                paper = PAPER[name].get((method, column, metric))
                if not len(values) and paper is None:
                    continue
                yield Cell(
                    method,
                    column,
                    metric,
                    float(values.mean()) if len(values) else None,
                    float(values.std(ddof=1)) if len(values) > 1 else 0.0,
                    len(values),
                    max((one.rows for one in seeds), default=0),
                    paper,
                )


def to_csv(facts: Facts, found: Iterable[Cell]) -> str:
    """One line for each number; no times, so that the same results give the same file."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["table", "column", "method", "measure", "mean", "std", "seeds", "images", "paper"])
    for cell in found:
        mean = "" if cell.mean is None else f"{cell.mean:.4f}"
        std = "" if cell.mean is None else f"{cell.std:.4f}"
        paper = "" if cell.paper is None else cell.paper[0]
        writer.writerow(
            [facts.table, cell.column, cell.method, cell.metric, mean, std, cell.seeds, cell.images, paper]
        )
    return buffer.getvalue()


def to_markdown(
    table: Table, facts: Facts, found: list[Cell], tallies: Tallies, figure: str | None, level: int = 1
) -> str:
    """The report: how it was made, ours beside the paper's, further measures, speed, what failed."""
    by_key = {(cell.method, cell.column, cell.metric): cell for cell in found}
    backbone = f", `{next(iter(facts.backbones))}`" if len(facts.backbones) == 1 else ""
    parts = [f"{'#' * level} {table.title}{backbone}", *_facts(table, facts)]
    if figure:
        parts.append(f"![{table.title}: {METRICS[table.metrics[0]]} of each method as bars]({figure})")
    several = len(facts.columns) > 1 or bool(PAPER[facts.table])
    if several:
        parts += [f"{METRICS[table.metrics[0]]}:", _compared(table, facts, by_key, table.metrics[0])]
        parts += [
            f"{METRICS[metric]}:\n\n{_compared(table, facts, by_key, metric)}"
            for metric in table.metrics[1:]
            if any(cell.metric == metric for cell in found)
        ]
    else:
        parts.append(_measures(table, facts, by_key))
    if tallies:
        parts += ["Images a second, features included, one method at a time:", _speed(table, facts, tallies)]
    lines = [f"* {facts.titles[name]}: {reason}" for name, reason in facts.unavailable.items()]
    if lines:
        parts += ["Not run:", "\n".join(lines)]
    failures = list(facts.failures)
    if failures:
        parts += [f"{len(failures)} could not be done:", "\n".join(f"* {one}" for one in failures)]
    return "\n\n".join(parts) + "\n"


def _facts(table: Table, facts: Facts) -> Iterator[str]:
    yield f"    {facts.command}"
    lines = [f"* data: {line}" for line in facts.sets.values()]
    lines += [f"* backbone: `{name}`, {what}" for name, what in facts.backbones.items()]
    if facts.seeds:
        several = f"seeds 0 to {facts.seeds - 1}: mean ± sample standard deviation over them"
        lines.append(f"* {several if facts.seeds > 1 else 'seed 0'}")
    lines.append(f"* pictures: {facts.inputs}")
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    threads = f"{torch.get_num_threads()} thread{'s' if torch.get_num_threads() > 1 else ''}"
    python = platform.python_version()
    lines.append(f"* deepcut_lib {__version__}, Python {python}, {packages}; {facts.device}, {threads}")
    counted = ", but for numbers of clusters" if "clusters" in table.metrics else ""
    lines.append(f"* in percent{counted}; *paper*: the paper's number; an empty place has not been measured")
    yield "\n".join(lines)


def _compared(table: Table, facts: Facts, by_key: dict[tuple[str, str, str], Cell], metric: str) -> str:
    """Rows of methods; for each column ours and, where the paper has any, the paper's."""
    has_paper = any(key[2] == metric for key in PAPER[facts.table])
    header = ["method"]
    for title in facts.columns.values():
        header += [title, "*paper*"] if has_paper else [title]
    lines = []
    for method in table.methods:
        line = [facts.titles[method]]
        for column in facts.columns:
            cell = by_key.get((method, column, metric))
            line.append(_ours(cell))
            if has_paper:
                line.append(_papers(cell))
        if any(line[1:]) or metric == table.metrics[0]:
            lines.append(line)
    return _grid(header, lines)


def _measures(table: Table, facts: Facts, by_key: dict[tuple[str, str, str], Cell]) -> str:
    """Rows of methods, columns of measures, for the only column."""
    (column,) = facts.columns
    lines = [
        [facts.titles[method], *(_ours(by_key.get((method, column, metric))) for metric in table.metrics)]
        for method in table.methods
        if any((method, column, metric) in by_key for metric in table.metrics)
    ]
    return _grid(["method", *(METRICS[metric] for metric in table.metrics)], lines)


def _speed(table: Table, facts: Facts, tallies: Tallies) -> str:
    lines = []
    for method in table.methods:
        line = [facts.titles[method]]
        for column in facts.columns:
            mine = [one for (where, what, _), one in tallies.items() if (where, what) == (column, method)]
            seconds = sum(one.seconds for one in mine)
            line.append(f"{sum(one.rows for one in mine) / seconds:.1f}" if seconds else "")
        if any(line[1:]):
            lines.append(line)
    return _grid(["method", *facts.columns.values()], lines)


def _ours(cell: Cell | None) -> str:
    if cell is None or cell.mean is None:
        return ""
    return f"{cell.mean:.1f} ± {cell.std:.1f}" if cell.seeds > 1 else f"{cell.mean:.1f}"


def _papers(cell: Cell | None) -> str:
    if cell is None or cell.paper is None:
        return ""
    mean, std = cell.paper
    return f"*{mean}*" if std is None else f"*{mean} ± {std}*"


def _grid(header: list[str], lines: list[list[Any]]) -> str:
    rule = "|".join("---" for _ in header)
    return "\n".join(
        ["| " + " | ".join(header) + " |", f"|{rule}|", *("| " + " | ".join(line) + " |" for line in lines)]
    )
