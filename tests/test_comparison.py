"""Backbones side by side: the scores, the folder's boxes, table and figure."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deepcut_lib.backbones import load_backbone
from deepcut_lib.comparison import (
    BackboneScores,
    BoxedPicture,
    boxed_pictures,
    compare_backbones,
    markdown_table,
)
from deepcut_lib.errors import DeepCutError, ImageError
from deepcut_lib.lessons.backbone_comparison.figures import backbone_bars


@pytest.fixture
def folder(tmp_path: Path, photograph: np.ndarray) -> Path:
    (tmp_path / "images").mkdir()
    for name in ("one", "two"):
        Image.fromarray(photograph).save(tmp_path / "images" / f"{name}.png")
    return tmp_path


def write_masks(folder: Path) -> None:
    (folder / "masks").mkdir()
    y, x = np.mgrid[:96, :128]
    disc = (y - 46) ** 2 + (x - 70) ** 2 < 28**2
    Image.fromarray(disc.astype(np.uint8)).save(folder / "masks" / "one.png")  # of 0 and 1
    Image.fromarray(np.zeros((96, 128), np.uint8)).save(folder / "masks" / "two.png")


def test_boxes_of_masks(folder: Path) -> None:
    write_masks(folder)
    assert boxed_pictures(folder) == [(folder / "images" / "one.png", [(43, 19, 98, 74)])]


def test_boxes_of_a_table(folder: Path) -> None:
    table = folder / "boxes.csv"
    table.write_text("name,x1,y1,x2,y2\none,1,2,30,40\none,5,6,7.6,8\ntwo.png,0,0,9,9\nelse,0,0,1,1\n")
    assert [boxes for _, boxes in boxed_pictures(folder)] == [[(1, 2, 30, 40), (5, 6, 8, 8)], [(0, 0, 9, 9)]]
    for content in ("name,x1\none,1\n", "name,x1,y1,x2,y2\none,a,b,c,d\n", "name,x1,y1,x2,y2\none,1\n"):
        table.write_text(content)
        with pytest.raises(DeepCutError, match=r"boxes\.csv: cannot be read"):
            boxed_pictures(folder)
    table.write_text("name,x1,y1,x2,y2\nelse,0,0,1,1\n")
    with pytest.raises(DeepCutError, match="has a box or a mask"):
        boxed_pictures(folder)
    table.unlink()
    with pytest.raises(DeepCutError, match=r"neither boxes\.csv nor masks"):
        boxed_pictures(folder)


def test_masks_of_any_ending_and_of_their_pictures_size(folder: Path) -> None:
    write_masks(folder)
    Image.open(folder / "masks" / "one.png").convert("RGB").save(folder / "masks" / "two.BMP")
    (folder / "masks" / "two.png").unlink()
    (folder / "masks" / "._two.png").write_bytes(b"what a Mac keeps for itself")
    assert [boxes for _, boxes in boxed_pictures(folder)] == [[(43, 19, 98, 74)]] * 2
    Image.new("L", (40, 30)).save(folder / "masks" / "two.png")
    with pytest.raises(ImageError, match=r"two\.png: the mask is 40×30 pixels"):
        boxed_pictures(folder)


def test_tables_of_spreadsheets(folder: Path) -> None:
    table = folder / "boxes.csv"
    table.write_text("name,x1,y1,x2,y2\none,1,2,30,40\n", encoding="utf-8-sig")
    assert [boxes for _, boxes in boxed_pictures(folder)] == [[(1, 2, 30, 40)]]
    table.write_text("name,x1,y1,x2,y2\none,1,2,inf,40\n")
    with pytest.raises(DeepCutError, match=r"boxes\.csv: cannot be read"):
        boxed_pictures(folder)


def test_compare_backbones(folder: Path) -> None:
    write_masks(folder)
    pictures = boxed_pictures(folder)
    backbones = [load_backbone(name) for name in ("pixels", "random_vit")]
    for backbone in backbones:
        backbone.size = 128
    rows = compare_backbones(backbones, pictures)
    assert [row.backbone for row in rows] == ["pixels", "random_vit"]
    for row in rows:
        assert all(
            0 <= value <= 1 for value in (row.negative, row.negative_clustered, row.ncut_iou, row.cc_iou)
        )
        assert row.n_pictures == 1
    assert rows[0].ncut_iou > 0.6  # a red disc on green
    assert rows[0].negative_clustered > 0.3  # centred
    assert rows[1].negative_clustered == rows[1].negative  # as they are
    # the share by hand
    values = backbones[0](pictures[0].path).values
    assert rows[0].negative == pytest.approx(float(((values @ values.T) < 0).float().mean()), abs=1e-3)
    with pytest.raises(ValueError, match="no pictures"):
        compare_backbones(backbones, [])
    best = [BoxedPicture(pictures[0].path, [(0, 0, 1, 1), *pictures[0].boxes])]
    assert compare_backbones(backbones[:1], best) == rows[:1]  # the best of several boxes counts


def test_table_and_figure() -> None:
    rows = [
        BackboneScores("first", 0.336, 0.5, 0.594, 0.598, 7),
        BackboneScores("second", 0.05, 0.4, 0.4, 0.3, 7),
    ]
    lines = markdown_table(rows).splitlines()
    assert lines[2] == "| `first` | 33.6% | 50.0% | 0.594 | 0.598 |"
    assert len({line.count("|") for line in lines}) == 1
    figure = backbone_bars(rows)
    left, right = figure.axes
    assert [text.get_text() for text in left.get_yticklabels()] == ["first", "second"]
    assert [bar.get_width() for bar in left.patches] == [0.336, 0.05, 0.5, 0.4]
    assert [bar.get_width() for bar in right.patches] == [0.594, 0.4, 0.598, 0.3]
    assert len(backbone_bars(rows[:1], figure=figure).axes) == 2
