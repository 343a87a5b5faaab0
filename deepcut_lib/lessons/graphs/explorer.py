"""The explorer of lesson 2."""

from collections.abc import Sequence
from functools import cache
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
from ipywidgets import Checkbox, Dropdown, IntText, SelectionSlider
from matplotlib.axes import Axes
from torch import Tensor

from deepcut_lib.backbones import Backbone
from deepcut_lib.backbones.remembering import RememberingBackbone
from deepcut_lib.features import normalize
from deepcut_lib.graphs import cc_graph, fiedler_vector, ncut_graph
from deepcut_lib.images import load_image
from deepcut_lib.lessons.common.explorer import Explorer, sized
from deepcut_lib.lessons.common.pictures import by_name
from deepcut_lib.lessons.graphs.figures import graph_view

THRESHOLDS = [("none", -inf)] + [(f"{step / 20:.2f}", step / 20) for step in range(-10, 19)]
ALPHAS = [("none", inf)] + [(f"{alpha:g}", alpha) for alpha in (30.0, 10.0, 5.0, 4.0, 3.0, 2.0, 1.5, 1.0)]


def relative_affinities(values: Tensor, threshold: float, alpha: float) -> tuple[Tensor, Tensor]:
    """Affinities in units of the largest, max(FFᵀ), before and after a threshold.

    Args:
        values: F, n×d.
        threshold: affinities below it become 0: −∞ keeps all (Eq. 5), 0 is Eq. 6.
        alpha: 1/α is subtracted first (Eq. 7); ∞ subtracts nothing.

    Returns:
        n×n before, and n×n after the threshold.
    """
    signed = cc_graph(values, alpha).affinity / values.square().sum(1).max()
    return signed, signed.where(signed >= threshold, 0)


def explore_graph(backbone: Backbone, pictures: Sequence[Path]) -> Explorer:
    """A picture's graph in three views, as the threshold, α and the centring of the features change it.

    Args:
        backbone: gives the features; a `RememberingBackbone` keeps what it knows already.
        pictures: files to choose from.

    Raises:
        ImageError: there are none.
    """
    files = by_name(pictures)
    remembering = RememberingBackbone(backbone)

    @cache
    def graph_of(picture: Path, centred: bool) -> tuple[Tensor, np.ndarray]:
        values = remembering(picture, cls=False).values.cpu()
        if centred:
            values = normalize(values)
        return values, fiedler_vector(ncut_graph(values).affinity)[1]

    def draw(
        *, figure: Any, picture: Path, centred: bool, row: int, column: int, threshold: float, alpha: float
    ) -> None:
        values, vector = graph_of(picture, centred)
        signed, kept = relative_affinities(values, threshold, alpha)
        shown = load_image(picture)
        features = remembering(shown, cls=False)
        graph_view(shown, features, signed, kept, vector, (row, column), figure=figure)

    def click(axes: Axes, x: float, y: float) -> dict[str, int]:
        return {"row": round(y), "column": round(x)} if axes.get_label() in ("patch", "degree") else {}

    try:
        h, w = remembering(next(iter(files.values())), cls=False).grid
    except Exception:  # the explorer will show what is wrong with the first picture
        h = w = 0
    controls = {
        "picture": Dropdown(options=list(files.items()), description="picture", **sized(220)),
        "centred": Checkbox(
            backbone.recipe.centred, description="centred features", indent=False, **sized(150)
        ),
        "row": IntText(h // 2, description="row", **sized(120)),
        "column": IntText(w // 2, description="column", **sized(120)),
        "threshold": SelectionSlider(
            options=THRESHOLDS, value=0.0, description="cut off below", continuous_update=False, **sized(330)
        ),
        "alpha": SelectionSlider(
            options=ALPHAS, value=inf, description="alpha", continuous_update=False, **sized(330)
        ),
    }
    return Explorer(draw, controls, height=3.9, click=click)
