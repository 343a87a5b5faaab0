"""Checks of lesson 1: patches, attention, similarity and principal components."""

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from deepcut_lib.backbones import load_backbone
from deepcut_lib.features import log_bin, normalize
from deepcut_lib.lessons.common.verdict import NotYetError, agree, as_array, call, exercise


@exercise
def check_similarity(similarity: Callable[[Tensor, Tensor], Any]) -> str:
    """F n×d and G m×d → cosines n×m; a zero row is similar to nothing."""
    generator = torch.Generator().manual_seed(0)
    F, G = torch.randn(5, 3, generator=generator), torch.randn(4, 3, generator=generator)
    expected = functional.normalize(F, dim=1) @ functional.normalize(G, dim=1).T
    result = as_array(call(similarity, F, G), (5, 4), "The result for F 5×3 and G 4×3")
    if np.allclose(result, F @ G.T, atol=1e-4):
        raise NotYetError("These are plain products: divide each by the lengths of its two rows.")
    agree(result, expected, "Row i, column j is the cosine of F[i] and G[j].")
    F[1], G[2] = 0, 0
    result = call(similarity, F, G)
    if isinstance(result, Tensor) and result.isnan().any():
        raise NotYetError("A row of zeros gives NaN, 0 divided by 0: let it be similar to nothing, 0.")
    expected[1], expected[:, 2] = 0, 0
    agree(result, expected, "This is with a row of zeros in F and in G.")
    agree(
        call(similarity, F / 100, G / 100), expected, "Lengths must not count: F and G were divided by 100."
    )
    return (
        "Different numbers of patches, vectors of any length, and zero vectors: all agree with the library's."
    )


@exercise
def check_patchify(patchify: Callable[[Tensor, int, int], Any]) -> str:
    """A grey picture H×W → n×p² patches, one every `stride` pixels, row-major."""
    picture = torch.arange(6 * 10.0).reshape(6, 10)
    for patch, stride in ((2, 2), (2, 1), (4, 2), (3, 3)):
        expected = functional.unfold(picture[None, None], patch, stride=stride)[0].T
        case = f"With a picture of 6×10, patch={patch}, stride={stride}, the result"
        patches = call(patchify, picture, patch, stride)
        rows, columns = (6 - patch) // stride + 1, (10 - patch) // stride + 1
        _refuse_other_counts(patches, (rows, columns), patch, case)
        result = as_array(patches, tuple(expected.shape), case)
        by_column = expected.reshape(rows, columns, -1).transpose(0, 1).flatten(0, 1)
        if np.array_equal(result, by_column) and not np.array_equal(by_column, expected):
            raise NotYetError("The order is column by column: the patches of the first row come first.")
        agree(result, expected, "A patch's pixels are read row by row, too.", what=case)
    return "With and without overlap, and where the last pixels fill no patch: as torch's unfold."


@exercise
def check_grid(answer: Any) -> str:
    """(rows, columns, channels) of a ViT-S/8 at half its stride, for 224×320 pixels, log-binned."""
    rows, columns, channels = _half_stride()
    given = tuple(int(number) for number in as_array(answer, (3,), "(rows, columns, channels)"))
    if given[:2] == (columns, rows):
        raise NotYetError("Rows come first: the picture is 224 pixels high and 320 wide.")
    if given[:2] == (rows + 1, columns + 1):
        raise NotYetError(
            "One too many each way: a patch that starts at row 220 would need 8 pixels, and 4 are left."
        )
    if given[:2] == (28, 40):
        raise NotYetError("28×40 is the grid of stride 8, where patches do not overlap.")
    if given[:2] != (rows, columns):
        raise NotYetError(f"The grid is not {given[0]}×{given[1]}: at which pixel does the last patch start?")
    if given[2] != channels:
        raise NotYetError(f"The grid is right; {given[2]} channels are not: how many bins has a patch?")
    growth = (rows * columns / (28 * 40)) ** 2
    return (
        f"The library says the same: {rows}×{columns} patches of {channels} numbers. All their similarities "
        f"to one another are {growth:.0f} times as many as at stride 8."
    )


@exercise
def check_opposites(answer: Any) -> str:
    """3×2 features whose first two rows are alike as they are, and opposite once centred."""
    F = torch.tensor(as_array(answer, (3, 2), "The matrix of three patches"))
    plain = float(functional.cosine_similarity(F[0], F[1], dim=0))
    units = normalize(F, 1.0)
    centred = float(units[0] @ units[1])
    if plain <= 0.9:
        raise NotYetError(f"As they are, rows 0 and 1 have a cosine of {plain:.2f}; it should exceed 0.9.")
    if centred >= -0.9:
        raise NotYetError(
            f"As they are, rows 0 and 1 have a cosine of {plain:.2f}, good; centred it is {centred:.2f}, and "
            "should be below -0.9. Where does the mean lie, seen from the two rows?"
        )
    return f"From {plain:.2f} to {centred:.2f}, by taking away no more than what all three share."


@exercise
def check_heads(attend_heads: Callable[[Tensor, Tensor, Tensor, int], Any]) -> str:
    """q, k, v n×d and the number of heads, head-major → n×d."""
    generator = torch.Generator().manual_seed(0)
    for heads in (1, 2, 3):
        q, k, v = (torch.randn(5, 6, generator=generator) * 2 for _ in range(3))
        expected = _attention(q, k, v, heads)
        case = f"With 5 tokens, 6 channels and heads={heads}, the result"
        result = as_array(call(attend_heads, q, k, v, heads), (5, 6), case)
        mistakes = {
            "The softmax runs over the wrong axis: for each query, the weights of all keys sum to one.": (
                _attention(q, k, v, heads, axis=1)
            ),
            "The scores are not divided by the root of a head's channels.": (
                _attention(q, k, v, heads, width=1)
            ),
            "The scores are divided by the root of all channels; a head has only d / heads of them.": (
                _attention(q, k, v, heads, width=6)
            ),
            "Queries and keys have changed places.": _attention(k, q, v, heads),
            "Head 0 has the first d / heads channels, not every heads-th one.": _interleaved(q, k, v, heads),
        }
        right = np.allclose(result, expected, atol=1e-4)
        for hint, wrong in mistakes.items():
            if not right and np.allclose(result, wrong, atol=1e-4):
                raise NotYetError(f"{case} is not right. {hint}")
        agree(result, expected, "Each head works on its own channels of q, k and v.", what=case)
    return "One, two and three heads agree with torch's scaled_dot_product_attention."


@exercise
def check_pca(scores: Callable[[Tensor, int], Any]) -> str:
    """F n×d → its n×count principal components, each up to its sign."""
    generator = torch.Generator().manual_seed(0)
    spread = torch.tensor([5.0, 3.0, 2.0, 0.3])
    F = torch.randn(40, 4, generator=generator) * spread + torch.tensor([50.0, 0.0, 20.0, 0.0])
    mixed = F @ torch.linalg.qr(torch.randn(4, 4, generator=generator)).Q
    result = as_array(call(scores, mixed, 3), (40, 3), "The result for F 40×4 and count=3")
    if np.abs(result.mean(0)).max() > 1e-2:
        raise NotYetError("The columns of the result do not have mean 0: centre F over the patches first.")
    U, S, _ = torch.linalg.svd(mixed - mixed.mean(0), full_matrices=False)
    expected = (U * S)[:, :3].numpy()
    signs = np.where((result * expected).sum(0) < 0, -1, 1)
    if np.allclose(result * signs, U[:, :3], atol=1e-3):
        raise NotYetError(
            "The directions are right, but all have length 1: multiply each by its singular value, so that "
            "the first component spreads most."
        )
    agree(result * signs, expected, "Signs do not count. Largest component first.", tolerance=1e-3)
    return "Three components, the widest first, the same as from an exact PCA up to their signs."


@cache
def _half_stride() -> tuple[int, int, int]:
    """Rows, columns and log-binned channels of a ViT-S/8, which `random_vit` is, by the library."""
    backbone = load_backbone("random_vit", stride=4, device="cpu")
    channels = log_bin(backbone(np.zeros((16, 16)), size=16, cls=False)).values.shape[1]
    return *backbone.grid(224, 320), channels


def _attention(q: Tensor, k: Tensor, v: Tensor, heads: int, *, axis: int = 2, width: int = 0) -> Tensor:
    q, k, v = (part.unflatten(1, (heads, -1)).transpose(0, 1) for part in (q, k, v))
    weights = (q @ k.mT / math.sqrt(width or q.shape[2])).softmax(axis)
    return (weights @ v).transpose(0, 1).flatten(1)


def _interleaved(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
    """What comes out if every heads-th channel is taken for one head."""
    order = torch.arange(q.shape[1]).reshape(-1, heads).T.flatten()
    return _attention(q[:, order], k[:, order], v[:, order], heads)[:, order.argsort()]


def _refuse_other_counts(patches: Any, grid: tuple[int, int], patch: int, case: str) -> None:
    if isinstance(patches, Tensor | np.ndarray) and patches.ndim == 3 and patches.shape[1:] == (patch, patch):
        raise NotYetError(
            f"{case} keeps patches as squares: flatten each to a row of {patch * patch} numbers."
        )
    count = grid[0] * grid[1]
    if isinstance(patches, Tensor | np.ndarray) and patches.ndim == 2 and len(patches) != count:
        raise NotYetError(
            f"{case} has {len(patches)} patches, and {grid[0]}×{grid[1]} = {count} fit: the last one starts "
            "at H − patch at most."
        )
