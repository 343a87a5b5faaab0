"""How a backbone's features are cut: all settings of the optimisation, in one place."""

from dataclasses import dataclass, fields, replace
from typing import Any, Self

import torch
from torch import Tensor

from deepcut_lib.clustering import DeepCut, Memory, Objective
from deepcut_lib.features import normalize

CC_CLUSTERS = 10
"""The most clusters that correlation clustering looks for unless told: the published code's number."""


@dataclass(frozen=True)
class Recipe:
    """Settings of a cut; the defaults are the published code's, made for ViT keys.

    Every backbone has one, and all tasks (segmentation, parts, clustering of pictures) begin with it.

    Attributes:
        n_clusters: K; with objective "cc" the most clusters that can be found.
        objective: "ncut" (Eq. 9), "cc" (Eq. 10) or a callable, see `DeepCut`.
        alpha: the k sensitivity of "cc" (Eq. 7).
        epochs: steps of the optimiser.
        learning_rate: its step size.
        n_init: random starts.
        centred: whether features are centred over the picture and given one length, see `normalize`.
        memory: whether affinities are stored, see `DeepCut`.
        least_spread: spread of the features (see `features.spread`) below which a picture shows nothing to
            cut, between that of blank pictures and of photographs; 0 where it has not been measured.
    """

    n_clusters: int = 2
    objective: Objective = "ncut"
    alpha: float = 3.0
    epochs: int = 10
    learning_rate: float = 1e-3
    n_init: int = 1
    centred: bool = False
    memory: Memory = "auto"
    least_spread: float = 0.0

    def but(self, **changes: Any) -> Self:
        """The same with some settings changed; a change to None is none.

        Who changes the objective to "cc" without a number of clusters gets at most `CC_CLUSTERS`.

        Raises:
            TypeError: there is no such setting.
        """
        known = [field.name for field in fields(self)]
        for name in changes:
            if name not in known:
                raise TypeError(f"there is no setting {name!r}; a recipe has {', '.join(known)}")
        wanted = {name: value for name, value in changes.items() if value is not None}
        if wanted.get("objective") == "cc" and self.objective != "cc":
            wanted.setdefault("n_clusters", CC_CLUSTERS)
        return replace(self, **wanted)

    def prepare(self, values: Tensor) -> Tensor:
        """Features as they are clustered, n×d → n×d: centred, or as they are."""
        return normalize(values) if self.centred else values

    def estimator(self, device: str | torch.device = "auto", random_state: int = 0) -> DeepCut:
        """The clusterer with these settings.

        Raises:
            ValueError: a setting is out of range; the message names it.
        """
        estimator = DeepCut(
            self.n_clusters,
            self.objective,
            alpha=self.alpha,
            epochs=self.epochs,
            learning_rate=self.learning_rate,
            n_init=self.n_init,
            device=str(device),
            random_state=random_state,
            memory=self.memory,
        )
        estimator.check_parameters()
        return estimator


PUBLISHED_RECIPE = Recipe()

CENTRED_RECIPE = Recipe(n_clusters=3, learning_rate=5e-3, n_init=4, centred=True)
"""What suits the backbones that are installed with the library, found on horse photographs with masks: an
object and two kinds of background, such as sky and ground."""
