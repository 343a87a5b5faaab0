"""Checks of lesson 6's exercises."""

from typing import Any

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import cohen_kappa_score
from torch import Tensor

from deepcut_lib.graphs import ncut_graph
from deepcut_lib.lessons.common.verdict import NotYetError, agree, as_array, call, exercise
from deepcut_lib.network import NAMES, Networks, initial_weights

TINY = torch.tensor([[1.1, 0.3], [0.8, 0.1], [0.1, 1.1], [0.4, 0.8]])
"""The lesson's first tiny picture: two patches of a head, two of a body."""

CLASSIFIER = 3 * torch.eye(2)
"""The lesson's tiny network."""


@exercise
def check_renamings(answer: Any) -> str:
    """Answer: three numbers for k = 4: ways to name the parts, the chance that two pictures cut on their own
    have the same, and how many of the four names are then expected to agree."""
    ways, same, expected = as_array(answer, (3,), "Your answer")
    if ways == 4**4:
        raise NotYetError("4⁴ counts names that two parts share. Each name is given once.")
    if ways in (4, 16):
        raise NotYetError("Part A can have any of four names; how many are then left for part B, C, D?")
    agree(ways, 24, "Each way is an order of the four names.", what="The number of ways")
    if abs(same - 1 / 24**2) < 1e-6:
        raise NotYetError(
            "The first picture may have any names; only the second has to hit them. Divide by 24 once."
        )
    agree(same, 1 / 24, "All ways are equally likely, and one of them fits.", what="The probability")
    if abs(expected - 0.25) < 1e-6:
        raise NotYetError("0.25 is the probability for one part. How many of the four is that on average?")
    agree(expected, 1, "Add up the four parts' probabilities.", what="The expected number")
    return "24 ways, one in 24 fits, and on average one of the four agrees: a share of 1/k, for every k."


@exercise
def check_rotation(answer: Any) -> str:
    """Answer: a rotation Q, 2×2, after which the tiny network gives each of four patches the other label."""
    Q = torch.from_numpy(as_array(answer, (2, 2), "Q")).float()
    if not torch.allclose(Q @ Q.T, torch.eye(2), atol=1e-4):
        raise NotYetError(
            "Q Qᵀ is not the identity, so W changes. Write a rotation with the cosine and the sine of one "
            "angle."
        )
    if torch.det(Q) < 0:
        raise NotYetError(
            "This is a mirror image (its determinant is −1), as in the lesson. Look for a rotation."
        )
    before, after = (TINY @ CLASSIFIER).argmax(1), (TINY @ Q @ CLASSIFIER).argmax(1)
    kept = int((before == after).sum())
    if kept:
        raise NotYetError(
            f"{kept} of the four patches keep their label. Draw the four arrows and the border between the "
            "labels, the line from lower left to upper right: where must all arrows go?"
        )
    return "W is the same, number by number, and every label is the other one."


@exercise
def check_rename(function: Any) -> str:
    """Answer: a function of two (m,) label vectors and k that renames the second to match the first best."""
    first, second = np.array([1, 1, 2, 2, 3, 3]), np.array([3, 3, 1, 1, 2, 2])
    given = as_array(call(function, first, second, 3), (6,), "The renamed labels")
    if np.array_equal(given, second):
        raise NotYetError("The second picture's labels come back unchanged: give every label its new name.")
    if np.array_equal(given, [2, 2, 3, 3, 1, 1]):
        raise NotYetError(
            "Renamed the wrong way round: `new[old] = …` must send the second's names to the first's."
        )
    agree(given, first, "Here the right renaming makes both the same.")
    _renames(function, np.array([1, 1, 1, 1, 2]), np.array([1, 1, 1, 2, 2]), 2, "Two parts, one small")
    # Both of the second's labels meet label 1 most often: a majority vote would give both that name
    _renames(
        function,
        np.array([1] * 8 + [2] * 2),
        np.array([1] * 5 + [2] * 3 + [1] * 1 + [2] * 1),
        2,
        "With one label the commonest partner of both",
    )
    generator = np.random.default_rng(6)
    for k in (1, 4, 6):
        labels = generator.integers(1, k + 1, (2, 80))
        _renames(function, labels[0], labels[1], k, f"On random labels with k = {k}")
    _renames(function, np.array([2, 2, 4]), np.array([3, 3, 1]), 5, "Where some labels have no patch")
    return "Every renaming was one-to-one and the best of all k!, also where labels are missing."


@exercise
def check_above_chance(function: Any) -> str:
    """Answer: a function of two (m,) label vectors that gives agreement above chance (Cohen's kappa)."""
    first = np.array([1, 1, 1, 2, 2, 3, 3, 3, 3, 3])
    second = np.array([1, 1, 2, 2, 2, 3, 3, 3, 1, 3])
    given = float(as_array(call(function, first, second), (), "Your score"))
    observed = float((first == second).mean())
    by_chance = sum((first == label).mean() * (second == label).mean() for label in (1, 2, 3))
    if abs(given - observed) < 1e-6:
        raise NotYetError("This is the plain agreement: nothing was subtracted for chance.")
    if abs(given - (observed - by_chance)) < 1e-6:
        raise NotYetError("Divide by 1 − chance, so that perfect agreement scores 1.")
    if abs(given - (observed - 1 / 3) / (2 / 3)) < 1e-6:
        raise NotYetError(
            "1/k is chance only where all labels are equally common. Use how often each is given."
        )
    agree(
        given,
        cohen_kappa_score(first, second),
        "Chance is Σ over labels of (its share in the first) × (its share in the second).",
        what="Your score",
    )
    one_label = np.ones(7, int)
    collapsed = _number(call(function, one_label, one_label))
    if collapsed != 0:
        score = "no number" if collapsed is None else f"{collapsed:g}"
        raise NotYetError(
            f"All patches have one label: chance is 1 too, and your score {score}. Return 0 there: such "
            "labels say nothing."
        )
    agree(
        call(function, np.array([1, 1, 2, 2]), np.array([2, 2, 1, 1])), -1, what="The score of swapped labels"
    )
    generator = np.random.default_rng(7)
    for k in (2, 5):
        labels = generator.integers(1, k + 1, (2, 200))
        agree(call(function, *labels), cohen_kappa_score(*labels), what=f"With k = {k}, your score")
    return "1 for perfect agreement, 0 for chance and for a collapse, −1 for two labels swapped."


@exercise
def check_turned_weights(function: Any) -> str:
    """Answer: a function of a network's weights and Q that gives weights with which the network says of F Q
    what it said of F."""
    generator = torch.Generator().manual_seed(8)
    d = 6
    weights = initial_weights(d, 64, 32, 4, generator)
    Q = torch.linalg.qr(torch.randn(d, d, generator=generator))[0]
    features = 8 * torch.nn.functional.normalize(torch.randn(30, d, generator=generator), dim=1)
    given = call(function, weights, Q)
    if not isinstance(given, dict) or set(given) != set(NAMES):
        raise NotYetError("Return a dictionary of the same six tensors as the given one.")
    tensors = {name: _tensor(given[name], name) for name in NAMES}
    changed = [
        name
        for name in NAMES
        if tensors[name].shape != weights[name].shape or not torch.equal(tensors[name], weights[name])
    ]
    if not changed:
        raise NotYetError("These are the old weights: which of the six tensors meets the features first?")
    if changed != ["gcn_weight"]:
        others = ", ".join(name for name in changed if name != "gcn_weight")
        raise NotYetError(f"Only gcn_weight meets the features; leave {others} as it was.")
    as_array(tensors["gcn_weight"], (64, d), "gcn_weight")
    if torch.allclose(tensors["gcn_weight"], weights["gcn_weight"] @ Q.T, atol=1e-5):
        raise NotYetError(
            "This is W Qᵀ, which turns the other way. The layer computes F Wᵀ; put F Q for F and solve again."
        )
    agree(
        _assign(tensors, features @ Q),
        _assign(weights, features),
        "(F Q) times the new weights' transpose must be F times the old one's.",
        what="S of the turned features",
    )
    original = {name: tensor.clone() for name, tensor in weights.items()}
    call(lambda: function(weights, Q))
    if any(not torch.equal(weights[name], original[name]) for name in NAMES):
        raise NotYetError(
            "Your function changes the weights that it was given. Make a new dictionary: {**weights, …}."
        )
    return "30 patches get the same S: the names are in the weights, and they travel with them."


def _renames(function: Any, first: np.ndarray, second: np.ndarray, k: int, where: str) -> None:
    """The learner's renaming of `second` must be one-to-one and as good as the best."""
    given = as_array(call(function, first, second, k), second.shape, f"{where}, the result").round()
    if len(set(zip(second.tolist(), given.tolist(), strict=True))) != len(set(second.tolist())):
        raise NotYetError(f"{where}, one old label gets two new names: rename labels, not patches.")
    if len(set(given.tolist())) != len(set(second.tolist())):
        raise NotYetError(
            f"{where}, two labels get the same name. A renaming is one-to-one, and the best for each label "
            "on its own may not be: the Hungarian method looks at all of them together."
        )
    if given.min() < 1 or given.max() > k:
        raise NotYetError(f"{where}, there are names outside 1…{k}.")
    counts = np.zeros((k, k), int)
    np.add.at(counts, (first - 1, second - 1), 1)
    best = counts[linear_sum_assignment(-counts)].sum()
    reached = int((given == first).sum())
    if reached < best:
        raise NotYetError(
            f"{where}, {reached} of {len(first)} patches agree; another renaming reaches {best}. "
            "linear_sum_assignment takes costs: the larger the count, the smaller the cost."
        )


def _number(value: Any) -> float | None:
    """A single number, NaN and infinity among them, or None for anything else."""
    try:
        return float(np.asarray(value, dtype=np.float64))
    except Exception:  # whatever an odd object raises
        return None


def _tensor(value: Any, name: str) -> Tensor:
    try:
        tensor = torch.as_tensor(value).detach().cpu()
    except Exception:  # whatever an odd object raises
        raise NotYetError(f"{name} must be a tensor of numbers, not {type(value).__name__}.") from None
    if tensor.is_complex():
        raise NotYetError(f"{name} holds complex numbers; it should be real.")
    return tensor.float()


def _assign(weights: dict[str, Tensor], features: Tensor) -> Tensor:
    network = Networks([weights], batch=1, dropout=0.0)
    with torch.no_grad():
        return network(ncut_graph(features).propagate(features)[None])[0, 0]
