"""A clip made here: a red disc that moves over noisy green."""

import numpy as np
import pytest
from PIL import Image


def scene(at: int, colours: tuple[tuple[int, int, int], tuple[int, int, int]]) -> np.ndarray:
    """A 96×128 frame of a disc whose centre is at this column, on the other colour."""
    y, x = np.mgrid[:96, :128]
    disc = (y - 48) ** 2 + (x - at) ** 2 < 22**2
    noise = np.random.default_rng(0).normal(0, 10, (96, 128, 3))
    return np.clip(np.where(disc[..., None], *colours) + noise, 0, 255).astype(np.uint8)


RED_ON_GREEN = ((200, 40, 30), (60, 140, 70))
YELLOW_ON_BLUE = ((230, 220, 40), (30, 40, 160))


def truth(at: int) -> np.ndarray:
    """Where the disc is."""
    y, x = np.mgrid[:96, :128]
    return (y - 48) ** 2 + (x - at) ** 2 < 22**2


@pytest.fixture
def places() -> list[int]:
    """The disc's columns, frame by frame."""
    return list(range(40, 90, 6))


@pytest.fixture
def clip(places: list[int]) -> list[Image.Image]:
    """Nine frames."""
    return [Image.fromarray(scene(at, RED_ON_GREEN)) for at in places]
