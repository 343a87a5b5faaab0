"""Lesson 1: its definitions against the library, its explorer, and the checks of its exercises."""

import math
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from matplotlib.backend_bases import MouseEvent
from PIL import Image
from sklearn.metrics import roc_auc_score
from torch import Tensor
from torch.nn import functional

from deepcut_lib.backbones import load_backbone
from deepcut_lib.features import normalize, upsample
from deepcut_lib.lessons.common.explorer import Explorer
from deepcut_lib.lessons.common.figures import patch_at, similarity_map
from deepcut_lib.lessons.features import checks
from deepcut_lib.lessons.features.explorer import explore_similarity
from deepcut_lib.lessons.features.figures import similarity_figure
from tests.conftest import DATA
from tests.lessons.definitions import definitions, pixels, random_features, same_picture


@pytest.fixture(scope="module")
def lesson() -> SimpleNamespace:
    return SimpleNamespace(**definitions("01_features"))


# The notebook's functions


def test_patchify_is_unfold(lesson: SimpleNamespace) -> None:
    picture = torch.rand(6, 9)
    torch.testing.assert_close(
        lesson.patchify(picture, 3), functional.unfold(picture[None, None], 3, stride=3)[0].T
    )


def test_attend_is_torchs_attention(lesson: SimpleNamespace, generator: torch.Generator) -> None:
    q, k, v = (torch.randn(7, 4, generator=generator) for _ in range(3))
    expected = functional.scaled_dot_product_attention(q[None], k[None], v[None])[0]
    torch.testing.assert_close(lesson.attend(q, k, v), expected)


def test_similarity_agrees_with_the_librarys_features_and_maps(lesson: SimpleNamespace) -> None:
    features = random_features()
    F = features.values
    N = normalize(F, 2.0)
    torch.testing.assert_close(lesson.similarity(F - F.mean(0)), N @ N.T / 4)
    for centre in (True, False):
        row = lesson.one_row(features, (0.3, 0.8), centre)
        shown = similarity_map(features, (0.3, 0.8), centred=centre)
        np.testing.assert_allclose(upsample(row, features), shown, atol=1e-6)


def test_separation_is_the_mean_area_under_the_curve(lesson: SimpleNamespace) -> None:
    S = lesson.similarity(torch.randn(20, 5, generator=torch.Generator().manual_seed(3)))
    inside = torch.arange(20) < 8
    areas = []
    for i in range(8):
        others = torch.arange(20) != i
        areas.append(roc_auc_score(inside[others], S[i][others]))
    assert math.isclose(lesson.separation(S, inside), np.mean(areas), abs_tol=1e-6)


# The explorer


@pytest.fixture
def pictures() -> dict[str, Path]:
    return {name: DATA / "images" / f"{name}.jpg" for name in ("bird_01", "photo_cat")}


@pytest.fixture
def explorer(pictures: dict[str, Path]) -> Iterator[Explorer]:
    yield explore_similarity(pictures, ["pixels", "tiny_vit_masked"])


def test_explorer_draws_what_the_function_draws(explorer: Explorer, pictures: dict[str, Path]) -> None:
    explorer.controls["picture"].value = "photo_cat"
    explorer.controls["down"].value = 38
    explorer.controls["centred"].value = False
    picture = Image.open(pictures["photo_cat"])
    features = load_backbone("pixels")(picture)
    wanted = similarity_figure(picture, features, (0.38, 0.5), centred=False, name="pixels (has no facets)")
    assert same_picture(explorer.figure, wanted)


def test_facets_are_offered_only_where_there_are_some(explorer: Explorer, pictures: dict[str, Path]) -> None:
    assert explorer.controls["facet"].disabled
    explorer.controls["facet"].value = "value"  # does nothing, and says so in the title
    assert "no facets" in explorer.figure.axes[1].get_title()
    explorer.controls["backbone"].value = "tiny_vit_masked"
    assert not explorer.controls["facet"].disabled
    picture = Image.open(pictures["bird_01"])
    features = load_backbone("tiny_vit_masked", facet="value")(picture)
    wanted = similarity_figure(picture, features, (0.5, 0.5), name="tiny_vit_masked, value")
    assert same_picture(explorer.figure, wanted)


@pytest.mark.parametrize("panel", [0, 1])
def test_a_click_in_either_picture_chooses_the_patch_that_was_clicked(explorer: Explorer, panel: int) -> None:
    pixels(explorer.figure)  # the layout is settled when the figure is drawn
    features = load_backbone("pixels")(DATA / "images" / "bird_01.jpg")
    for x, y in ((479.0, 359.0), (17.2, 12.8)):
        axes = explorer.figure.axes[panel]
        at = axes.transData.transform((x, y))
        click = MouseEvent("button_press_event", explorer._canvas, *at, button=1)
        explorer._canvas.callbacks.process("button_press_event", click)
        row, column = patch_at(features, (y / 360, x / 480))
        assert f"row {row}, column {column} of" in explorer.figure.axes[0].get_title()
        pixels(explorer.figure)


def test_what_cannot_be_shown_is_said_above_an_empty_figure(pictures: dict[str, Path]) -> None:
    explorer = explore_similarity({**pictures, "lost": DATA / "images" / "lost.jpg"}, ["pixels", "nobody"])
    explorer.controls["picture"].value = "lost"
    assert "no such file" in explorer._status.value
    assert explorer.figure.axes == []
    explorer.set(picture="bird_01", backbone="nobody")
    assert "no backbone is called" in explorer._status.value
    explorer.controls["backbone"].value = "pixels"
    assert explorer._status.value == ""
    assert explorer.figure.axes


# The exercises


def refused(verdict: object, message: str) -> bool:
    return not verdict and message in str(verdict)


def cosines(F: Tensor, G: Tensor) -> Tensor:
    return functional.normalize(F, dim=1) @ functional.normalize(G, dim=1).T


def test_similarity_is_checked_for_lengths_zero_rows_and_sides() -> None:
    assert checks.check_similarity(cosines)
    assert checks.check_similarity(lambda F, G: cosines(F, G).numpy())
    assert refused(checks.check_similarity(lambda F, G: F @ G.T), "lengths of its two rows")
    assert refused(
        checks.check_similarity(lambda F, G: F @ G.T / F.norm(dim=1)[:, None] / G.norm(dim=1)), "NaN"
    )
    assert refused(checks.check_similarity(lambda F, G: cosines(G, F)), "shape (4, 5)")
    coarse = checks.check_similarity(
        lambda F, G: F @ G.T / (F.norm(dim=1)[:, None] * G.norm(dim=1)).clamp(min=0.1)
    )
    assert refused(coarse, "divided by 100")


def unfolded(picture: Tensor, patch: int, stride: int) -> Tensor:
    return picture.unfold(0, patch, stride).unfold(1, patch, stride)


def test_patchify_is_checked_for_order_overlap_and_shape() -> None:
    assert checks.check_patchify(lambda x, p, s: unfolded(x, p, s).reshape(-1, p * p))
    assert refused(checks.check_patchify(lambda x, p, s: unfolded(x, p, s).flatten(0, 1)), "as squares")
    by_column = checks.check_patchify(lambda x, p, s: unfolded(x, p, s).transpose(0, 1).reshape(-1, p * p))
    assert refused(by_column, "column by column")
    no_overlap = checks.check_patchify(lambda x, p, s: unfolded(x, p, p).reshape(-1, p * p))
    assert refused(no_overlap, "patch=2, stride=1")
    assert refused(no_overlap, "5×9 = 45 fit")


def test_grid_is_checked_for_the_usual_slips() -> None:
    channels = 17 * 384
    assert checks.check_grid((55, 79, channels))
    assert refused(checks.check_grid((56, 80, channels)), "One too many")
    assert refused(checks.check_grid((79, 55, channels)), "Rows come first")
    assert refused(checks.check_grid([28, 40, channels]), "stride 8")
    assert refused(checks.check_grid([55, 79, 384]), "how many bins")
    assert refused(checks.check_grid(...), "still missing")


def test_opposites_are_measured_before_and_after_centring() -> None:
    assert checks.check_opposites([[10, 1], [10, -1], [10, 0]])
    assert checks.check_opposites(torch.tensor([[5.0, 5.5], [5.5, 5.0], [5.2, 5.2]]))
    assert refused(checks.check_opposites([[1, 0], [-1, 0], [0, 0]]), "should exceed 0.9")
    assert refused(checks.check_opposites([[10, 1], [10, 1], [10, -2]]), "Where does the mean lie")


def heads_of(q: Tensor, k: Tensor, v: Tensor, heads: int, *, dim: int = -1, width: int = 0) -> Tensor:
    q, k, v = (x.unflatten(1, (heads, -1)).transpose(0, 1) for x in (q, k, v))
    weights = (q @ k.mT / math.sqrt(width or q.shape[-1])).softmax(dim)
    return (weights @ v).transpose(0, 1).flatten(1)


def test_heads_are_checked_and_each_slip_is_named() -> None:
    assert checks.check_heads(heads_of)
    assert refused(checks.check_heads(lambda *a: heads_of(*a, dim=1)), "wrong axis")
    assert refused(checks.check_heads(lambda *a: heads_of(*a, width=1)), "not divided")
    assert refused(
        checks.check_heads(lambda q, k, v, h: heads_of(q, k, v, h, width=6)), "root of all channels"
    )
    assert refused(checks.check_heads(lambda q, k, v, h: heads_of(k, q, v, h)), "changed places")
    assert refused(checks.check_heads(lambda q, k, v, h: heads_of(q, k, v, 1)), "its own channels")

    def interleaved(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
        result = torch.empty_like(v)
        for head in range(heads):
            own = slice(head, None, heads)
            result[:, own] = heads_of(q[:, own], k[:, own], v[:, own], 1)
        return result

    assert refused(checks.check_heads(interleaved), "first d / heads channels")


def test_components_may_have_any_sign_but_must_be_centred_and_scaled() -> None:
    def parts(F: Tensor) -> tuple[Tensor, Tensor]:
        U, S, _ = torch.linalg.svd(F, full_matrices=False)
        return U, S

    def right(F: Tensor, count: int) -> Tensor:
        U, S = parts(F - F.mean(0))
        return -(U * S)[:, :count]

    assert checks.check_pca(right)
    assert refused(checks.check_pca(lambda F, c: (parts(F)[0] * parts(F)[1])[:, :c]), "centre F")
    assert refused(checks.check_pca(lambda F, c: parts(F - F.mean(0))[0][:, :c]), "singular value")
    assert refused(checks.check_pca(lambda F, c: right(F, 4).flip(1)[:, :c]), "Largest component first")
