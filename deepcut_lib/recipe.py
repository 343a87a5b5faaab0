"""How a backbone's features are cut: all settings of the optimisation, in one place."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, Self, TypeAlias, get_args

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from deepcut_lib.clustering import DeepCut, Memory, Objective
from deepcut_lib.features import PatchFeatures, normalize
from deepcut_lib.parameters import check_positive
from deepcut_lib.refinement import refine_soft

CC_CLUSTERS = 10
"""The most clusters that correlation clustering looks for unless told: the published code's number."""


Rule: TypeAlias = Literal["border", "union"]

RULES = get_args(Rule)


@dataclass(frozen=True)
class Recipe:
    """Settings of a cut; the defaults are the published code's, made for ViT keys.

    Every backbone has one, and all tasks (segmentation, parts, clustering of pictures) begin with it.

    Attributes:
        n_clusters: K; with objective "cc" the most clusters that can be found.
        objective: "ncut" (Eq. 9), "cc" (Eq. 10), "soft_ncut" or a callable, see `DeepCut`.
        alpha: the k sensitivity of "cc" (Eq. 7).
        epochs: steps of the optimiser.
        learning_rate: its step size.
        n_init: random starts.
        centred: whether features are centred over the picture and given one length, see `normalize`.
        memory: whether affinities are stored, see `DeepCut`.
        least_spread: spread of the features (see `features.spread`) below which a picture shows nothing to
            cut, between that of blank pictures and of photographs; 0 where it has not been measured.
        prior_weight: μ, how much the backbone's foreground prior counts in the loss; above 0, cluster 0 is
            background and all others are foreground.
        rule: what decides which clusters are background where no prior does: "border" (§3.2, see
            `background_clusters`) or "union" (see `best_union`).
        solver_sigma_xy: of the bilateral solver, see `refine_soft`.
        solver_smoothness: the same.
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
    prior_weight: float = 0.0
    rule: Rule = "border"
    solver_sigma_xy: float = 24.0
    solver_smoothness: float = 256.0

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

    def priors(self, features: Sequence[PatchFeatures]) -> list[Tensor] | None:
        """Each picture's foreground prior, (n,), if this recipe weighs it, else None.

        Raises:
            ValueError: the features carry none, since their backbone has none.
        """
        if not self.prior_weight:
            return None
        priors = [of_picture.prior for of_picture in features if of_picture.prior is not None]
        if len(priors) < len(features):
            raise ValueError(
                f"the recipe weighs a foreground prior, but {features[0].backbone} has none; give the "
                "backbone one (Backbone.with_prior), or take a recipe with prior_weight 0"
            )
        return priors

    def sharpen(self, picture: Image.Image, probability: np.ndarray) -> np.ndarray:
        """Refine a soft mask of this recipe's, H×W in 0…1 → H×W bool, see `refine_soft`."""
        return refine_soft(
            picture, probability, sigma_xy=self.solver_sigma_xy, smoothness=self.solver_smoothness
        )

    def without_prior(self) -> "Recipe":
        """This recipe if it weighs no prior; else what cuts the same features without one."""
        if not self.prior_weight:
            return self
        return replace(CENTRED_RECIPE, memory=self.memory, least_spread=self.least_spread)

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
            prior_weight=self.prior_weight,
        )
        check_positive("solver_sigma_xy", self.solver_sigma_xy)
        check_positive("solver_smoothness", self.solver_smoothness)
        if self.rule not in RULES:
            raise ValueError(f"rule must be one of {', '.join(RULES)}, not {self.rule!r}")
        estimator.check_parameters()
        return estimator


PUBLISHED_RECIPE = Recipe()

CENTRED_RECIPE = Recipe(n_clusters=3, learning_rate=5e-3, n_init=4, centred=True)
"""What suits the backbones that are installed with the library, found on horse photographs with masks: an
object and two kinds of background, such as sky and ground."""

PRIOR_RECIPE = Recipe(
    objective="soft_ncut",
    epochs=30,
    learning_rate=2e-2,
    centred=True,
    prior_weight=12.0,
    solver_sigma_xy=12.0,
    solver_smoothness=64.0,
)
"""Foreground and background where a backbone has a foreground prior: graph and prior in one loss, and a
gentler solver, since these masks are tight. Chosen on photographs of DUTS-TE and on ``data/``."""
