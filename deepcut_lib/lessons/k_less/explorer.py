"""The explorer of lesson 7: alpha, and the groups that it makes."""

from collections.abc import Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ipywidgets import Dropdown, IntSlider, IntText, SelectionSlider
from matplotlib.figure import Figure
from torch import Tensor

from deepcut_lib.backbones import Backbone, load_backbone
from deepcut_lib.graphs import cc_graph
from deepcut_lib.images import ImageLike
from deepcut_lib.kless import cluster_vectors, picture_vector, prepare_vectors
from deepcut_lib.lessons.common.explorer import Explorer, sized
from deepcut_lib.lessons.common.pictures import check_some, read_content
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
