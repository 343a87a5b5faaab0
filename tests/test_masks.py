"""One mask, however it is stored, is one mask."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deepcut_lib.errors import ImageError
from deepcut_lib.masks import find_masks, read_grey_mask, read_mask

Y, X = np.mgrid[:20, :30]
DISC = (Y - 9) ** 2 + (X - 14) ** 2 < 36


def _palette(numbers: np.ndarray, *colours: tuple[int, int, int]) -> Image.Image:
    picture = Image.fromarray(numbers.astype(np.uint8), "P")
    flat = [channel for colour in colours for channel in colour]
    picture.putpalette(flat + [0] * (768 - len(flat)))
    return picture


STORED = {
    "0 and 255": Image.fromarray(DISC.astype(np.uint8) * 255),
    "0 and 1": Image.fromarray(DISC.astype(np.uint8)),
    "100 and 101": Image.fromarray(DISC.astype(np.uint8) + 100),
    "one bit": Image.fromarray(DISC),
    "VOC's palette": _palette(DISC, (0, 0, 0), (128, 0, 0)),
    "a palette of white and black": _palette(~DISC, (255, 255, 255), (0, 0, 0)),
    "a palette without colours": _palette(DISC),
    "several classes and void": _palette(
        np.where(DISC, 3 + (X > 14) * 12, (X == 0) * 255), *[(i * 10, 0, 255 - i * 10) for i in range(20)]
    ),
    "RGB": Image.fromarray(np.dstack([DISC * 255] * 3).astype(np.uint8)),
    "RGBA, opaque where true": Image.fromarray(np.dstack([DISC * 255] * 4).astype(np.uint8)),
    "RGBA, transparent": Image.fromarray(np.dstack([DISC * 255] * 3 + [DISC * 0]).astype(np.uint8)),
    "grey and alpha": Image.fromarray(np.dstack([DISC * 255, ~DISC * 255]).astype(np.uint8)),
    "16 bits": Image.fromarray(DISC.astype(np.uint16) * 65535),
    "16 bits, 0 and 1": Image.fromarray(DISC.astype(np.uint16)),
    "32 bits": Image.fromarray(DISC.astype(np.int32) * 1000),
    "floats": Image.fromarray(DISC.astype(np.float32)),
    "soft edges": Image.fromarray((np.where(DISC, 200, 60) + X).astype(np.uint8)),
}


@pytest.mark.parametrize("kind", STORED)
def test_every_way_to_store_a_mask(kind: str, tmp_path: Path) -> None:
    path = tmp_path / ("mask.tif" if STORED[kind].mode in ("F", "I", "I;16") else "mask.png")
    STORED[kind].save(path)
    for given in (STORED[kind], path, str(path)):
        assert np.array_equal(read_mask(given), DISC)


def test_soft_edges_stay_for_scores_that_ask_for_them() -> None:
    grey = np.where(DISC, 255, 0).astype(np.uint8)
    grey[0, :4] = (1, 127, 128, 254)
    assert np.array_equal(read_grey_mask(grey), grey)
    assert read_mask(grey)[0, :4].tolist() == [False, False, True, True]
    assert np.array_equal(read_mask(Image.fromarray(grey.astype(np.uint16) * 257)), grey >= 128)


@pytest.mark.parametrize(("value", "expected"), [(0, False), (1, True), (255, True)])
def test_masks_of_one_value(value: int, expected: bool) -> None:
    assert (read_mask(np.full((4, 5), value, np.uint8)) == expected).all()


def test_bad_masks_are_named(tmp_path: Path) -> None:
    (tmp_path / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(ImageError, match=r"torn\.png"):
        read_mask(tmp_path / "torn.png")
    Image.fromarray(DISC).save(tmp_path / "small.png")
    with pytest.raises(ImageError, match=r"small\.png.*30×20.*8×6"):
        read_mask(tmp_path / "small.png", Image.new("RGB", (8, 6)))
    with pytest.raises(ImageError, match="NaN"):
        read_mask(Image.fromarray(np.full((4, 4), np.nan, np.float32)))


def test_masks_of_a_folder(tmp_path: Path) -> None:
    for name in ("a.png", "a.jpg", "b.JPG", "c.bmp", ".hidden.png"):
        Image.fromarray(DISC).save(tmp_path / name)
    found = find_masks(tmp_path)
    assert {name: path.name for name, path in found.items()} == {"a": "a.png", "b": "b.JPG", "c": "c.bmp"}
    with pytest.raises(ImageError, match="no such folder of masks"):
        find_masks(tmp_path / "typo")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ImageError, match="no pictures"):
        find_masks(tmp_path / "empty")
