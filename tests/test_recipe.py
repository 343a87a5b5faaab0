"""A recipe holds all settings, and tells what it does not know."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage
from torch import Tensor

from deepcut_lib.clustering import DeepCut
from deepcut_lib.features import normalize
from deepcut_lib.metrics import mask_iou
from deepcut_lib.recipe import CC_CLUSTERS, CENTRED_RECIPE, PRIOR_RECIPE, PUBLISHED_RECIPE, Recipe
from deepcut_lib.refinement import refine_soft
from tests.conftest import patch_features


def test_what_is_not_named_stays() -> None:
    assert CENTRED_RECIPE.but() == CENTRED_RECIPE
    assert CENTRED_RECIPE.but(epochs=None) == CENTRED_RECIPE
    changed = CENTRED_RECIPE.but(epochs=3, centred=False)
    assert (changed.epochs, changed.centred) == (3, False)
    assert (changed.n_clusters, changed.n_init) == (CENTRED_RECIPE.n_clusters, CENTRED_RECIPE.n_init)


def test_correlation_clustering_looks_for_ten_clusters_unless_told() -> None:
    assert CENTRED_RECIPE.but(objective="cc").n_clusters == CC_CLUSTERS
    assert CENTRED_RECIPE.but(objective="cc", n_clusters=4).n_clusters == 4
    assert Recipe(4, "cc").but(objective="cc").n_clusters == 4


def test_an_unknown_setting_is_named() -> None:
    with pytest.raises(TypeError, match=r"no setting 'normalised'.*centred"):
        PUBLISHED_RECIPE.but(normalised=True)


def test_features_are_prepared_as_it_says(blobs: Tensor) -> None:
    shifted = blobs + 1
    assert torch.equal(Recipe(centred=True).prepare(shifted), normalize(shifted))
    assert torch.equal(Recipe(centred=False).prepare(shifted), shifted)


def test_its_estimator_has_its_settings_and_checks_them(blobs: Tensor) -> None:
    recipe = Recipe(
        3, "cc", alpha=2.0, epochs=4, learning_rate=2e-3, n_init=2, memory="dense", prior_weight=5.0
    )
    estimator = recipe.estimator("cpu", 7)
    wanted = DeepCut(
        3, "cc", 2.0, 4, 2e-3, n_init=2, device="cpu", random_state=7, memory="dense", prior_weight=5.0
    )
    assert estimator.get_params() == wanted.get_params()
    with pytest.raises(ValueError, match="epochs must be at least 1"):
        recipe.but(epochs=0).estimator()


def test_a_restored_network_labels_as_the_fitted_one(blobs: Tensor) -> None:
    fitted = Recipe(3).estimator("cpu").fit(blobs)
    restored = Recipe(3).estimator("cpu").restore(fitted.weights_)
    assert (restored.predict(blobs) == fitted.predict(blobs)).all()
    with pytest.raises(ValueError, match="mlp2_weight has shape"):
        Recipe(4).estimator("cpu").restore(fitted.weights_)


@pytest.mark.parametrize("rule", ["corner", "", None, 1, ["union"]])
def test_an_unknown_rule_is_named(rule: object) -> None:
    with pytest.raises(ValueError, match="rule must be one of border, union, not "):
        replace(CENTRED_RECIPE, rule=rule).estimator("cpu")  # type: ignore[arg-type]


def test_a_prior_is_asked_for_only_where_it_counts(blobs: Tensor) -> None:
    plain = patch_features(blobs, (10, 12))
    known = replace(plain, prior=torch.rand(120))
    assert CENTRED_RECIPE.priors([plain, known]) is None
    given = PRIOR_RECIPE.priors([known, known])
    assert given is not None
    assert all(one is known.prior for one in given)
    for features in ([plain], [known, plain]):
        with pytest.raises(
            ValueError, match=r"but blobs has none; give the backbone one \(Backbone\.with_prior\), or .* 0"
        ):
            PRIOR_RECIPE.priors(features)


def test_what_cuts_without_a_prior() -> None:
    for recipe in (PUBLISHED_RECIPE, CENTRED_RECIPE.but(epochs=3)):
        assert recipe.without_prior() is recipe
    without = PRIOR_RECIPE.but(memory="matrix-free", least_spread=0.2, epochs=99).without_prior()
    assert without == CENTRED_RECIPE.but(memory="matrix-free", least_spread=0.2)
    assert without.prior_weight == 0


def test_its_solver_is_the_one_that_refines(photograph: np.ndarray, disc: np.ndarray) -> None:
    picture = Image.fromarray(photograph)
    wide = ndimage.gaussian_filter(ndimage.binary_dilation(disc, iterations=9).astype(float), 4)
    strong, gentle = (recipe.sharpen(picture, wide) for recipe in (CENTRED_RECIPE, PRIOR_RECIPE))
    assert np.array_equal(strong, refine_soft(picture, wide))
    assert np.array_equal(gentle, refine_soft(picture, wide, sigma_xy=12, smoothness=64))
    assert mask_iou(strong, disc) > mask_iou(wide > 0.5, disc) + 0.1
    for name in ("solver_sigma_xy", "solver_smoothness"):
        with pytest.raises(ValueError, match=f"{name} must be positive"):
            CENTRED_RECIPE.but(**{name: 0.0}).estimator()
