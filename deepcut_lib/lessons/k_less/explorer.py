"""The explorer of lesson 7: alpha, and the groups that it makes."""

from collections.abc import Sequence
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
import torch
from ipywidgets import Dropdown, IntSlider, IntText, SelectionSlider
from matplotlib.figure import Figure
from torch import Tensor

from deepcut_lib.backbones import Backbone, load_backbone
from deepcut_lib.graphs import cc_graph
from deepcut_lib.kless import cluster_vectors, picture_vector, prepare_vectors
from deepcut_lib.lessons.common.explorer import Explorer, sized
from deepcut_lib.lessons.common.pictures import check_some
from deepcut_lib.lessons.k_less.figures import GROUPS_HEIGHT, groups_figure, thumbnail
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

SMALL_BACKBONES = ("effnet_lite0", "tiny_vit", "pixels")
"""Offered beside the lesson's own: installed with the library, and quick."""


def explore_groups(backbone: Backbone, pictures: Sequence[Path], vectors: Tensor | None = None) -> Explorer:
    """Groups of the pictures of `data/` as grids, with their number and scores, as alpha changes.

    Args:
        backbone: chosen at first; others are loaded when they are asked for.
        pictures: files named after their categories, such as ``bird_01.jpg``.
        vectors: N×d, that backbone's vectors of the pictures, if they are there already.

    Raises:
        ImageError: there are no pictures.
    """
    check_some(pictures)
    files = [Path(path) for path in pictures]
    categories = np.array([path.stem.split("_")[0] for path in files])
    small = cache(thumbnail)

    @cache
    def described(name: str) -> tuple[Tensor, bool]:
        chosen = backbone if name == backbone.name else load_backbone(name)
        if name == backbone.name and vectors is not None:
            return vectors, chosen.recipe.centred
        rows = [picture_vector(path, chosen).cpu() for path in files]
        return torch.stack(rows), chosen.recipe.centred

    @lru_cache(maxsize=64)
    def grouped(name: str, kinds: tuple[str, ...], alpha: float, most: int, seed: int) -> np.ndarray:
        values, centred = described(name)
        return cluster_vectors(
            values[np.isin(categories, kinds)],
            alpha=alpha,
            max_clusters=most,
            centred=centred,
            random_state=seed,
            device=str(backbone.device),
        ).labels

    def draw(
        alpha: float, kinds: tuple[str, ...], most: int, seed: int, name: str, *, figure: Figure
    ) -> Figure:
        chosen = np.flatnonzero(np.isin(categories, kinds))
        if not len(chosen):
            raise ValueError(f"no picture's name begins with {' or '.join(kinds)}, as in {kinds[0]}_01.jpg")
        labels = grouped(name, kinds, alpha, most, seed)
        values, centred = described(name)
        return groups_figure(
            [small(files[index]) for index in chosen],
            labels,
            categories[chosen],
            summary(values[chosen], labels, categories[chosen], alpha, centred=centred),
            figure=figure,
        )

    names = dict.fromkeys([backbone.name, *SMALL_BACKBONES])
    controls = {
        "alpha": SelectionSlider(
            options=[(f"{alpha:g}", alpha) for alpha in ALPHAS],
            value=100.0,
            description="alpha",
            continuous_update=False,
            **sized(330),
        ),
        "kinds": Dropdown(options=SETS, description="categories", **sized(300)),
        "most": IntSlider(10, 2, 20, description="at most", continuous_update=False, **sized(260)),
        "seed": IntText(0, description="seed", **sized(110)),
        "name": Dropdown(options=list(names), description="backbone", **sized(220)),
    }
    return Explorer(draw, controls, height=GROUPS_HEIGHT)


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
