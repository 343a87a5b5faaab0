"""The explorers of lesson 2: a graph in three views, and a cut of one's own."""

from collections.abc import Sequence
from functools import lru_cache
from math import inf, nan
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ipywidgets import Checkbox, Dropdown, IntSlider, IntText, SelectionSlider, ToggleButtons
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from deepcut_lib.backbones import Backbone
from deepcut_lib.backbones.remembering import RememberingBackbone
from deepcut_lib.features import PatchFeatures, normalize
from deepcut_lib.graphs import Graph, cc_graph, fiedler_vector, ncut_graph, normalized_cut
from deepcut_lib.lessons.common.explorer import Explorer, Held, add_to, sized
from deepcut_lib.lessons.common.figures import patch_under
from deepcut_lib.lessons.common.pictures import Pictures
from deepcut_lib.lessons.graphs.figures import Scores, drawn_cuts, graph_view
from deepcut_lib.losses import cc_loss

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

    A click chooses a patch, arrow keys the next.

    Args:
        backbone: gives the features; a `RememberingBackbone` keeps what it knows already.
        pictures: files to choose from.

    Raises:
        ImageError: there are none.
    """
    known = Pictures.of_files(pictures)
    read = known.read
    remembering = RememberingBackbone(backbone)

    @lru_cache(maxsize=16)
    def graph_of(picture: str, centred: bool) -> tuple[Tensor, np.ndarray]:
        values = remembering(read(picture), cls=False).values.cpu()
        if centred:
            values = normalize(values)
        return values, fiedler_vector(ncut_graph(values).affinity)[1]

    def draw(
        *, figure: Any, picture: str, centred: bool, row: int, column: int, threshold: float, alpha: float
    ) -> None:
        values, vector = graph_of(picture, centred)
        signed, kept = relative_affinities(values, threshold, alpha)
        shown = read(picture)
        features = remembering(shown, cls=False)
        graph_view(shown, features, signed, kept, vector, (row, column), figure=figure)

    def click(axes: Axes, x: float, y: float) -> dict[str, int]:
        return {"row": round(y), "column": round(x)} if axes.get_label() in ("patch", "degree") else {}

    def step(down: int, across: int) -> dict[str, int]:
        values = explorer.values
        h, w = remembering(read(values["picture"]), cls=False).grid
        return {
            "row": min(max(values["row"] + down, 0), h - 1),
            "column": min(max(values["column"] + across, 0), w - 1),
        }

    try:
        h, w = remembering(read(known.names[0]), cls=False).grid
    except Exception:  # the explorer will show what is wrong with the first picture
        h = w = 0
    controls = {
        "picture": Dropdown(options=known.names, description="picture", **sized(220)),
        "centred": Checkbox(
            backbone.recipe.centred, description="centred features", indent=False, **sized(150)
        ),
        "row": IntText(h // 2, description="row", **sized(120)),
        "column": IntText(w // 2, description="column", **sized(120)),
        "threshold": SelectionSlider(
            options=THRESHOLDS,
            value=0.0,
            description="cut off below",
            **sized(330, "Affinities below this share of the largest become 0; at 0 it is Eq. 6"),
        ),
        "alpha": SelectionSlider(
            options=ALPHAS,
            value=inf,
            description="alpha",
            **sized(330, "max(FFᵀ)/α is subtracted from all affinities (Eq. 7)"),
        ),
    }
    take = add_to(known, controls["picture"])
    explorer = Explorer(draw, controls, height=3.9, click=click, arrows=step, take=take)
    return explorer


def scores(attracting: Graph, signed: Graph, inside: np.ndarray) -> Scores:
    """Score a mask of patches, (n,) bool, on the graphs of Eq. 6 and of Eq. 7."""
    labels = torch.from_numpy(inside.astype(np.int64))
    both = bool(inside.any()) and not inside.all()
    assignment = torch.nn.functional.one_hot(labels, 2).to(signed.features.dtype)
    correlation = float(cc_loss(signed, assignment)) / signed.n**2
    return Scores(normalized_cut(attracting, labels) if both else nan, correlation)


def best_split(graph: Graph) -> np.ndarray:
    """The patches above a threshold of the Fiedler vector, (n,) bool: the one of 32 with the least N-cut."""
    vector = fiedler_vector(graph.affinity)[1]
    thresholds = np.quantile(vector, np.arange(1, 33) / 33)
    splits = [vector > threshold for threshold in thresholds if 0 < (vector > threshold).sum() < len(vector)]
    costs = [normalized_cut(graph, torch.from_numpy(split.astype(np.int64))) for split in splits]
    return splits[int(np.argmin(costs))]


def explore_drawing(backbone: Backbone, pictures: Sequence[Path]) -> Explorer:
    """Draw a mask with the pointer, and read its N-cut and its CC loss beside those of the graph's own cut.

    Args:
        backbone: gives the features; a `RememberingBackbone` keeps what it knows already.
        pictures: files to choose from.

    Raises:
        ImageError: there are none.
    """
    known = Pictures.of_files(pictures)
    remembering = RememberingBackbone(backbone)

    @lru_cache(maxsize=16)
    def described(picture: str) -> tuple[PatchFeatures, Graph, np.ndarray]:
        features = remembering(known.read(picture), cls=False)
        graph = ncut_graph(backbone.recipe.prepare(features.values).cpu())
        return features, graph, best_split(graph)

    @lru_cache(maxsize=16)
    def signed(picture: str, alpha: float) -> Graph:
        return cc_graph(described(picture)[1].features, alpha)

    def draw(
        *,
        figure: Figure,
        picture: str,
        pen: str,
        width: int,
        alpha: float,
        drawn: dict[str, frozenset[tuple[int, int]]],
    ) -> None:
        features, graph, graphs_own = described(picture)
        mine = np.zeros(features.grid, bool)
        for patch in drawn.get(picture, ()):
            mine[patch] = True
        sides = {"yours": mine, "the graph's": features.to_map(graphs_own)}
        said = {name: scores(graph, signed(picture, alpha), side.ravel()) for name, side in sides.items()}
        drawn_cuts(known.read(picture), features, sides, said, alpha, figure=figure)

    def stroke(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> dict[str, Any]:
        if axes.get_label() != "yours":
            return {}
        at = explorer.values
        features, _, _ = described(at["picture"])
        h, w = features.grid
        # the pointer may run faster than we hear of it: so many places between that no patch is jumped over
        path = np.linspace(start, end, 1 + 2 * max(h, w))
        reach = range(-(at["width"] // 2), (at["width"] + 1) // 2)
        touched = {
            (row + down, column + across)
            for row, column in {patch_under(features, x, y) for x, y in path}
            for down in reach
            for across in reach
            if 0 <= row + down < h and 0 <= column + across < w
        }
        before = at["drawn"].get(at["picture"], frozenset())
        after = before | touched if at["pen"] == "draw" else before - touched
        return {"drawn": {**at["drawn"], at["picture"]: frozenset(after)}}

    controls = {
        "picture": Dropdown(options=known.names, description="picture", **sized(220)),
        "pen": ToggleButtons(
            options=["draw", "erase"], style={"button_width": "60px"}, layout={"width": "140px"}
        ),
        "width": IntSlider(2, 1, 6, description="width", **sized(220, "Of the pen, in patches")),
        "alpha": SelectionSlider(
            options=[option for option in ALPHAS if option[1] != inf],
            value=3.0,
            description="alpha",
            **sized(260, "Of Eq. 7, for CC alone"),
        ),
        "drawn": Held({}),
    }
    take = add_to(known, controls["picture"])
    explorer = Explorer(draw, controls, height=3.3, drag=stroke, take=take)
    return explorer
