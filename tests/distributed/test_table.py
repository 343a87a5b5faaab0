"""Parts of the table: what is in them, what is kept, what a list may look like; in one process."""

import io
import os
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("ray")

import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import torch

from deepcut_lib import batches
from deepcut_lib.backbones import Backbone, load_backbone
from deepcut_lib.backbones.registry import OFFLINE
from deepcut_lib.distributed import Describing, Labelling, Segmenting, table
from deepcut_lib.distributed.table import (
    Listed,
    count_list,
    make_part,
    place_of,
    read_list,
    remove_stale,
    write_list,
)
from deepcut_lib.distributed.work import Row, Work
from deepcut_lib.errors import DeepCutError, ImageError
from deepcut_lib.images import load_image
from deepcut_lib.kless import picture_vector
from deepcut_lib.recipe import Recipe
from deepcut_lib.segmentation import Segmentation, segment
from deepcut_lib.trained import TrainedDeepCut, train_once


def listed(photos: Path) -> list[Listed]:
    return [Listed(path, None) for path in sorted(photos.iterdir())]


def made(work: Work, pictures: list[Listed], place: Path, **options: bool) -> tuple[Row, list[Row]]:
    """What a part says of itself, and its rows."""
    outcome = make_part(work, pictures, place, **options)
    return outcome, pq.read_table(place).to_pylist()


def drawn(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)))


def check(row: Row, found: Segmentation) -> None:
    assert np.array_equal(drawn(row["mask"]), found.mask)
    assert np.array_equal(drawn(row["labels"]), found.labels)
    assert tuple(row["box"]) == found.box
    assert (row["n_clusters"], row["spread"]) == (found.n_clusters, found.spread)


@pytest.mark.parametrize("size", [64, None])
@pytest.mark.parametrize("refine", [False, True])
def test_rows_are_what_segment_finds(
    photos: Path, tmp_path: Path, pixels: Backbone, size: int | None, refine: bool
) -> None:
    work = Segmenting(pixels, size=size, refine=refine)
    outcome, rows = made(work, listed(photos), tmp_path / "part")
    assert outcome == {"pictures": 13, "kept": 0, "failed": 1, "blank": 0, "told": [rows[6]["failure"]]}
    for row in rows:
        path = Path(row["path"])
        if path.name == "05b.png":
            assert "05b.png: not a picture" in row["failure"]
            assert row["mask"] is row["box"] is row["key"] is None
        else:
            assert row["failure"] is None
            assert (row["width"], row["height"]) == load_image(path).size
            check(row, segment(path, backbone=pixels, size=size, refine=refine))


def test_without_masks_it_is_localization(photos: Path, tmp_path: Path, pixels: Backbone) -> None:
    _, rows = made(Segmenting(pixels, size=64, masks=False), listed(photos), tmp_path / "part")
    assert "mask" not in rows[0]
    assert tuple(rows[0]["box"]) == segment(rows[0]["path"], backbone=pixels, size=64).box


def test_trained_networks_and_their_parts(photos: Path, tmp_path: Path, pixels: Backbone) -> None:
    paths = [one.path for one in listed(photos) if one.path.name != "05b.png"]
    trained = train_once(paths[:4], k=2, backbone=pixels, size=64, part_epochs=2)
    trained.save(tmp_path / "networks")
    assert TrainedDeepCut.load(tmp_path / "networks").fingerprint == trained.fingerprint
    _, rows = made(Labelling(trained, pixels), listed(photos)[:3], tmp_path / "part")
    for row, path in zip(rows, paths, strict=False):
        check(row, trained.segment(path, backbone=pixels))
        assert np.array_equal(drawn(row["parts"]), trained.parts(path, backbone=pixels).labels)


def test_vectors(photos: Path, tmp_path: Path, pixels: Backbone) -> None:
    _, rows = made(Describing(pixels, size=64), listed(photos)[:3], tmp_path / "part")
    for row in rows:
        assert np.array_equal(np.float32(row["vector"]), picture_vector(row["path"], pixels, size=64).numpy())


def test_what_is_kept(photos: Path, tmp_path: Path, pixels: Backbone) -> None:
    work, place = Segmenting(pixels, size=64), tmp_path / "part"
    _, first = made(work, listed(photos), place)
    written = place.stat().st_mtime_ns
    assert made(work, listed(photos), place) == (
        {"pictures": 13, "kept": 12, "failed": 1, "blank": 0, "told": [first[6]["failure"]]},
        first,
    )
    assert place.stat().st_mtime_ns == written
    (photos / "03.png").rename(photos / "04.png")  # two pictures gone, one of them under another name
    outcome, rows = made(work, listed(photos), place)
    assert (outcome["pictures"], outcome["kept"]) == (12, 11)
    assert rows[3] == {**first[3], "path": str(photos / "04.png")}
    (photos / "05b.png").write_bytes((photos / "00.png").read_bytes())  # what has failed is tried again
    outcome, rows = made(work, listed(photos), place)
    assert (outcome["kept"], outcome["failed"]) == (12, 0)
    assert rows[5]["mask"] == first[0]["mask"]


@pytest.mark.parametrize("change", ["settings", "damage", "overwrite", "cut short"])
def test_what_is_made_anew(photos: Path, tmp_path: Path, pixels: Backbone, change: str) -> None:
    work, place, pictures = Segmenting(pixels, size=64), tmp_path / "part", listed(photos)[:3]
    _, first = made(work, pictures, place)
    content = bytearray(place.read_bytes())
    if change == "damage":
        content[len(content) // 4] ^= 1
        place.write_bytes(content)
    elif change == "cut short":
        place.write_bytes(content[:-100])
    elif change == "settings":
        work = Segmenting(pixels, size=64, random_state=1)
    outcome, rows = made(work, pictures, place, overwrite=change == "overwrite")
    assert outcome["kept"] == 0
    assert (rows == first) == (change != "settings")


def test_one_picture_that_cannot_be_cut_fails_alone(photos: Path, tmp_path: Path, pixels: Backbone) -> None:
    Image.new("RGB", (8, 8), "red").save(photos / "00b.png")  # one patch: fewer than clusters
    outcome, rows = made(Segmenting(pixels, size=None), listed(photos), tmp_path / "part")
    assert outcome["failed"] == 2
    assert "00b.png: " in rows[1]["failure"]
    check(rows[0], segment(photos / "00.png", backbone=pixels, size=None))


def test_pictures_held_are_bounded(
    photos: Path, tmp_path: Path, pixels: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    most = 3 * 96 * 128
    monkeypatch.setattr(batches, "PIXELS", most)
    seen: list[list[tuple[int, int]]] = []
    rows_of = Segmenting.rows

    def watched(self: Segmenting, pictures: list[Image.Image]) -> list[Row]:
        seen.append([picture.size for picture in pictures])
        return rows_of(self, pictures)

    monkeypatch.setattr(Segmenting, "rows", watched)
    _, bounded = made(Segmenting(pixels, size=None), listed(photos), tmp_path / "part")
    assert sum(map(len, seen)) == 12
    assert max(sum(width * height for width, height in batch) for batch in seen) <= most
    assert all(len(set(batch)) == 1 for batch in seen)  # by size
    monkeypatch.undo()
    assert made(Segmenting(pixels, size=None), listed(photos), tmp_path / "other")[1] == bounded


def test_a_part_that_cannot_be_written(photos: Path, tmp_path: Path, pixels: Backbone) -> None:
    place = tmp_path / "part"
    place.mkdir()
    with pytest.raises(DeepCutError, match=r"part: could not be written .*free some space"):
        make_part(Segmenting(pixels, size=64), listed(photos)[:1], place)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_a_folder_becomes_a_list(photos: Path, tmp_path: Path, pixels: Backbone) -> None:
    (photos / "raw.cr2").write_bytes(b"camera")
    os.rename(photos / "11.png", os.fsencode(photos) + b"/B\xe4r.png")
    file = write_list([photos], tmp_path)
    assert count_list(file) == 14
    rows = read_list(file, 0, 14)
    assert [one.path for one in rows if one.failure is None] == sorted(photos.glob("*.png"))
    assert "camera raw is not read here" in (rows[-1].failure or "")
    outcome, made_rows = made(Segmenting(pixels, size=64), rows, tmp_path / "part")
    assert outcome["failed"] == 2
    assert made_rows[-1]["failure"] == rows[-1].failure
    assert any(row["path"].endswith("B�r.png") and row["mask"] for row in made_rows)


def test_a_list_of_ones_own(tmp_path: Path) -> None:
    names = [f"{number}.jpg" for number in range(10)]
    pq.write_table(pa.table({"path": names, "more": names}), tmp_path / "list.parquet", row_group_size=3)
    for start, stop in ((0, 10), (2, 7), (8, 20), (3, 6)):
        found = read_list(tmp_path / "list.parquet", start, stop)
        assert [one.path for one in found] == [tmp_path / name for name in names[start:stop]]


def test_lists_that_are_none(tmp_path: Path) -> None:
    file = tmp_path / "list.parquet"
    with pytest.raises(ImageError, match=r"list\.parquet: no list of pictures"):
        count_list(file)
    file.write_text("path\n")
    with pytest.raises(ImageError, match=r"list\.parquet: no list of pictures"):
        count_list(file)
    pq.write_table(pa.table({"file": ["a"]}), file)
    with pytest.raises(ImageError, match="has no column 'path' of text, but file"):
        count_list(file)
    pq.write_table(pa.table({"path": pa.array([], pa.string())}), file)
    with pytest.raises(ImageError, match="lists no pictures"):
        count_list(file)


def test_parts_are_one_table(photos: Path, tmp_path: Path, pixels: Backbone) -> None:
    for part in range(3):
        make_part(Segmenting(pixels, size=64), listed(photos)[part : part + 1], place_of(tmp_path, part))
    remove_stale(tmp_path, 2)
    whole = pa.dataset.dataset(tmp_path / table.TABLE).to_table()
    assert whole["path"].to_pylist() == [str(photos / "00.png"), str(photos / "01.png")]


@pytest.mark.parametrize("name", OFFLINE)
def test_backbones_travel(name: str, photograph: np.ndarray) -> None:
    sent = load_backbone(name, device="cpu")
    there = pickle.loads(pickle.dumps(sent)).to("cpu")
    assert there.fingerprint == sent.fingerprint
    assert torch.equal(there(photograph, size=64).values, sent(photograph, size=64).values)
    assert there.extractor is not sent.extractor


def test_settings_that_are_none(pixels: Backbone) -> None:
    with pytest.raises(ValueError, match="epochs must be"):
        Segmenting(pixels, Recipe(epochs=0)).settings()
    with pytest.raises(ValueError, match="not a function"):
        Segmenting(pixels, Recipe(objective=lambda graph, s: s.sum())).settings()
