"""Valid files of every kind that the library reads, and their readers: what `benchmarks.fuzz` damages."""

import argparse
import io
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from PIL import Image
from timm.models.vision_transformer import VisionTransformer

from deepcut_lib.backbones.checkpoints import read_checkpoint
from deepcut_lib.backbones.vit import vit_from_state
from deepcut_lib.cli import kept
from deepcut_lib.clustering import DeepCut
from deepcut_lib.downloads import unpack
from deepcut_lib.evaluation.records import Records
from deepcut_lib.evaluation.tasks.task import finished
from deepcut_lib.features import PatchFeatures
from deepcut_lib.images import load_image
from deepcut_lib.masks import read_grey_mask
from deepcut_lib.network import initial_weights
from deepcut_lib.recipe import Recipe
from deepcut_lib.trained import TrainedDeepCut

Samples = list[tuple[str, bytes]]
"""Names and contents of valid files."""


def _picture(array: np.ndarray, form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, form, **options)
    return buffer.getvalue()


def pictures() -> Samples:
    """A small picture in each format that Pillow writes and reads, in several modes."""
    y, x = np.mgrid[:40, :48]
    grey = (x * 5).astype(np.uint8)
    rgb = np.dstack([grey, (y * 6).astype(np.uint8), grey[::-1]])
    rgba, exif = np.dstack([rgb, grey]), Image.Exif()
    exif.update({0x0112: 6, 0x010F: "Maker", 0x011A: 72.0, 0x9286: b"ASCII\0\0\0words"})
    frames = [Image.fromarray(rgb[::-1])]
    forms = ["BMP", "DIB", "ICNS", "ICO", "IM", "MPO", "PCX", "PPM", "QOI", "SGI", "TGA", "DDS", "AVIF"]
    found = [(form.lower(), _picture(rgb, form)) for form in [*forms, "JPEG2000", "WEBP", "TIFF"]]
    found += [("jpg", _picture(rgb, "JPEG", exif=exif)), ("jpg", _picture(rgb, "JPEG", progressive=True))]
    found += [("png", _picture(array, "PNG", exif=exif)) for array in (rgb, rgba, grey, grey > 99)]
    found += [("png", _picture(grey.astype(np.uint16) * 257, "PNG"))]
    found += [
        ("gif", _picture(rgb, "GIF", save_all=True, append_images=frames)),
        ("gif", _picture(grey, "GIF")),
    ]
    found += [("webp", _picture(rgba, "WEBP", save_all=True, append_images=frames, exif=exif))]
    found += [
        ("tif", _picture(rgb, "TIFF", compression=name)) for name in ("tiff_lzw", "jpeg", "tiff_deflate")
    ]
    found += [
        ("tif", _picture(a, "TIFF")) for a in (grey / np.float32(255), grey.astype(np.uint16) * 16, rgba)
    ]
    psd = (
        b"8BPS\0\1" + bytes(6) + b"\0\3" + bytes([0, 0, 0, 40, 0, 0, 0, 48, 0, 8, 0, 3]) + bytes(12) + b"\0\0"
    )
    return [*found, ("psd", psd + rgb.transpose(2, 0, 1).tobytes())]


def masks() -> Samples:
    """Masks of 1, 8 and 16 bits, with a palette, with transparency."""
    mask = np.add.outer((np.arange(40) - 20) ** 2, (np.arange(48) - 24) ** 2) < 200
    palette = Image.fromarray(mask.astype(np.uint8))
    palette.putpalette([0, 0, 0, 128, 0, 0])
    classes = io.BytesIO()
    palette.save(classes, "PNG", transparency=0)
    arrays = [
        mask,
        mask.astype(np.uint8),
        mask.astype(np.uint16) * 65535,
        np.dstack([mask * np.uint8(255)] * 4),
    ]
    found = [("png", _picture(array, "PNG")) for array in arrays] + [("png", classes.getvalue())]
    return [*found, ("gif", _picture(mask, "GIF")), ("tif", _picture(mask, "TIFF", compression="group4"))]


def checkpoints() -> Samples:
    """A small ViT's weights in three ways of storing them, and as DINO's full checkpoint."""
    vit = VisionTransformer(img_size=16, patch_size=8, embed_dim=12, depth=1, num_heads=1, num_classes=0)
    state = vit.state_dict()
    full = {
        "teacher": {f"backbone.{key}": value for key, value in state.items()},
        "args": argparse.Namespace(),
    }
    found = [("safetensors", safetensors.torch.save(state))]
    for contents, zipped in ((state, True), (state, False), (full, True)):
        buffer = io.BytesIO()
        torch.save(contents, buffer, _use_new_zipfile_serialization=zipped)
        found.append(("pth", buffer.getvalue()))
    return found


def trained() -> Samples:
    """Networks as `TrainedDeepCut.save` writes them, with parts and without."""
    recipe = Recipe(n_clusters=2, centred=True)
    weights = [initial_weights(12, 8, 4, k, torch.Generator().manual_seed(0)) for k in (2, 3)]
    first, second = (DeepCut(len(own["mlp2_bias"])).restore(own) for own in weights)
    files = []
    for size, parts in (("default", None), ((16, 24), second)):
        networks = TrainedDeepCut("pixels", recipe, size, np.array([True, False]), first, parts, 3)
        files.append(("safetensors", _written(networks.save)))
    return files


def kept_arrays() -> Samples:
    """Features as the commands on sets keep them."""
    arrays = {"values": np.eye(12, dtype=np.float32), "foreground": np.eye(3) > 0}
    return [("npz", _written(lambda path: kept.write_arrays(path, arrays, {"key": 1})))]


def kept_rows() -> Samples:
    """The row that vouches for a picture's results."""
    with tempfile.TemporaryDirectory() as folder:
        kept.write_results(Path(folder), "file", kept.FILES, {}, {"settings": {"k": 2}, "score": 0.5})
        return [("json", (Path(folder) / "file.json").read_bytes())]


def results() -> Samples:
    """An evaluation's rows."""
    rows = [{"method": "ncut", "seed": 0, "image": f"é{i}", "iou": i / 9, "seconds": 0.1} for i in range(9)]
    return [("jsonl", _written(lambda path: Records(path, {"table": "1"}, {"weights": "a"}).append(rows)))]


def archives() -> Samples:
    """Archives with folders, links, and names that lead outside."""
    found = []
    names = ["images/a.jpg", "images/b.png", "masks/ä.png", "../../outside", "/tmp/outside", "c:/outside"]
    for count, packing in ((3, zipfile.ZIP_STORED), (3, zipfile.ZIP_DEFLATED), (6, zipfile.ZIP_LZMA)):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", packing) as packed:
            for name in names[:count]:
                packed.writestr(name, name * 50)
        found.append(("zip", buffer.getvalue()))
    for count, mode in ((3, "w"), (3, "w:gz"), (6, "w"), (3, "w:xz")):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode=mode) as tar:
            for name in names[:count]:
                member = tarfile.TarInfo(name)
                member.size = 50
                tar.addfile(member, io.BytesIO(bytes(50)))
            link = tarfile.TarInfo("images/link")
            link.type, link.linkname = tarfile.SYMTYPE, "a.jpg" if count == 3 else "../.."
            tar.addfile(link)
        found.append(({"w": "tar", "w:gz": "tar.gz", "w:xz": "tar.xz"}[mode], buffer.getvalue()))
    return found


def _written(write: Callable[[Path], object]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / "file")
        return (Path(folder) / "file").read_bytes()


def _read_picture(path: Path) -> object:
    picture = load_image(path)
    assert picture.mode == "RGB"
    return picture


def _read_checkpoint(path: Path) -> object:
    return vit_from_state(read_checkpoint(path), num_heads=1, patch_size=8, device="cpu", name="fuzz")


def _read_trained(path: Path) -> object:
    features = PatchFeatures(torch.eye(12), (3, 4), None, (24, 32), "pixels")
    return TrainedDeepCut.load(path).segment_features(features)


def _read_arrays(path: Path) -> object:
    arrays = kept.kept_arrays(path, {"key": 1})
    assert arrays is None or np.array_equal(arrays["values"], np.eye(12))
    assert arrays is None or np.array_equal(arrays["foreground"], np.eye(3))
    return arrays


def _read_row(path: Path) -> object:
    row = kept.kept_results(path.parent, path.stem, {"settings": {"k": 2}})
    assert row is None or row["score"] == 0.5
    return row


def _read_results(path: Path) -> object:
    records = Records(path, {"table": "1"}, {"weights": "a"})
    records.keep(lambda row: row["image"] != "é1")
    return finished(records)


def _read_archive(path: Path) -> object:
    unpack(path, path.parent / "into")
    return path


KINDS: dict[str, tuple[Callable[[], Samples], Callable[[Path], object], int]] = {
    "pictures": (pictures, _read_picture, 4),
    "masks": (masks, read_grey_mask, 1),
    "checkpoints": (checkpoints, _read_checkpoint, 1),
    "trained": (trained, _read_trained, 1),
    "kept-arrays": (kept_arrays, _read_arrays, 1),
    "kept-rows": (kept_rows, _read_row, 1),
    "results": (results, _read_results, 1),
    "archives": (archives, _read_archive, 1),
}
"""Of each kind: valid files; their reader, which gives None for what it refuses in silence; its share."""
