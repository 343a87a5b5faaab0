"""Checks of lesson 9's exercises."""

from itertools import product
from typing import Any

import numpy as np

from deepcut_lib.lessons.common.verdict import NotYetError, agree, as_array, call, exercise

SHARE = 0.2
"""Exercise 9.1: how much of the picture the object fills."""


@exercise
def check_chance(answer: Any) -> str:
    """Exercise 9.1: IoU of a mask of coin flips, and of the whole picture, for an object of a fifth."""
    coins, whole = as_array(answer, (2,), "The pair of numbers")
    expected = {
        "the coin flips": (coins, SHARE * 0.5 / (SHARE + 0.5 - SHARE * 0.5)),
        "the whole": (whole, SHARE),
    }
    if abs(coins - SHARE) < 0.005 and abs(whole - SHARE) < 0.005:
        raise NotYetError(
            "Coin flips find half of the object and half of the rest. The intersection is a tenth of the "
            "picture; how large is the union?"
        )
    if abs(coins - 0.1) < 0.005:
        raise NotYetError("A tenth is the intersection. Divide it by the union.")
    for name, (value, true) in expected.items():
        if abs(value - true) > 0.005:
            raise NotYetError(
                f"For {name}, {value:.3f} is not right. Of shares of the picture: what lies in both masks, "
                "over what lies in at least one?"
            )
    return "A mask that never looks is not at 0: it scores about what share of the picture the object fills."


@exercise
def check_interval(interval: Any) -> str:
    """Exercise 9.2: the 95 % bootstrap interval of a mean, values (n,) → (low, high)."""
    rng = np.random.default_rng(4)
    for n in (400, 60):
        values = np.clip(rng.normal(0.6, 0.2, n), 0, 1)
        low, high = as_array(call(interval, values), (2,), "The pair (low, high)")
        error = values.std(ddof=1) / np.sqrt(n)
        if low > high:
            raise NotYetError("The lower end comes first.")
        if high - low < 1e-9:
            raise NotYetError(
                "The interval has no width: draw with replacement, or each resample is the whole set again."
            )
        if high - low > 2.5 * 3.92 * error:
            raise NotYetError(
                f"{high - low:.2f} wide for {n} pictures is far too much: that is how single pictures are "
                "spread. Take percentiles of the resamples' means."
            )
        if abs((high - low) / (3.92 * error) - 1) > 0.25:
            raise NotYetError(
                f"For {n} pictures it is {high - low:.4f} wide, and should be about {3.92 * error:.4f}: the "
                f"percentiles 2.5 and 97.5 of many means, each of {n} pictures."
            )
        if abs((low + high) / 2 - values.mean()) > error:
            raise NotYetError("It does not lie round the mean of the values.")
    return "As wide as theory says: 1.96 standard errors to either side, without any formula for them."


@exercise
def check_paired(paired: Any) -> str:
    """Exercise 9.3: two methods' scores by picture, as dicts → the mean difference on what both have."""
    rng = np.random.default_rng(5)
    names = [f"picture {i}" for i in range(12)]
    first = dict(zip(names, rng.random(12).round(3), strict=True))
    second = dict(zip(names[::-1], rng.random(12).round(3), strict=True))
    cases = [
        (first, second),
        (first, {k: second[k] for k in names[3:]}),
        ({k: first[k] for k in names[:5]}, second),
    ]
    for one, other in cases:
        shared = [name for name in one if name in other]
        expected = np.mean([one[name] - other[name] for name in shared])
        given = float(as_array(call(paired, one, other), (), "The mean difference"))
        in_order = np.mean([a - b for a, b in zip(one.values(), other.values(), strict=False)])
        unpaired = np.mean(list(one.values())) - np.mean(list(other.values()))
        if abs(given + expected) < 1e-9 and abs(expected) > 1e-6:
            raise NotYetError("The sign is turned: the first minus the second.")
        if abs(given - expected) > 1e-9 and abs(given - unpaired) < 1e-9:
            raise NotYetError(
                "You subtract the means of all scores. Where one method has no score for a picture, that "
                "picture must not count for the other either."
            )
        if abs(given - expected) > 1e-9 and abs(given - in_order) < 1e-9:
            raise NotYetError("The dicts are in different orders: pair the scores by picture, not by place.")
        agree(given, expected, "Use the pictures that both have.", what="The mean difference")
    return "Paired by picture, whatever the order, and only where both have a score."


@exercise
def check_sign_flip(p_value: Any) -> str:
    """Exercise 9.4: differences (n,) → share of sign patterns with a mean at least as far from zero."""
    for values in ([0.1, 0.2, 0.15, 0.05], [0.3, -0.1, 0.2, -0.05, 0.1, 0.02], [-0.2, -0.1, -0.3]):
        differences = np.array(values)
        means = np.array([(differences * signs).mean() for signs in product((1, -1), repeat=len(values))])
        observed = abs(differences.mean())
        expected = float((np.abs(means) >= observed - 1e-12).mean())
        given = float(as_array(call(p_value, differences), (), "The share"))
        one_sided = float((means >= differences.mean() - 1e-12).mean())
        strict = float((np.abs(means) > observed + 1e-12).mean())
        if abs(given - expected) > 1e-9 and abs(given - one_sided) < 1e-9:
            raise NotYetError(
                "You count one side. A mean as far below zero would have surprised you as much."
            )
        if abs(given - expected) > 1e-9 and abs(given - strict) < 1e-9:
            raise NotYetError(
                "Count the patterns that are as far from zero, too: the observed one is of them."
            )
        agree(given, expected, f"Differences {values}: 2ⁿ patterns of signs.", what="The share")
    return "Every pattern of signs counted: with n pictures it can never be below 2 of 2ⁿ."


@exercise
def check_fair_pairs(fair_pairs: Any) -> str:
    """Exercise 9.5: rows of settings → index pairs (i, j), i < j, that differ in exactly one setting."""
    rows = [
        {"clusters": "network", "prior": False, "solver": False},
        {"clusters": "network", "prior": False, "solver": True},
        {"clusters": "k-means", "prior": False, "solver": False},
        {"clusters": "k-means", "prior": True, "solver": True},
        {"clusters": "network", "prior": True, "solver": True},
    ]
    for some in (rows, rows[::-1], rows[:2], [rows[0], rows[0]]):
        expected = {
            (i, j)
            for j in range(len(some))
            for i in range(j)
            if sum(some[i][key] != some[j][key] for key in some[i]) == 1
        }
        given = call(fair_pairs, some)
        try:
            pairs = {(int(i), int(j)) for i, j in given}
        except (TypeError, ValueError):
            raise NotYetError("Return pairs of numbers, such as [(0, 1), (0, 2)].") from None
        if pairs and pairs == {(j, i) for i, j in expected} != expected:
            raise NotYetError("The smaller number comes first in each pair.")
        if any(i == j for i, j in pairs):
            raise NotYetError("A row is not compared with itself.")
        if pairs - expected:
            i, j = sorted(pairs - expected)[0]
            apart = [key for key in some[i] if some[i][key] != some[j][key]]
            raise NotYetError(
                f"Rows {i} and {j} differ in {len(apart)} settings ({', '.join(apart) or 'none'}): whatever "
                "their difference is, nobody can say what it is due to."
            )
        if expected - pairs:
            raise NotYetError(f"{sorted(expected - pairs)[0]} is missing: they differ in one setting alone.")
    return "Each pair differs in one thing, so a difference in score has one possible cause."
