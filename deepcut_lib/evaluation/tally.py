"""From rows of results to the numbers of a table."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from deepcut_lib.evaluation.paper import PAPER, Number
from deepcut_lib.evaluation.records import Row
from deepcut_lib.evaluation.scores import THRESHOLDS, expand_f
from deepcut_lib.evaluation.spread import WITH_INTERVAL, Interval, bootstrap
from deepcut_lib.evaluation.tables import METRICS
from deepcut_lib.metrics import cluster_scores, keypoint_scores


@dataclass
class Tally:
    """What the rows of one method, seed and column add up to: sums, parts' labels, and for intervals the
    pictures' own scores of a few measures."""

    rows: int = 0
    seconds: float = 0.0
    sums: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    f: np.ndarray = field(default_factory=lambda: np.zeros(len(THRESHOLDS)))
    f_rows: int = 0
    truth: list[list[int]] = field(default_factory=list)
    labels: list[list[int]] = field(default_factory=list)
    each: dict[str, dict[str, float]] = field(default_factory=dict)

    def add(self, row: Row) -> None:
        """Count a row."""
        self.rows += 1
        self.seconds += row["seconds"]
        for key in METRICS.keys() & row.keys():
            self.sums[key] = self.sums.get(key, 0.0) + row[key]
            self.counts[key] = self.counts.get(key, 0) + 1
        for key in WITH_INTERVAL & row.keys():
            self.each.setdefault(key, {})[row["image"]] = row[key]
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
        mean: ours, or None if there is none yet.
        std: sample standard deviation over seeds; 0 for one seed.
        seeds: how many seeds.
        images: how many pictures (or draws) of each.
        interval: 95 % of the means that other pictures of the kind would give, see `bootstrap`, or None.
        paper: the paper's number.
    """

    mean: float | None
    std: float
    seeds: int
    images: int
    interval: Interval | None
    paper: Number | None


Tallies = dict[tuple[str, str, int], Tally]
"""By column, method and seed."""

Cells = dict[tuple[str, str, str], Cell]
"""By method, column and measure."""


def tally(rows: Iterable[tuple[str, Row]]) -> Tallies:
    """Add up rows, each given with its column; one is held at a time."""
    tallies: Tallies = {}
    for column, row in rows:
        tallies.setdefault((column, row["method"], row["seed"]), Tally()).add(row)
    return tallies


def of_seeds(tallies: Tallies, method: str, column: str) -> list[Tally]:
    """The tallies of one method and column, seed by seed."""
    return [of_seed for (where, what, _), of_seed in tallies.items() if (where, what) == (column, method)]


def cells(
    table: str, methods: Sequence[str], columns: Iterable[str], metrics: Sequence[str], tallies: Tallies
) -> Cells:
    """All numbers of a table, with the paper's; those that nobody has are left out.

    Args:
        table: its name in `PAPER`.
        methods: its rows.
        columns: its columns.
        metrics: names in `METRICS`.
        tallies: what has been measured.
    """
    numbers: Cells = {}
    for column in columns:
        for method in methods:
            seeds = of_seeds(tallies, method, column)
            scores = [of_seed.scores() for of_seed in seeds]
            images = max((of_seed.rows for of_seed in seeds), default=0)
            for metric in metrics:
                values = np.array([of_seed[metric] for of_seed in scores if metric in of_seed])
                values = values * (1 if metric == "clusters" else 100)
                paper = PAPER[table].get((method, column, metric))
                if not len(values) and paper is None:
                    continue
                numbers[method, column, metric] = Cell(
                    float(values.mean()) if len(values) else None,
                    float(values.std(ddof=1)) if len(values) > 1 else 0.0,
                    len(values),
                    images,
                    _interval(seeds, metric),
                    paper,
                )
    return numbers


def by_picture(seeds: Sequence[Tally], metric: str) -> dict[str, float]:
    """Each picture's score, in percent, as the mean over the seeds that have it."""
    scores: dict[str, list[float]] = {}
    for of_seed in seeds:
        for image, score in of_seed.each.get(metric, {}).items():
            scores.setdefault(image, []).append(100 * score)
    return {image: float(np.mean(of_image)) for image, of_image in scores.items()}


def _interval(seeds: Sequence[Tally], metric: str) -> Interval | None:
    scores = by_picture(seeds, metric)
    return bootstrap(list(scores.values())) if len(scores) > 1 else None


@dataclass(frozen=True)
class Difference:
    """How much better one method is than another on the same pictures, in percent points.

    Attributes:
        mean: of the first's score minus the second's.
        interval: see `bootstrap`.
        images: pictures that both have.
    """

    mean: float
    interval: Interval
    images: int


def difference(tallies: Tallies, pair: tuple[str, str], column: str, metric: str) -> Difference | None:
    """The paired difference of two methods, or None where they share fewer than two pictures."""
    first, second = (by_picture(of_seeds(tallies, method, column), metric) for method in pair)
    apart = [first[image] - second[image] for image in first if image in second]
    if len(apart) < 2:
        return None
    return Difference(float(np.mean(apart)), bootstrap(apart), len(apart))
