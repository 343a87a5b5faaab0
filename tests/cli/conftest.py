"""What several tests of the command line use."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def photos(tmp_path: Path, photograph: np.ndarray) -> Path:
    """A folder of four pictures: the disc of `photograph`, turned."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for turns in range(4):
        Image.fromarray(np.rot90(photograph, turns)).save(folder / f"{turns}.png")
    return folder
