"""How a notebook shows figures."""

import base64
import io

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from deepcut_lib.plots.figure import blank, sharp, show


def diagram() -> Figure:
    figure = blank(None, 2.0, 3.0)
    figure.subplots().plot([0, 1], [1, 0])
    return figure


def with_picture(picture: np.ndarray) -> Figure:
    figure = blank(None, 2.0, 3.0)
    show(figure.subplots(), picture, "title")
    return figure


def test_a_diagram_is_drawn_as_lines_with_a_picture_for_who_may_not_see_them() -> None:
    data, metadata = sharp(diagram())
    assert data["image/svg+xml"].lstrip().startswith("<?xml")
    assert "<image" not in data["image/svg+xml"]
    assert Image.open(io.BytesIO(base64.b64decode(data["image/png"]))).width > 200
    assert metadata == {}


def test_the_same_diagram_gives_the_same_file() -> None:
    assert sharp(diagram()) == sharp(diagram())


@pytest.mark.parametrize(
    ("picture", "kind"),
    [
        (np.zeros((40, 60, 3), np.uint8), "image/png"),
        (np.random.default_rng(0).integers(0, 255, (400, 600, 3), np.uint8), "image/jpeg"),
    ],
)
def test_a_picture_has_twice_the_pixels_in_the_smaller_format(picture: np.ndarray, kind: str) -> None:
    data, metadata = sharp(with_picture(picture))
    assert {name for name in data if name.startswith("image")} == {kind}
    saved = Image.open(io.BytesIO(base64.b64decode(data[kind])))
    assert metadata[kind] == {"width": saved.width // 2, "height": saved.height // 2}
    assert 500 < saved.width <= 620


def test_an_explorer_s_figure_stays_its_own() -> None:
    mine = Figure(figsize=(2, 2))
    assert blank(mine, 3.0) is mine
