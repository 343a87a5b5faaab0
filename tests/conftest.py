"""What several tests use."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from deepcut_lib import downloads
from deepcut_lib.features import PatchFeatures
from tests.served import Server

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "data"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Both of two processes, which take half of the tests each, begin with those that take up to minutes.

    An idle process takes over what is at the end of the other's half: a long one there would end up alone.
    """
    long = ("test_another_backbone", "test_cluster", "test_explorers_in_browser")
    first = [item for item in items if item.path.stem == "test_notebooks"]
    second = [item for item in items if item.path.stem in long]
    short = [item for item in items if item.path.stem not in ("test_notebooks", *long)]
    middle = len(items) // 2 - len(first)
    items[:] = [*first, *short[:middle], *second, *short[middle:]]


@pytest.fixture
def generator() -> torch.Generator:
    """Random numbers that are the same each time."""
    return torch.Generator().manual_seed(0)


@pytest.fixture
def blobs(generator: torch.Generator) -> Tensor:
    """120×16 features of three well-separated groups, 40 patches each, centred."""
    centres = torch.eye(3, 16) * 6
    rows = centres.repeat_interleave(40, 0) + 0.5 * torch.randn(120, 16, generator=generator)
    return rows - rows.mean(0)


@pytest.fixture
def disc() -> np.ndarray:
    """Where the disc of `photograph` is: 96×128 bool."""
    y, x = np.mgrid[:96, :128]
    return (y - 46) ** 2 + (x - 70) ** 2 < 28**2


@pytest.fixture
def photograph(disc: np.ndarray) -> np.ndarray:
    """A 96×128 picture: a noisy red disc on noisy green."""
    rng = np.random.default_rng(0)
    colours = np.where(disc[..., None], (200, 40, 30), (60, 140, 70))
    return np.clip(colours + rng.normal(0, 12, colours.shape), 0, 255).astype(np.uint8)


def patch_features(values: Tensor, grid: tuple[int, int]) -> PatchFeatures:
    """Features of a picture that has as many pixels as patches."""
    return PatchFeatures(values, grid, None, grid, "blobs")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Files to download; between attempts there is no pause."""
    monkeypatch.setattr(downloads, "PAUSE", 0.0)
    server = Server()
    yield server
    server.close()
