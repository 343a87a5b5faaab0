"""Explorers of lesson 7: alpha, and the groups that it makes; the plateau rule."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache, lru_cache
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ipywidgets import Dropdown, IntSlider, IntText, SelectionSlider
from matplotlib.figure import Figure
from torch import Tensor

from deepcut_lib.backbones import Backbone, load_backbone
from deepcut_lib.baselines import contraction
from deepcut_lib.graphs import cc_graph
from deepcut_lib.images import ImageLike
from deepcut_lib.kless import cluster_vectors, picture_vector, prepare_vectors
from deepcut_lib.lessons.common.explorer import Explorer, sized
from deepcut_lib.lessons.common.pictures import check_some, read_content
from deepcut_lib.lessons.k_less.figures import GROUPS_HEIGHT, groups_figure, plateau_figure, thumbnail
from deepcut_lib.metrics import cluster_scores

ALPHAS = (1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 12.0, 14.0, 17.0, 20.0, 30.0, 50.0, 100.0, 1000.0)

SETS = {
    "bird, fruit, mammal, vehicle": ("bird", "fruit", "mammal", "vehicle"),
    "… and other": ("bird", "fruit", "mammal", "vehicle", "other"),
    "bird, fruit, vehicle": ("bird", "fruit", "vehicle"),
    "bird, mammal": ("bird", "mammal"),
    "bird alone": ("bird",),
}
"""Categories to group, by what the control calls them."""

OWN = "own"
"""The category of pictures that readers bring: they are grouped with whatever is chosen."""

SMALL_BACKBONES = ("effnet_lite0", "tiny_vit", "pixels")
"""Offered beside the lesson's own: installed with the library, and quick."""


def explore_groups(backbone: Backbone, pictures: Sequence[Path], vectors: Tensor | None = None) -> Explorer:
    """Groups of the pictures of `data/` as grids, with their number and scores, as alpha changes.

    Pictures of the reader's own make a category more.

    Args:
        backbone: chosen at first; others are loaded when they are asked for.
        pictures: files named after their categories, such as ``bird_01.jpg``.
        vectors: N×d, that backbone's vectors of the pictures, if they are there already.

    Raises:
        ImageError: there are no pictures.
    """
    check_some(pictures)
    files: list[ImageLike] = [Path(path) for path in pictures]
    categories = [Path(path).stem.split("_")[0] for path in pictures]

    @cache
    def small(index: int) -> np.ndarray:
        return thumbnail(files[index])

    @cache
    def load(name: str) -> Backbone:
        return backbone if name == backbone.name else load_backbone(name)

    @cache
    def vector(name: str, index: int) -> Tensor:
        if name == backbone.name and vectors is not None and index < len(vectors):
            return vectors[index]
        return picture_vector(files[index], load(name)).cpu()

    def described(name: str, chosen: Sequence[int]) -> tuple[Tensor, bool]:
        return torch.stack([vector(name, index) for index in chosen]), load(name).recipe.centred

    @lru_cache(maxsize=64)
    def grouped(name: str, chosen: tuple[int, ...], alpha: float, most: int, seed: int) -> np.ndarray:
        values, centred = described(name, chosen)
        return cluster_vectors(
            values,
            alpha=alpha,
            max_clusters=most,
            centred=centred,
            random_state=seed,
            device=str(backbone.device),
        ).labels

    def draw(
        alpha: float, kinds: tuple[str, ...], most: int, seed: int, name: str, *, figure: Figure
    ) -> Figure:
        chosen = tuple(i for i, category in enumerate(categories) if category in (*kinds, OWN))
        if not chosen:
            raise ValueError(f"no picture's name begins with {' or '.join(kinds)}, as in {kinds[0]}_01.jpg")
        labels = grouped(name, chosen, alpha, most, seed)
        values, centred = described(name, chosen)
        of_chosen = np.array([categories[index] for index in chosen])
        return groups_figure(
            [small(index) for index in chosen],
            labels,
            of_chosen,
            summary(values, labels, of_chosen, alpha, centred=centred),
            figure=figure,
        )

    def take(file_name: str, content: bytes) -> dict[str, Any]:
        files.append(read_content(file_name, content))
        categories.append(OWN)
        return {}

    names = dict.fromkeys([backbone.name, *SMALL_BACKBONES])
    controls = {
        "alpha": SelectionSlider(
            options=[(f"{alpha:g}", alpha) for alpha in ALPHAS],
            value=100.0,
            description="alpha",
            **sized(330, "A larger one means fewer groups (Eq. 7)"),
        ),
        "kinds": Dropdown(options=SETS, description="categories", **sized(300)),
        "most": IntSlider(10, 2, 20, description="at most", **sized(260, "Columns of S: CC may use fewer")),
        "seed": IntText(0, description="seed", **sized(110)),
        "name": Dropdown(options=list(names), description="backbone", **sized(220)),
    }
    return Explorer(draw, controls, height=GROUPS_HEIGHT, take=take, play=("alpha", "most"))


def summary(
    vectors: Tensor, labels: np.ndarray, categories: np.ndarray, alpha: float, *, centred: bool
) -> str:
    """One line on a grouping: its number and scores, and the share of negative affinities (Eq. 7).

    Args:
        vectors: n×d, as `cluster_vectors` takes them.
        labels: (n,) groups.
        categories: (n,) true categories.
        alpha: the k sensitivity.
        centred: as for `cluster_vectors`.
    """
    scores = cluster_scores(categories, labels)
    prepared = prepare_vectors(vectors, centred=centred)
    negative = float(cc_graph(prepared, alpha).negative_share())
    groups = "1 group" if scores.n_clusters == 1 else f"{scores.n_clusters} groups"
    return (
        f"alpha {alpha:g}: {groups} of {len(labels)} pictures · purity {scores.purity:.2f} · "
        f"NMI {scores.nmi:.2f} · ARI {scores.ari:.2f} · {negative:.0%} of W negative"
    )


Search = Callable[[Tensor, float], np.ndarray]

SEARCHES: dict[str, Search] = {
    "network": lambda rows, alpha: cluster_vectors(rows, alpha=alpha, centred=False).labels,
    "contraction, local search": lambda rows, alpha: contraction(cc_graph(rows, alpha).affinity),
}
"""What looks for the least loss at an alpha: prepared vectors n×d and alpha → (n,) labels."""

MOST = 10
"""Groups at most: what finds more says that alpha is too small, and is no plateau."""


def explore_plateau(sets: Mapping[str, Callable[[float], tuple[Tensor, np.ndarray]]]) -> Explorer:
    """The plateau rule: groups found over alpha, the widest plateau shaded, and the ARI at each alpha.

    Args:
        sets: by name, a function from a spread to prepared vectors, n×d, and their true groups, (n,).
    """

    @lru_cache(maxsize=128)
    def swept(name: str, spread: float, search: str) -> tuple[list[int], list[float], int]:
        rows, classes = sets[name](spread)
        found = [SEARCHES[search](rows, alpha) for alpha in ALPHAS]
        scores = [cluster_scores(classes, labels) for labels in found]
        return [s.n_clusters for s in scores], [s.ari for s in scores], len(np.unique(classes))

    def draw(*, figure: Figure, name: str, search: str, spread: float, alpha: float) -> Figure:
        counts, aris, truth = swept(name, spread, search)
        groups, first, last = widest_plateau(ALPHAS, counts, MOST)
        figure = plateau_figure(ALPHAS, counts, aris, (first, last), alpha, truth, figure=figure)
        at = ALPHAS.index(alpha)
        figure.suptitle(
            f"alpha {alpha:g}: {counts[at]} groups, ARI {aris[at]:.2f}  ·  widest plateau: {groups} groups, "
            f"alpha {first:g} to {last:g}",
            fontsize=11,
        )
        return figure

    controls = {
        "name": Dropdown(options=list(sets), description="things", **sized(260)),
        "search": Dropdown(options=list(SEARCHES), description="search", **sized(280)),
        "spread": SelectionSlider(
            options=[round(0.3 * step, 1) for step in range(1, 9)],
            value=1.2,
            description="spread",
            **sized(260, "Of the heaps: how far points lie from their heap's middle"),
        ),
        "alpha": SelectionSlider(
            options=[(f"{alpha:g}", alpha) for alpha in ALPHAS],
            value=3.0,
            description="alpha",
            **sized(330, "The dashed line"),
        ),
    }
    return Explorer(draw, controls, height=3.6, play=("alpha", "spread"))


def widest_plateau(alphas: Sequence[float], counts: Sequence[int], most: int) -> tuple[int, float, float]:
    """The number of groups that stays longest, and from which alpha to which, by their ratio.

    Args:
        alphas: rising.
        counts: groups found with each.
        most: numbers from here on count only where there is no other.
    """
    stretches = []
    for count, stretch in groupby(zip(counts, alphas, strict=True), key=lambda pair: pair[0]):
        of_it = [alpha for _, alpha in stretch]
        stretches.append((count < most, of_it[-1] / of_it[0], count, of_it[0], of_it[-1]))
    _, _, count, first, last = max(stretches, key=lambda one: one[:2])
    return count, first, last
