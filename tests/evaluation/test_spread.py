"""Intervals over pictures, and differences of methods on the same pictures."""

import numpy as np
import pytest

from deepcut_lib.evaluation.methods import METHODS
from deepcut_lib.evaluation.spread import PAIRS, bootstrap
from deepcut_lib.evaluation.tally import cells, difference, tally
from deepcut_lib.evaluation.tasks import clips


def test_an_interval_is_as_wide_as_theory_says() -> None:
    sample = np.random.default_rng(1).normal(50, 20, 400)
    low, high = bootstrap(list(sample))
    assert low < sample.mean() < high
    assert (high - low) / 2 == pytest.approx(1.96 * sample.std() / 20, rel=0.1)
    assert bootstrap([3.0] * 9) == (3.0, 3.0)
    assert bootstrap(list(sample)) == (low, high)  # the same each time


def test_pairs_are_compared_picture_by_picture() -> None:
    generator = np.random.default_rng(2)
    hard = generator.uniform(0.1, 0.9, 60)
    rows = [
        ("duts", {"method": method, "seed": seed, "image": str(i), "seconds": 1.0, "iou": iou + shift})
        for method, shift in (("prior_ncut", 0.05), ("prior_alone", 0.0))
        for seed in range(2 if shift else 1)
        for i, iou in enumerate(hard + generator.normal(0, 0.01, 60))
    ]
    tallies = tally(rows)  # type: ignore[arg-type]
    apart = difference(tallies, ("prior_ncut", "prior_alone"), "duts", "iou")
    assert apart is not None
    assert apart.images == 60
    assert apart.mean == pytest.approx(5, abs=0.5)
    assert 0 < apart.interval[0] < apart.mean < apart.interval[1]
    cell = cells("sample", ["prior_ncut"], ["duts"], ["iou"], tallies)["prior_ncut", "duts", "iou"]
    assert cell.interval is not None
    width = cell.interval[1] - cell.interval[0]
    assert apart.interval[1] - apart.interval[0] < width / 5  # hard pictures are hard for both
    assert difference(tallies, ("prior_ncut", "ncut"), "duts", "iou") is None


def test_methods_that_agree_on_every_picture_differ_by_nothing() -> None:
    rows = [
        ("horses", {"method": method, "seed": 0, "image": str(i), "seconds": 1.0, "iou": iou})
        for method in ("ncut", "kmeans3")
        for i, iou in enumerate(np.random.default_rng(3).uniform(size=20))
    ]
    apart = difference(tally(rows), ("ncut", "kmeans3"), "horses", "iou")  # type: ignore[arg-type]
    assert apart is not None
    assert (apart.mean, apart.interval) == (0, (0, 0))


def test_only_pictures_that_both_have_are_compared() -> None:
    rows = [
        ("horses", {"method": method, "seed": 0, "image": str(i), "seconds": 1.0, "iou": iou})
        for method, of_pictures in (("ncut", range(6)), ("kmeans3", range(3, 9)))
        for i in of_pictures
        for iou in [0.5 + 0.1 * (method == "ncut") + 0.3 * (i < 3)]
    ]
    apart = difference(tally(rows), ("ncut", "kmeans3"), "horses", "iou")  # type: ignore[arg-type]
    assert apart is not None
    assert apart.images == 3
    assert apart.mean == pytest.approx(10)


def test_pairs_are_methods() -> None:
    assert {name for pair in PAIRS for name in pair} <= {*METHODS, *clips.METHODS}
