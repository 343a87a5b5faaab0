"""Each data set in miniature: what is read, what is missing, and what is said about it."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from deepcut_lib import datasets
from deepcut_lib.cli.main import main
from deepcut_lib.datasets import SOURCES, DataSetError, KeyPoint, check, open_dataset
from deepcut_lib.images import load_image
from tests.conftest import DATA
from tests.datasets import miniature


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int], None]:
    """Lets a miniature pass for the whole set."""

    def count(name: str, number: int) -> None:
        monkeypatch.setitem(datasets.sources.SOURCES, name, replace(SOURCES[name], count=number))

    return count


def test_voc(tmp_path: Path, counted: Callable[[str, int], None]) -> None:
    miniature.voc(tmp_path)
    counted("voc07", 3)
    found = open_dataset("voc07", tmp_path)
    assert [sample.name for sample in found] == ["000005", "000007", "000009"]
    assert found[0].boxes == ((8, 4, 40, 30),)
    assert found[1].boxes == ((0, 0, 48, 32), (1, 2, 10, 12))
    assert found[2].image.name == "000009.jpg"
    easy = open_dataset("voc07_no_hard", tmp_path)
    assert [(sample.name, len(sample.boxes)) for sample in easy] == [("000005", 1), ("000007", 1)]
    assert check("voc07", tmp_path) == []


def test_voc_where_lost_and_tokencut_keep_it(tmp_path: Path) -> None:
    miniature.voc(tmp_path / "VOC2012", 2012)
    assert len(open_dataset("voc12", tmp_path)) == 3


def test_voc_of_fractions_and_damage(tmp_path: Path) -> None:
    miniature.voc(tmp_path)
    path = tmp_path / "VOCdevkit" / "VOC2007" / "Annotations" / "000005.xml"
    path.write_text(path.read_text().replace(">9<", ">9.7<"))
    assert open_dataset("voc07", tmp_path)[0].boxes[0][0] == 8
    path.write_text("<annotation>")
    with pytest.raises(ValueError, match=r"000005\.xml: not an annotation"):
        open_dataset("voc07", tmp_path)[0]
    assert len(open_dataset("voc07", tmp_path)[1].boxes) == 2


def test_davis(tmp_path: Path, counted: Callable[[str, int], None]) -> None:
    miniature.davis(tmp_path)
    counted("davis", 10)
    found = open_dataset("davis", tmp_path)
    assert found.names[:2] == ["bear/00000", "bear/00001"]
    assert [sample.label for sample in found] == ["bear"] * 5 + ["swan"] * 5
    assert check("davis", tmp_path) == []
    gone = found[7].mask
    assert gone is not None
    gone.unlink()
    assert "swan/00002.png" in check("davis", tmp_path)[0]


def test_coco20k(tmp_path: Path, counted: Callable[[str, int], None]) -> None:
    miniature.coco(tmp_path)
    counted("coco20k", 2)
    found = open_dataset("coco20k", tmp_path)
    assert [sample.name for sample in found] == ["COCO_train2014_000000000025", "COCO_train2014_000000000009"]
    assert found[0].boxes == ((3, 6, 14, 10),)
    assert found[1].boxes == ()
    assert check("coco20k", tmp_path) == []


def test_cocos_boxes_are_kept_until_the_annotations_change(tmp_path: Path) -> None:
    miniature.coco(tmp_path)
    open_dataset("coco20k", tmp_path)
    path = tmp_path / "COCO" / "annotations" / "instances_train2014.json"
    kept = path.with_name("coco20k_boxes.json")
    assert json.loads(kept.read_text())["boxes"] == {"25": [[3, 6, 14, 10]]}
    path.write_text(path.read_text().replace("5.6", "8.6 "))
    assert open_dataset("coco20k", tmp_path)[0].boxes == ((3, 9, 14, 13),)
    path.write_text("{}")
    with pytest.raises(ValueError, match="not COCO's annotations"):
        open_dataset("coco20k", tmp_path)


@pytest.mark.parametrize("inside", [False, True])
def test_cub(tmp_path: Path, inside: bool, counted: Callable[[str, int], None]) -> None:
    miniature.cub(tmp_path)
    counted("cub", 2)
    if inside:
        (tmp_path / "segmentations").rename(tmp_path / "CUB_200_2011" / "segmentations")
    found = open_dataset("cub", tmp_path)
    assert [sample.name for sample in found] == ["001.Albatross/A_1.jpg", "002.Bunting/B_1.jpg"]
    assert found[1].boxes == ((12, 8, 36, 24),)
    assert len(found[0].points) == 13
    assert found[0].points[1] == KeyPoint(3, 12.0, 7.5)
    assert found[1].mask is not None
    assert found[1].mask.exists()
    assert check("cub", tmp_path) == []


@pytest.mark.parametrize(
    ("name", "folder", "images", "masks"),
    [
        ("duts", "DUTS-TE", "DUTS-TE-Image", "DUTS-TE-Mask"),
        ("ecssd", "ECSSD", "images", "ground_truth_mask"),
        ("horses", "horses", "images", "masks"),
    ],
)
def test_folders_of_masks(
    tmp_path: Path, name: str, folder: str, images: str, masks: str, counted: Callable[[str, int], None]
) -> None:
    miniature.masked(tmp_path, folder, images, masks)
    counted(name, 3)
    for root in (tmp_path, tmp_path / folder):
        found = open_dataset(name, root)
        assert [sample.name for sample in found] == ["0001", "0002", "0003"]
        assert all(sample.mask.exists() for sample in found if sample.mask)
        assert check(name, root) == []


def test_the_repositorys_own_set() -> None:
    found = open_dataset("sample")
    assert len(found) == 80
    assert check("sample") == []
    assert open_dataset("sample", DATA).names == found.names
    sample = found[0]
    assert sample.mask is not None
    assert load_image(sample.mask).size == load_image(sample.image).size


def test_fashion(tmp_path: Path) -> None:
    miniature.fashion(tmp_path)
    found = open_dataset("fashion", tmp_path)
    assert [sample.label for sample in found] == [label for label in datasets.fashion.CLASSES for _ in "12"]
    assert found[3].image.exists()
    assert check("fashion", tmp_path) == []
    (tmp_path / "fashion" / "styles.csv").write_text("<html>")
    with pytest.raises(ValueError, match="no columns id and subCategory"):
        open_dataset("fashion", tmp_path)


def test_nothing_is_read_before_it_is_asked_for(tmp_path: Path) -> None:
    miniature.masked(tmp_path, "horses")
    found = open_dataset("horses", tmp_path)
    for path in (tmp_path / "horses" / "images").iterdir():
        path.write_bytes(b"")
    assert len(found[1:]) == 2
    assert [sample.name for sample in found[1:]] == ["0002", "0003"]


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    miniature.masked(tmp_path, "ECSSD", masks="ground_truth_mask", count=9)
    for number in range(1, 8):
        (tmp_path / "ECSSD" / "ground_truth_mask" / f"{number:04}.png").unlink()
    masks, count = check("ecssd", tmp_path)
    assert masks.startswith("7 of 9 masks are missing: ")
    assert "0005.png and 2 more" in masks
    assert "9 pictures; the whole set has 1,000" in count

    (tmp_path / "ECSSD" / "images").rename(tmp_path / "ECSSD" / "pictures")
    assert check("ecssd", tmp_path) == [f"{tmp_path / 'ECSSD' / 'images'} is missing"]
    with pytest.raises(DataSetError, match=r"images is missing.*deepcut_lib datasets download ecssd"):
        open_dataset("ecssd", tmp_path)


def test_missing_sets_say_how_to_get_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in SOURCES:
        with pytest.raises(DataSetError, match=r"is missing.*(download|Ask its authors|Kaggle|clone)"):
            open_dataset(name, tmp_path / "nowhere")
    with pytest.raises(ValueError, match="no data set is called 'imagenet'"):
        open_dataset("imagenet", tmp_path)
    with pytest.raises(ValueError, match="say where ecssd is"):
        open_dataset("ecssd")
    assert main(["datasets", "check", "horses", "--data", str(tmp_path)]) == 1
    printed = capsys.readouterr()
    assert "images is missing" in printed.err
    assert "Weizmann" in printed.out
    assert main(["datasets", "download", "fashion", "--data", str(tmp_path)]) == 1
    assert "Kaggle asks for a login" in capsys.readouterr().err
    assert main(["datasets", "list"]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in SOURCES)


def test_check_of_a_whole_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    miniature.masked(tmp_path, "horses")
    assert main(["datasets", "check", "horses", "--data", str(tmp_path)]) == 0
    assert "complete" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "path", "old", "new", "where"),
    [
        (
            "voc07",
            "VOCdevkit/VOC2007/ImageSets/Main/trainval.txt",
            b"7\n",
            b"7\xff\n",
            "trainval.txt, line 2",
        ),
        ("voc07", "VOCdevkit/VOC2007/Annotations/000007.xml", b">48<", b">wide<", "000007.xml: object 1"),
        ("voc07", "VOCdevkit/VOC2007/Annotations/000007.xml", b">48<", b"><", "000007.xml: object 1"),
        ("voc07", "VOCdevkit/VOC2007/Annotations/000007.xml", b">48<", b">1e999<", "000007.xml: object 1"),
        (
            "voc07",
            "VOCdevkit/VOC2007/Annotations/000007.xml",
            b">48<",
            b">\xff<",
            "000007.xml: not an annotation",
        ),
        ("cub", "CUB_200_2011/images.txt", b"2 001", b"2001", "images.txt, line 2"),
        ("cub", "CUB_200_2011/images.txt", b"B_1", b"B_\xe4", "images.txt, line 3"),
        ("cub", "CUB_200_2011/train_test_split.txt", b"2 1", b"2", "train_test_split.txt, line 2"),
        (
            "cub",
            "CUB_200_2011/train_test_split.txt",
            b"2 1",
            b"4 1",
            "train_test_split.txt: has no line for picture 2",
        ),
        ("cub", "CUB_200_2011/bounding_boxes.txt", b" 24.0", b"", "bounding_boxes.txt, line 1"),
        ("cub", "CUB_200_2011/bounding_boxes.txt", b" 24.0", b" inf", "bounding_boxes.txt, line 1"),
        ("cub", "CUB_200_2011/parts/part_locs.txt", b"1 3 12.0", b"1 3 12;0", "part_locs.txt, line 3"),
        ("coco20k", "COCO/coco_20k_filenames.txt", b"09.jpg", b"xx.jpg", "coco_20k_filenames.txt, line 2"),
        ("coco20k", "COCO/annotations/instances_train2014.json", b"[3.4, ", b"[", "2014.json: annotation 1"),
        ("coco20k", "COCO/annotations/instances_train2014.json", b"3.4", b"NaN", "2014.json: annotation 1"),
        (
            "coco20k",
            "COCO/annotations/instances_train2014.json",
            b'"image_id"',
            b'"image"',
            "2014.json: annotation 1",
        ),
        ("fashion", "fashion/styles.csv", b"101,Men", b"101,M\xe4n", "styles.csv, line 2"),
    ],
)
def test_damaged_tables_are_named(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    path: str,
    old: bytes,
    new: bytes,
    where: str,
) -> None:
    getattr(miniature, name.rstrip("0127k"))(tmp_path)
    content = (tmp_path / path).read_bytes()
    assert old in content
    (tmp_path / path).write_bytes(content.replace(old, new, 1))
    with pytest.raises(ValueError, match=re.escape(where)):
        list(open_dataset(name, tmp_path))
    assert main(["datasets", "check", name, "--data", str(tmp_path)]) == 1
    assert where in capsys.readouterr().err


def test_tables_may_begin_with_a_mark(tmp_path: Path) -> None:
    """Spreadsheets put one before UTF-8."""
    miniature.fashion(tmp_path)
    path = tmp_path / "fashion" / "styles.csv"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert len(open_dataset("fashion", tmp_path)) == 10
