"""The picture set in data/: complete, licensed, usable, and built again byte for byte."""

import csv
import importlib
import importlib.util
import os
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

DATA = Path(__file__).resolve().parents[1] / "data"
CATEGORIES = ("bird", "mammal", "vehicle", "fruit", "other")
FIELDS = ("file", "category", "origin", "author", "licence")


def read_sources() -> list[dict[str, str]]:
    """The rows of SOURCES.csv."""
    with (DATA / "SOURCES.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


ROWS = read_sources()
COMPOSED = [row["file"] for row in ROWS if row["category"] != "photo"]


def mask_path(file: str) -> Path:
    """The mask that belongs to a picture."""
    return DATA / "masks" / f"{Path(file).stem}.png"


@pytest.fixture(scope="module")
def builder() -> ModuleType:
    """data/build.py as a module."""
    spec = importlib.util.spec_from_file_location("data_build", DATA / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up by name
    spec.loader.exec_module(module)
    return module


def test_rows_and_files_belong_together() -> None:
    listed = [row["file"] for row in ROWS]
    assert len(listed) == len(set(listed))
    assert set(listed) == {f"images/{path.name}" for path in (DATA / "images").iterdir()}
    assert {mask_path(file) for file in COMPOSED} == set((DATA / "masks").iterdir())
    assert {mask_path(file).name for file in COMPOSED} == {path.name for path in (DATA / "alpha").iterdir()}


def test_fields_are_filled() -> None:
    empty = [(row["file"], name) for row in ROWS for name in FIELDS if not row[name].strip()]
    assert empty == []


def test_licences_have_their_texts() -> None:
    missing = {row["licence"] for row in ROWS} - {path.stem for path in (DATA / "licences").iterdir()}
    assert missing == set()


def test_enough_pictures_of_each_category() -> None:
    counts = Counter(row["category"] for row in ROWS)
    assert set(counts) == {*CATEGORIES, "photo"}
    assert all(counts[category] >= 12 for category in CATEGORIES)


def test_no_cutout_is_used_twice(builder: ModuleType) -> None:
    cutouts = Counter(thing.file for recipe in builder.read_recipes() for thing in recipe.things)
    assert [name for name, count in cutouts.items() if count > 1] == []


def test_two_objects_are_noted(builder: ModuleType) -> None:
    double = {recipe.name for recipe in builder.read_recipes() if len(recipe.things) == 2}
    assert double == {Path(row["file"]).stem for row in ROWS if "two objects" in row["note"]}
    assert len(double) >= 5


def test_whole_set_is_small() -> None:
    files = [path for path in DATA.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert sum(path.stat().st_size for path in files) <= 8 * 1024 * 1024


@pytest.mark.parametrize("file", [row["file"] for row in ROWS])
def test_picture_opens_as_rgb(file: str) -> None:
    with Image.open(DATA / file) as image:
        image.load()
        assert image.mode == "RGB"
        assert 300 <= max(image.size) <= 520


@pytest.mark.parametrize("file", COMPOSED)
def test_mask_fits_its_picture(file: str) -> None:
    with Image.open(DATA / file) as image, Image.open(mask_path(file)) as mask:
        assert mask.mode == "L"
        assert mask.size == image.size
        values = np.asarray(mask)
    assert set(np.unique(values)) == {0, 255}
    assert 0.03 <= (values == 255).mean() <= 0.70


@pytest.mark.parametrize("file", COMPOSED)
def test_alpha_is_the_mask_with_a_soft_edge(file: str) -> None:
    with Image.open(mask_path(file)) as mask, Image.open(DATA / "alpha" / mask_path(file).name) as alpha:
        assert alpha.mode == "L"
        assert alpha.size == mask.size
        inside, values = np.asarray(mask) == 255, np.asarray(alpha)
    assert ((values >= 128) != inside).mean() < 0.001  # a pixel that the lens moves over one half
    assert ((values > 0) & (values < 255)).any()


def test_the_clip_has_an_exact_mask_for_each_frame() -> None:
    frames, masks = (sorted((DATA / "clip" / folder).iterdir()) for folder in ("frames", "masks"))
    assert [path.stem for path in frames] == [path.stem for path in masks]
    assert [path.stem for path in frames] == [f"{number:03}" for number in range(48)]
    for frame, mask in zip(frames, masks, strict=True):
        with Image.open(frame) as picture, Image.open(mask) as truth:
            assert picture.mode == "RGB"
            assert truth.size == picture.size == (256, 192)
            assert 0.1 < np.asarray(truth).astype(bool).mean() < 0.4
    assert sum(path.stat().st_size for path in frames + masks) < 2_000_000


def test_three_pictures_and_a_frame_are_rebuilt_byte_for_byte(
    builder: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = os.environ.get("DEEPCUT_DATA_PACKAGES", "")
    if not folder:
        pytest.skip("DEEPCUT_DATA_PACKAGES names no folder with the Debian packages")
    if not builder.deb_files(Path(folder)):
        pytest.skip(f"the .deb files named in data/build.py are not in {folder}")
    others = builder.other_versions(builder.BYTES_MADE_WITH | builder.FILES_TAKEN_FROM)
    if others:
        pytest.skip(f"bytes are stated for other versions: {', '.join(others)}")
    recipes = {recipe.name: recipe for recipe in builder.read_recipes()}
    with builder.source_tree(Path(folder)) as tree:
        library = builder.Library(tree)
        built: dict[str, bytes] = {}
        for name in ("bird_16", "fruit_02", "mammal_01"):
            built |= builder.picture_files(recipes[name], library)
        monkeypatch.syspath_prepend(DATA)
        clip = importlib.import_module("clip")  # it imports build.py as a script beside it does
        frame, mask = clip.compose_frame(22, library)
        built |= {"clip/frames/022.jpg": builder.jpeg(frame, 88), "clip/masks/022.png": builder.png(mask)}
    assert [path for path, content in built.items() if (DATA / path).read_bytes() != content] == []
    assert builder.sources_csv(list(recipes.values())) == (DATA / "SOURCES.csv").read_bytes()
