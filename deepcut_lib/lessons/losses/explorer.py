"""Explorer of lesson 3: the assignments as they form, epoch by epoch."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from ipywidgets import Dropdown, IntSlider, IntText
from matplotlib.figure import Figure
from torch import Tensor

from deepcut_lib.backbones import Backbone
from deepcut_lib.backbones.remembering import RememberingBackbone
from deepcut_lib.clustering import LARGEST_SEED, DeepCut, check_whole, optimise
from deepcut_lib.graphs import Graph, cc_graph, ncut_graph
from deepcut_lib.lessons.common.explorer import Explorer, active_for, add_to, alpha_slider, sized
from deepcut_lib.lessons.common.pictures import Pictures
from deepcut_lib.lessons.losses.figures import training_figure
from deepcut_lib.losses import cc_loss, cut_term, ncut_loss, orthogonality_term
from deepcut_lib.network import Networks, initial_weights

EPOCHS = 40
"""How far the explorer goes: the paper stops at 10 for two clusters, and at 100 for parts."""


def training_history(values: Tensor, estimator: DeepCut, seed: int) -> tuple[Tensor, dict[str, np.ndarray]]:
    """What `DeepCut.fit` does with one start, with every epoch kept.

    Args:
        values: n×d features.
        estimator: its settings, those of the starts apart; the objective is "ncut" or "cc".
        seed: of the start and the dropout.

    Returns:
        S before the first step and after each, (epochs + 1, n, K), without dropout, as `DeepCut` with so many
        epochs and this seed would have it; and its losses by name, (epochs + 1,) each: of "ncut" the loss and
        the two terms, of "cc" the loss divided by the number of pairs.
    """
    features = values.unsqueeze(0)
    correlation = estimator.objective == "cc"
    graph = cc_graph(features, estimator.alpha) if correlation else ncut_graph(features)
    loss = cc_loss if correlation else ncut_loss
    generator = torch.Generator().manual_seed(check_whole("seed", seed, 0, LARGEST_SEED))
    sizes = (estimator.hidden_channels, estimator.mlp_channels, estimator.n_clusters)
    start = initial_weights(values.shape[1], *sizes, generator)
    networks = Networks([start], batch=1, dropout=estimator.dropout)
    propagated = graph.propagate(graph.features)
    kept: list[Tensor] = []

    def watched(graph: Graph, assignment: Tensor) -> Tensor:
        with torch.no_grad():
            kept.append(networks(propagated)[0, 0])
        return loss(graph, assignment)

    optimise(networks, graph, propagated, watched, estimator.epochs, estimator.learning_rate, [generator])
    with torch.no_grad():
        kept.append(networks(propagated)[0, 0])
    history = torch.stack(kept)
    if correlation:
        return history, {"loss per pair (Eq. 10)": cc_loss(graph, history[None])[0].numpy() / graph.n**2}
    terms = {"first term": cut_term(graph, history[None])[0], "second term": orthogonality_term(history)}
    curves = {"loss (Eq. 9)": terms["first term"] + terms["second term"], **terms}
    return history, {name: curve.numpy() for name, curve in curves.items()}


def explore_epochs(backbone: Backbone, paths: Sequence[Path]) -> Explorer:
    """Play through the epochs of one picture, or through K or α, and change what is optimised.

    Args:
        backbone: gives the features; its recipe says whether they are centred, and the learning rate. A
            `RememberingBackbone` keeps what it knows already.
        paths: the pictures to choose from.

    Raises:
        ImageError: there are none.
    """
    known = Pictures.of_files(paths)
    remembering, recipe = RememberingBackbone(backbone), backbone.recipe

    @lru_cache(maxsize=24)
    def solved(
        picture: str, objective: Literal["ncut", "cc"], clusters: int, alpha: float, seed: int
    ) -> tuple[Tensor, dict[str, np.ndarray]]:
        estimator = DeepCut(
            clusters,
            objective,
            alpha=alpha,
            epochs=EPOCHS,
            learning_rate=recipe.learning_rate,
        )
        values = recipe.prepare(remembering(known.read(picture), cls=False).values)
        return training_history(values.cpu(), estimator, seed)

    def draw(
        picture: str,
        objective: Literal["ncut", "cc"],
        clusters: int,
        alpha: float,
        seed: int,
        epoch: int,
        *,
        figure: Figure,
    ) -> Figure:
        shown = known.read(picture)
        features = remembering(shown, cls=False)
        shown.thumbnail((320, 320))
        history, curves = solved(picture, objective, clusters, alpha, seed)
        settings = (
            f"CC, at most {clusters} clusters, alpha {alpha:g}"
            if objective == "cc"
            else f"N-cut, K={clusters}"
        )
        title = picture.replace("$", r"\$")  # or it would be a formula
        return training_figure(
            shown,
            features.to_map(history[epoch]),
            curves,
            epoch,
            f"{title}, {settings}, seed {seed} ({backbone.name})",
            figure=figure,
        )

    controls = {
        "picture": Dropdown(options=known.names, description="picture", **sized(200)),
        "objective": Dropdown(
            options=[("N-cut", "ncut"), ("CC", "cc")], description="objective", **sized(145)
        ),
        "clusters": IntSlider(
            recipe.n_clusters, 2, 10, description="K", **sized(210, "Columns of S; of CC, the most clusters")
        ),
        "alpha": alpha_slider(210, "alpha"),
        "seed": IntText(0, description="seed", **sized(100)),
        "epoch": IntSlider(10, 0, EPOCHS, description="epoch", **sized(400)),
    }
    active_for(controls, "objective", {"ncut": (), "cc": ("alpha",)})
    take = add_to(known, controls["picture"])
    return Explorer(draw, controls, height=4.2, take=take, play=("clusters", "alpha", "epoch"))
