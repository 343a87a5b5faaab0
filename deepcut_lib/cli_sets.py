"""The commands that look at many pictures together: ``parts`` and ``cluster``.

What costs time for each picture, its features, is kept in ``--out`` and used again; the rest is done for all
pictures at once.
"""

import argparse
import csv
import io
import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from html import escape
from pathlib import Path
from urllib.parse import quote

import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

from deepcut_lib import __version__
from deepcut_lib import arguments as take
from deepcut_lib.backbones import Backbone, load_backbone
from deepcut_lib.features import PatchFeatures, upsample
from deepcut_lib.files import printable, sha256, write_whole
from deepcut_lib.folder import (
    PART_FILES,
    THUMBNAILS,
    encoded,
    find_pictures,
    own_failure,
    report,
    write_results,
)
from deepcut_lib.gallery import gallery_page
from deepcut_lib.images import load_image
from deepcut_lib.kless import PICTURE_SIZE, ImageClusters, cluster_vectors, picture_vector
from deepcut_lib.metrics import cluster_scores
from deepcut_lib.parts import MODES, Parts, find_parts
from deepcut_lib.plots import PALETTE
from deepcut_lib.recipe import CC_CLUSTERS
from deepcut_lib.segmentation import segment

Arrays = dict[str, np.ndarray]

SIDE = 160
"""Longer side of the pictures on the page of clusters, in pixels."""


def add_parts_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what ``parts`` takes besides pictures and backbone."""
    parser.add_argument("--k", type=take.whole, default=4, help="parts of the foreground (default: 4)")
    parser.add_argument(
        "--mode",
        choices=[mode.replace(" ", "-") for mode in MODES],
        default="joint",
        help="one network for all (joint), from picture to picture (sequential), or one start for all "
        "(shared-start; the published code) (default: joint)",
    )
    parser.add_argument("--epochs", type=take.whole, default=100, help="optimisation steps (default: 100)")


def add_cluster_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what ``cluster`` takes besides pictures and backbone."""
    parser.add_argument(
        "--alpha",
        type=take.positive,
        help="k sensitivity: the larger, the fewer clusters (default: by backbone)",
    )
    parser.add_argument(
        "--k", type=take.whole, default=CC_CLUSTERS, help=f"the most clusters (default: {CC_CLUSTERS})"
    )
    parser.add_argument("--epochs", type=take.whole, default=100, help="optimisation steps (default: 100)")
    parser.add_argument(
        "--by-folder", action="store_true", help="score against the folders that the pictures lie in"
    )


def run_parts(options: argparse.Namespace) -> int:
    """Find parts in all pictures that can be read; returns the exit code."""
    pictures, failures = find_pictures(options.paths, options.out)
    backbone = _backbone(options)
    size = options.size or "default"

    def foreground(path: Path) -> Arrays:
        found = segment(path, backbone=backbone, size=size, random_state=options.seed)
        features = found.features
        return {
            "values": features.values.cpu().numpy(),
            "foreground": found.foreground,
            "image_size": np.array(features.image_size),
        }

    stored = _settings(options, backbone, size=size, seed=options.seed)
    rows = _per_picture(options, pictures, stored, foreground, failures)
    features = {name: _features(arrays, backbone) for name, arrays in rows.items()}
    found: dict[str, Parts] = {}
    if rows:
        parts = find_parts(
            list(features.values()),
            [arrays["foreground"] for arrays in rows.values()],
            options.k,
            mode=options.mode.replace("-", " "),
            epochs=options.epochs,
            recipe=backbone.recipe,
            random_state=options.seed,
        )
        found = dict(zip(rows, parts, strict=True))
    shown = []
    for name, one in found.items():
        with own_failure(failures, name, pictures[name]):
            row = {
                "picture": printable(pictures[name].name),
                "settings": {**stored, "k": options.k, "mode": options.mode, "epochs": options.epochs},
                "n_parts": one.n_parts,
                "shares": (
                    np.bincount(one.labels.ravel(), minlength=options.k + 1) / one.labels.size
                ).tolist(),
                "message": one.message,
            }
            drawn = _part_pictures(load_image(pictures[name]), one)
            row = write_results(options.out, name, PART_FILES, drawn, row)
            shown.append({**row, "caption": one.message or f"{one.n_parts} parts", "score": None})
            print(f"{name}: {one.message or f'{one.n_parts} parts'}")
    without = sum(bool(one.message) for one in found.values())
    summary = (
        f"{len(found)} pictures with {backbone.name}, {options.k} parts, {options.mode}, seed {options.seed}"
        + (f"; {without} without parts" if without else "")
        + (f"; {len(failures)} not done" if failures else "")
        + "."
    )
    write_whole(options.out / "index.html", gallery_page("DeepCut: parts", summary, shown, failures))
    return report(options.out, summary, failures)


def run_cluster(options: argparse.Namespace) -> int:
    """Cluster all pictures that can be read; returns the exit code."""
    pictures, failures = find_pictures(options.paths, options.out)
    backbone = _backbone(options)
    size = options.size or PICTURE_SIZE

    def vector(path: Path) -> Arrays:
        return {"vector": picture_vector(path, backbone, size=size).cpu().numpy()}

    rows = _per_picture(options, pictures, _settings(options, backbone, size=size), vector, failures)
    if not rows:
        return report(options.out, "No picture could be used.", failures)
    found = cluster_vectors(
        torch.from_numpy(np.stack([arrays["vector"] for arrays in rows.values()])),
        alpha=options.alpha,
        max_clusters=options.k,
        epochs=options.epochs,
        centred=backbone.recipe.centred,
        device=str(backbone.device),
        random_state=options.seed,
    )
    summary = (
        f"{len(rows)} pictures in {found.n_clusters} clusters with {backbone.name}, α={found.alpha:g}, "
        f"seed {options.seed}"
    )
    if options.by_folder:
        scores = cluster_scores([pictures[name].parent.name for name in rows], found.labels)
        summary += f"; purity {scores.purity:.3f}, NMI {scores.nmi:.3f}, ARI {scores.ari:.3f} by folder"
    summary += f"; {len(failures)} not done." if failures else "."
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(["name", "picture", "cluster"])
    table.writerows(
        [name, printable(pictures[name]), cluster]
        for name, cluster in zip(rows, found.labels.tolist(), strict=True)
    )
    write_whole(options.out / "clusters.csv", text.getvalue())
    for name in rows:
        with own_failure(failures, name, pictures[name]):
            small = load_image(pictures[name])
            small.thumbnail((SIDE, SIDE))
            write_whole(options.out / THUMBNAILS / f"{name}.jpg", encoded(small, ".jpg"))
    write_whole(options.out / "index.html", _cluster_page(summary, list(rows), found, failures))
    return report(options.out, summary, failures)


def _backbone(options: argparse.Namespace) -> Backbone:
    return load_backbone(
        options.backbone, checkpoint=options.checkpoint, stride=options.stride, device=options.device
    )


def _settings(options: argparse.Namespace, backbone: Backbone, **more: object) -> dict[str, object]:
    """What a picture's kept features depend on."""
    return {
        "command": options.command,
        "backbone": backbone.name,
        "weights": backbone.fingerprint,
        "recipe": asdict(backbone.recipe),
        "stride": backbone.stride,
        "version": __version__,
        **more,
    }


def _per_picture(
    options: argparse.Namespace,
    pictures: dict[str, Path],
    settings: dict[str, object],
    compute: Callable[[Path], Arrays],
    failures: dict[str, str],
) -> dict[str, Arrays]:
    """Each picture's arrays, kept or made anew; why others have none goes into `failures`."""
    rows: dict[str, Arrays] = {}
    kept = 0
    for name, path in tqdm(pictures.items(), unit="picture", disable=not sys.stderr.isatty()):
        with own_failure(failures, name, path):
            file = options.out / "features" / f"{name}.npz"
            key = json.dumps({**settings, "sha256": sha256(path)}, sort_keys=True)
            arrays = None if options.overwrite else _kept(file, key)
            kept += arrays is not None
            if arrays is None:
                arrays = compute(path)
                write_whole(file, _stored(arrays, key))
            rows[name] = arrays
    print(f"features of {len(rows)} pictures, {kept} kept from before")
    return rows


def _stored(arrays: Arrays, key: str) -> bytes:
    buffer = io.BytesIO()
    # The archive's checksums cover what the arrays hold, not what they are called
    np.savez(buffer, key=np.array(key), names=np.array(list(arrays)), **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def _kept(file: Path, key: str) -> Arrays | None:
    try:
        with np.load(io.BytesIO(file.read_bytes())) as stored:
            arrays = {name: stored[name] for name in stored.files}
        found, names = str(arrays.pop("key")), arrays.pop("names").tolist()
        return arrays if found == key and list(arrays) == names else None
    except Exception:  # none, or one that was damaged in whatever way: do it anew
        return None


def _features(arrays: Arrays, backbone: Backbone) -> PatchFeatures:
    grid: tuple[int, ...] = arrays["foreground"].shape
    height, width = arrays["image_size"].tolist()
    return PatchFeatures(
        values=torch.from_numpy(arrays["values"]).to(backbone.device),
        grid=(grid[0], grid[1]),
        cls=None,
        image_size=(height, width),
        backbone=backbone.name,
        patch_size=backbone.patch_size,
        stride=backbone.stride,
    )


def _part_pictures(picture: Image.Image, parts: Parts) -> dict[str, Image.Image]:
    labels = upsample(parts.labels, parts.features)
    inside = labels > 0
    colours = np.where(inside[..., None], PALETTE[(labels - 1) % len(PALETTE)], 60).astype(np.uint8)
    pixels = np.asarray(picture).astype(np.float32)
    grey = pixels.mean(axis=2, keepdims=True) * 0.45 + 120
    shown = np.where(inside[..., None], 0.45 * pixels + 0.55 * colours, grey)
    return {
        "mask": Image.fromarray(inside),
        "labels": Image.fromarray(colours),
        "overlay": Image.fromarray(shown.astype(np.uint8)),
    }


def _cluster_page(summary: str, names: list[str], found: ImageClusters, failures: dict[str, str]) -> str:
    sections = []
    for cluster in range(found.n_clusters):
        members = [names[i] for i in found.members(cluster)]
        images = "".join(
            f'<img src="{THUMBNAILS}/{quote(name)}.jpg" alt="{escape(name)}" title="{escape(name)}" '
            'loading="lazy">'
            for name in members
        )
        sections.append(f"<h2>Cluster {cluster}: {len(members)} pictures</h2><p>{images}</p>")
    problems = "".join(f"<li>{escape(message)}</li>" for message in failures.values())
    failed = f"<h2>Not done</h2><ul>{problems}</ul>" if failures else ""
    return f"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>DeepCut: clusters</title><style>
:root {{ color-scheme: light dark; }}
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 84rem; padding: 1.5rem; }}
img {{ height: 6rem; margin: .2rem; border-radius: .3rem; }}
</style></head>
<body><h1>DeepCut: clusters</h1><p>{escape(summary)}</p>{failed}
{"".join(sections)}
</body></html>
"""
