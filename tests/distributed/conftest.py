"""What tests of the table and of the cluster use."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deepcut_lib.backbones import Backbone, load_backbone


@pytest.fixture
def pixels() -> Backbone:
    return load_backbone("pixels", device="cpu")


@pytest.fixture
def photos(tmp_path: Path, photograph: np.ndarray) -> Path:
    """A folder of twelve pictures of four sizes, one file among them that is none."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(12):
        turned = np.rot90(photograph[: 96 - 8 * (number % 2)], number)
        Image.fromarray(np.roll(turned, 7 * number, axis=1)).save(folder / f"{number:02}.png")
    (folder / "05b.png").write_bytes(b"no picture")
    return folder
