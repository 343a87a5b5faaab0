"""What holds of any picture, mask, features, file name and number, tried on many that are made up."""

import io
import math
import tempfile
from argparse import ArgumentTypeError
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from deepcut_lib.cli import arguments
from deepcut_lib.cli.folder import LONGEST_NAME, named
from deepcut_lib.clustering import DeepCut
from deepcut_lib.errors import ImageError
from deepcut_lib.files import printable
from deepcut_lib.images import load_image
from deepcut_lib.masks import read_mask
from deepcut_lib.segmentation import foreground_probability
from tests.conftest import patch_features

settings.register_profile("steady", deadline=None, derandomize=True, max_examples=50, database=None)
settings.load_profile("steady")

SHAPES = arrays.array_shapes(min_dims=2, max_dims=2, max_side=12)


@st.composite
def picture_arrays(draw: st.DrawFn) -> np.ndarray:
    """Arrays that `load_image` says it takes."""
    shape = draw(SHAPES) + draw(st.sampled_from([(), (1,), (3,), (4,)]))
    kind = draw(st.sampled_from(["uint8", "uint16", "bool", "float16", "float32", "float64"]))
    if not kind.startswith("float"):
        return draw(arrays.arrays(kind, shape))
    low, width = draw(st.sampled_from([-1, 0])), int(kind.removeprefix("float"))
    array = draw(arrays.arrays(kind, shape, elements=st.floats(low, 1, width=width)))
    array.flat[0] = low  # by the least the range is told
    return array


@given(picture_arrays())
def test_any_array_becomes_rgb_of_its_size(array: np.ndarray) -> None:
    picture = load_image(array)
    assert (picture.mode, picture.size) == ("RGB", array.shape[1::-1])
    assert np.array_equal(np.asarray(load_image(np.asfortranarray(array))), np.asarray(picture))
    if array.dtype != np.uint16:
        assert np.array_equal(np.asarray(load_image(torch.from_numpy(array))), np.asarray(picture))


def in_mode(grey: np.ndarray, mode: str) -> Image.Image:
    """A grey picture in a mode, by way of those that Pillow can convert to it."""
    picture = Image.fromarray(grey)
    if mode == "LAB":
        return Image.merge("LAB", [picture] * 3)
    if mode == "I;16":
        grey.flat[0] = 255  # by the largest the number of bits is told
        return Image.fromarray(grey.astype(np.uint16) * 257)
    return picture.convert("P").convert("PA") if mode == "PA" else picture.convert(mode)


MODES = ["1", "L", "P", "LA", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB", "HSV", "I", "F", "I;16"]


@pytest.mark.parametrize("mode", MODES)
@settings(max_examples=10)
@given(grey=arrays.arrays(np.uint8, SHAPES))
def test_any_mode_becomes_rgb_of_its_size(mode: str, grey: np.ndarray) -> None:
    loaded = load_image(in_mode(grey, mode))
    assert (loaded.mode, loaded.size) == ("RGB", grey.shape[::-1])
    if mode not in ("1", "LAB"):
        assert np.abs(np.asarray(loaded) - grey[..., None].astype(int)).max() <= 2


@given(picture_arrays())
def test_a_file_and_its_array_agree(array: np.ndarray) -> None:
    assume(array.dtype == np.uint8 or (array.ndim == 2 and array.dtype in (np.bool_, np.uint16)))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture.png"
        Image.fromarray(array.squeeze(2) if array.shape[2:] == (1,) else array).save(path)
        assert np.array_equal(np.asarray(load_image(path)), np.asarray(load_image(array)))


def encoded(form: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.arange(192, dtype=np.uint8).reshape(8, 8, 3)).save(buffer, form)
    return buffer.getvalue()


WHOLE = [encoded(form) for form in ("PNG", "JPEG", "GIF", "TIFF", "BMP")]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    data = draw(st.sampled_from(WHOLE))
    start, end = sorted(draw(st.tuples(*[st.integers(0, len(data))] * 2)))
    return data[:start] + draw(st.binary(max_size=20)) + data[end:]


@given(st.binary() | damaged())
def test_any_bytes_are_a_picture_or_one_error(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture.png"
        path.write_bytes(data)
        try:
            assert load_image(path).mode == "RGB"
        except ImageError as error:
            assert str(path) in str(error)


@given(arrays.arrays(bool, SHAPES), st.data())
def test_any_two_values_are_the_same_mask(truth: np.ndarray, data: st.DataObject) -> None:
    assume(truth.any() and not truth.all())
    whole = {
        "uint8": st.integers(0, 255),
        "uint16": st.integers(0, 65535),
        "int32": st.integers(-(2**31), 2**31 - 1),
    }
    kind = data.draw(st.sampled_from(["uint8", "uint16", "int32", "float32"]))
    numbers = whole.get(kind, st.floats(width=32, allow_nan=False, allow_infinity=False))
    low, high = sorted(data.draw(st.lists(numbers, min_size=2, max_size=2, unique=True)))
    stored = Image.fromarray(np.where(truth, np.array(high, kind), np.array(low, kind)))
    modes = ["L", "P", "LA", "RGB", "RGBA"] if kind == "uint8" else [stored.mode]
    stored = stored.convert(data.draw(st.sampled_from(modes)))
    assert np.array_equal(read_mask(stored), truth)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mask.tif"
        stored.save(path)
        assert np.array_equal(read_mask(path), truth)


@st.composite
def features(draw: st.DrawFn) -> np.ndarray:
    shape = draw(arrays.array_shapes(min_dims=2, max_dims=2, max_side=12))
    largest = draw(st.sampled_from([1.0, 1e4]))
    return draw(arrays.arrays(np.float32, shape, elements=st.floats(-largest, largest, width=32)))


@given(features(), st.integers(1, 4), st.sampled_from(["ncut", "cc", "soft_ncut"]))
def test_any_features_get_labels_or_one_error(x: np.ndarray, k: int, objective: str) -> None:
    model = DeepCut(k, objective, epochs=2, device="cpu")  # type: ignore[arg-type]
    try:
        model.fit(x)
    except ValueError:
        assert len(x) < max(k, 2) or np.abs(x).max() > 1
        return
    assert np.isfinite(model.assignments_).all()
    assert np.isfinite(model.losses_).all()
    assert set(model.labels_) <= set(range(k))


@st.composite
def assignments(draw: st.DrawFn) -> np.ndarray:
    """Rows that sum to one, of few values, so that many are equal or nearly so."""
    n, clusters = draw(st.tuples(st.integers(1, 8), st.integers(1, 5)))
    tiny = st.sampled_from([0.0, 1e-30, 1e-7, 0.1, 0.5, 0.5 + 6e-8, 1.0])
    rows = draw(arrays.arrays(np.float32, (n, clusters), elements=tiny | st.floats(0, 1, width=32)))
    sums = rows.sum(1, keepdims=True)
    assume((sums > 1e-3).all())
    return rows / sums if draw(st.booleans()) else rows


@given(assignments(), st.data())
def test_patches_of_the_foreground_are_those_above_one_half(rows: np.ndarray, data: st.DataObject) -> None:
    background = np.array(
        data.draw(st.lists(st.booleans(), min_size=1, max_size=rows.shape[1])), bool
    )  # clusters beyond its end are background
    probability = foreground_probability(
        rows, background, patch_features(torch.zeros(len(rows), 1), (1, len(rows)))
    )
    assert probability.shape == (1, len(rows))
    assert ((probability >= 0) & (probability <= 1)).all()
    judged = np.append(background, np.ones(rows.shape[1] - len(background), bool))
    assert np.array_equal(probability[0] > 0.5, ~judged[rows.argmax(1)])


@settings(max_examples=20)
@given(features())
def test_labels_do_not_depend_on_how_features_are_stored(x: np.ndarray) -> None:
    assume(len(x) > 1)
    wide = np.repeat(x, 2, axis=1)[:, ::2]
    forms = [x.astype(np.float64), np.asfortranarray(x), wide, x[::-1].copy()[::-1], torch.from_numpy(x)]
    wanted, *others = [DeepCut(epochs=2, device="cpu").fit(form).assignments_ for form in [x, *forms]]
    for found in others:
        assert np.array_equal(found, wanted)


SHORT = st.text(st.characters(exclude_characters="/\0"), min_size=1)
LONG = st.builds("".join, st.tuples(st.sampled_from(["a", "ä", "語"]).map(lambda c: c * 200), SHORT))


@given(st.lists(SHORT | LONG, max_size=8))
def test_names_of_results_are_unique_printable_and_short(names: list[str]) -> None:
    paths = [Path("folder") / name for name in names]
    found = named(paths)
    assert list(found.values()) == paths
    assert len({name.casefold() for name in found}) == len(paths)
    for name in found:
        assert name == printable(name)
        assert 0 < len(name.encode()) <= LONGEST_NAME + 2  # with a number
        assert "/" not in name


@given(st.text(st.characters(categories=["Cs", "Cc", "L", "S", "Z"])))
def test_anything_can_be_printed(text: str) -> None:
    found = printable(text)
    assert "\n" not in found and "\x1b" not in found
    assert found.encode().decode() == found
    assert len(found) == len(text)


EDGES = [
    "0",
    "1",
    "-1",
    f"{2**32 - 1}",
    f"{2**32}",
    "inf",
    "-inf",
    "nan",
    "1e999",
    "1e-999",
    "1_0",
    " 1 ",
    "①",
]


@given(st.sampled_from(EDGES) | st.text() | st.integers().map(str) | st.floats().map(str))
@pytest.mark.parametrize(
    ("take", "fits"),
    [
        (arguments.whole, lambda number: number == int(number) >= 1),
        (arguments.seed, lambda number: 0 <= int(number) == number < 2**32),
        (arguments.positive, lambda number: 0 < number < math.inf),
    ],
)
def test_numbers_are_what_they_say(
    take: Callable[[str], float], fits: Callable[[float], bool], text: str
) -> None:
    try:
        number = take(text)
    except ArgumentTypeError as error:
        assert repr(text) in str(error)
        with pytest.raises((ValueError, AssertionError)):
            assert fits((float if take is arguments.positive else int)(text))
    else:
        assert fits(number)
