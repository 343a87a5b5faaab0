"""The commands that look at many pictures together: ``parts`` and ``cluster``.

What costs time for each picture, its features, is kept in ``--out`` and used again; the rest is done for all
pictures at once. Only trained networks find parts in each picture on its own.
"""

import argparse
import csv
import io
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

from deepcut_lib.backbones import Backbone
from deepcut_lib.cli import arguments as take
from deepcut_lib.cli.folder import Folder, open_folder, settings_of
from deepcut_lib.cli.kept import (
    PART_FILES,
    THUMBNAILS,
    Arrays,
    Row,
    encoded,
    kept_arrays,
    kept_results,
    write_arrays,
    write_results,
)
from deepcut_lib.cli.page import gallery, groups
from deepcut_lib.cli.trained import Networks, add_trained, check_trained, load_networks, networks_for
from deepcut_lib.features import PatchFeatures, upsample
from deepcut_lib.files import printable, write_whole
from deepcut_lib.images import load_image
from deepcut_lib.kless import EPOCHS as PICTURE_EPOCHS
from deepcut_lib.kless import (
    PICTURE_SIZE,
    ImageClusters,
    Suggestions,
    cluster_by_modularity,
    cluster_vectors,
    picture_vector,
    pictures_recipe,
    suggest,
)
from deepcut_lib.metrics import cluster_scores
from deepcut_lib.parts import EPOCHS, MODES, Parts, find_parts, parts_recipe
from deepcut_lib.plots import PALETTE
from deepcut_lib.recipe import CC_CLUSTERS, Recipe
from deepcut_lib.segmentation import segment

PARTS = 4
"""Parts of the foreground, unless told."""

SIDE = 160
"""Longer side of the pictures on the page of clusters, in pixels."""


def add_command(commands: take.Commands) -> None:
    """Add ``parts`` and ``cluster``."""
    parser = commands.add_parser(
        "parts",
        description="Cut each picture's foreground into parts that mean the same in every picture.",
    )
    take.add_prior(take.add_pictures(parser))
    parser.add_argument("--k", type=take.whole, help=f"parts of the foreground (default: {PARTS})")
    parser.add_argument(
        "--mode",
        choices=[mode.replace(" ", "-") for mode in MODES],
        help="one network for all (joint), from picture to picture (sequential), or one start for all "
        "(shared-start; the published code) (default: joint)",
    )
    parser.add_argument(
        "--epochs", type=take.whole, help=f"optimisation steps on foregrounds (default: {EPOCHS})"
    )
    add_trained(parser)
    parser.set_defaults(run=run_parts)

    parser = commands.add_parser(
        "cluster",
        description="Sort pictures into clusters by what they show, without a number of clusters.",
    )
    take.add_pictures(parser)
    parser.add_argument(
        "--alpha",
        type=_alpha,
        metavar="ALPHA",
        help="k sensitivity: the larger, the fewer clusters; 'data': none, but modularity, without a network "
        "and linear in the pictures (default: by backbone)",
    )
    parser.add_argument("--k", type=take.whole, help=f"the most clusters (default: {CC_CLUSTERS})")
    parser.add_argument("--epochs", type=take.whole, help=f"optimisation steps (default: {PICTURE_EPOCHS})")
    parser.add_argument(
        "--by-folder", action="store_true", help="score against the folders that the pictures lie in"
    )
    parser.set_defaults(run=run_cluster)


def _alpha(text: str) -> float | Literal["data"]:
    return "data" if text == "data" else take.positive(text)


def run_parts(options: argparse.Namespace) -> int:
    """Find parts in all pictures that can be read; returns the exit code."""
    check_trained(options)
    folder = open_folder(options.paths, options.out, overwrite=options.overwrite)
    backbone, loaded = load_networks(options, parts=True)
    k, epochs = options.k or PARTS, options.epochs or EPOCHS
    recipe = loaded.recipe if loaded else backbone.foreground_recipe
    networks = networks_for(options, folder, backbone, loaded, recipe, k, epochs)
    if networks:
        return _parts_by_networks(options, folder, backbone, recipe, networks)
    return _parts_together(options, folder, backbone, recipe, k, epochs)


def _parts_by_networks(
    options: argparse.Namespace, folder: Folder, backbone: Backbone, recipe: Recipe, networks: Networks
) -> int:
    """Each picture's parts by trained networks; finished pictures are kept from earlier runs."""
    return _write_parts(
        folder,
        lambda name, picture: networks.fitted().parts(picture, backbone=backbone),
        networks.n_parts,
        settings_of(options, backbone, recipe=asdict(recipe), **networks.settings),
        f"{backbone.name}, foreground by {take.described(recipe)}, {networks.n_parts} parts, "
        f"{networks.described}",
        kept=partial(kept_results, options.out),
    )


def _parts_together(
    options: argparse.Namespace, folder: Folder, backbone: Backbone, recipe: Recipe, k: int, epochs: int
) -> int:
    """The parts of all pictures at once, from features and foregrounds that are kept."""
    mode = next(mode for mode in MODES if mode.replace(" ", "-") == (options.mode or "joint"))
    part_recipe = parts_recipe(recipe, k, mode, epochs=epochs)
    size = options.size or "default"

    def foreground(path: Path) -> Arrays:
        segmentation = segment(path, backbone=backbone, recipe=recipe, size=size, random_state=options.seed)
        features = segmentation.features
        return {
            "values": features.values.cpu().numpy(),
            # a picture with nothing to cut has no parts, as in `segment_parts`
            "foreground": segmentation.foreground & (segmentation.message == ""),
            "image_size": np.array(features.image_size),
        }

    settings = settings_of(options, backbone, recipe=asdict(recipe), size=size, random_state=options.seed)
    arrays = _arrays_of(folder, settings, foreground)
    parts: dict[str, Parts] = {}
    if arrays:
        of_pictures = find_parts(
            [_features(of_picture, backbone) for of_picture in arrays.values()],
            [of_picture["foreground"] for of_picture in arrays.values()],
            k,
            mode=mode,
            epochs=epochs,
            recipe=recipe,
            random_state=options.seed,
        )
        parts = dict(zip(arrays, of_pictures, strict=True))
    return _write_parts(
        folder,
        lambda name, picture: parts[name],
        k,
        {**settings, "mode": mode, "part_recipe": asdict(part_recipe)},
        f"{backbone.name}, foreground by {take.described(recipe)}, {k} parts, {mode.replace(' ', '-')}, "
        f"seed {options.seed}",
    )


def _write_parts(
    folder: Folder,
    parts_of: Callable[[str, Image.Image], Parts],
    k: int,
    settings: Row,
    how: str,
    kept: Callable[[str, Row], Row | None] | None = None,
) -> int:
    """Write each picture's parts, and the page; returns the exit code.

    Args:
        folder: the pictures; those that failed before are passed over.
        parts_of: from a picture's name and the picture to its parts.
        k: how many parts there can be.
        settings: what they depend on.
        how: backbone and settings, in a few words.
        kept: see `Folder.each`.
    """

    def make(name: str, path: Path, made_from: Row) -> Row:
        picture = load_image(path)
        parts = parts_of(name, picture)
        row = {
            **made_from,
            "n_parts": parts.n_parts,
            "shares": (np.bincount(parts.labels.ravel(), minlength=k + 1) / parts.labels.size).tolist(),
            "message": parts.message,
        }
        return write_results(folder.out, name, PART_FILES, _part_pictures(picture, parts), row)

    rows: list[Row] = []
    n_kept = 0
    try:
        for name, row, seconds in folder.each(make, kept=kept, settings=settings):
            caption = row["message"] or f"{row['n_parts']} parts"
            rows.append({**row, "caption": caption, "score": None})
            n_kept += seconds is None
            tqdm.write(f"{name}: {caption}")
    finally:  # also when interrupted: what is done can be looked at
        without = sum(bool(row["message"]) for row in rows)
        summary = (
            f"{len(rows)} pictures with {how}"
            + (f"; {without} without parts" if without else "")
            + (f"; {len(folder.failures)} not done" if folder.failures else "")
        )
        folder.write_page("DeepCut: parts", f"{summary}.", gallery(rows))
    return folder.report(f"{summary}; {n_kept} kept from before." if n_kept else f"{summary}.")


def run_cluster(options: argparse.Namespace) -> int:
    """Cluster all pictures that can be read; returns the exit code."""
    if options.alpha == "data" and (options.k is not None or options.epochs is not None):
        raise ValueError("--k and --epochs are of the network; --alpha data has none: leave them out")
    folder = open_folder(options.paths, options.out, overwrite=options.overwrite)
    backbone = take.wanted_backbone(options)
    size = options.size or PICTURE_SIZE

    def vector(path: Path) -> Arrays:
        return {"vector": picture_vector(path, backbone, size=size).cpu().numpy()}

    settings = settings_of(options, backbone, recipe=asdict(backbone.recipe), size=size)
    arrays = _arrays_of(folder, settings, vector)
    if not arrays:
        return folder.report("No picture could be used.")
    names = list(arrays)
    vectors = torch.from_numpy(np.stack([of_picture["vector"] for of_picture in arrays.values()]))

    def cluster(factor: float) -> ImageClusters:
        """The clusters where what is subtracted from affinities is so many times as much."""
        if options.alpha == "data":
            return cluster_by_modularity(
                vectors.to(backbone.device),
                centred=backbone.recipe.centred,
                resolution=factor,
                random_state=options.seed,
            )
        usual = pictures_recipe(backbone.recipe.centred, options.alpha).alpha
        return cluster_vectors(
            vectors,
            alpha=max(usual / factor, 1.0) if factor != 1 else usual,
            max_clusters=CC_CLUSTERS if options.k is None else options.k,
            epochs=PICTURE_EPOCHS if options.epochs is None else options.epochs,
            centred=backbone.recipe.centred,
            device=str(backbone.device),
            random_state=options.seed,
        )

    clusters = cluster(1)
    suggestions = suggest(clusters, cluster)
    how = "no alpha" if clusters.alpha is None else f"α={clusters.alpha:g}"
    summary = (
        f"{len(names)} pictures in {clusters.n_clusters} clusters with {backbone.name}, {how}, "
        f"seed {options.seed}"
    )
    if options.by_folder:
        scores = cluster_scores([folder.pictures[name].parent.name for name in names], clusters.labels)
        summary += f"; purity {scores.purity:.3f}, NMI {scores.nmi:.3f}, ARI {scores.ari:.3f} by folder"
    summary += f"; {len(folder.failures)} not done." if folder.failures else "."
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(["name", "picture", "cluster", "sureness"])
    table.writerows(
        [name, printable(folder.pictures[name]), number, f"{sure:.3f}"]
        for name, number, sure in zip(names, clusters.labels.tolist(), clusters.sureness, strict=True)
    )
    write_whole(options.out / "clusters.csv", text.getvalue())

    def thumbnail(name: str, path: Path, made_from: Row) -> str:
        small = load_image(path)
        small.thumbnail((SIDE, SIDE))
        place = f"{THUMBNAILS}/{name}.jpg"
        write_whole(options.out / place, encoded(small, ".jpg"))
        return place

    thumbnails = {name: place for name, place, _ in folder.each(thumbnail)}
    notes = _notes(suggestions)
    folder.write_page("DeepCut: clusters", summary, groups(_by_cluster(clusters, names, thumbnails), notes))
    for note in notes:
        print(note)
    return folder.report(summary)


def _arrays_of(folder: Folder, settings: Row, compute: Callable[[Path], Arrays]) -> dict[str, Arrays]:
    """Each picture's arrays, kept or computed anew."""

    def place(name: str) -> Path:
        return folder.out / "features" / f"{name}.npz"

    def make(name: str, path: Path, made_from: Row) -> Arrays:
        arrays = compute(path)
        write_arrays(place(name), arrays, made_from)
        return arrays

    arrays_by_name: dict[str, Arrays] = {}
    n_kept = 0
    for name, arrays, seconds in folder.each(
        make, kept=lambda name, made_from: kept_arrays(place(name), made_from), settings=settings
    ):
        arrays_by_name[name] = arrays
        n_kept += seconds is None
    print(f"features of {len(arrays_by_name)} pictures, {n_kept} kept from before")
    return arrays_by_name


def _by_cluster(
    clusters: ImageClusters, names: list[str], thumbnails: dict[str, str]
) -> dict[str, dict[str, str]]:
    """Each cluster's thumbnails by name, the least sure first, under the cluster's heading."""
    order = np.argsort(clusters.sureness, kind="stable")
    members = [[names[i] for i in order[clusters.labels[order] == k]] for k in range(clusters.n_clusters)]
    return {
        f"Cluster {cluster}: {len(own)} pictures": {
            name: thumbnails[name] for name in own if name in thumbnails
        }
        for cluster, own in enumerate(members)
    }


def _notes(suggestions: Suggestions) -> list[str]:
    """What to merge or split, in words."""
    merges = [
        f"Clusters {', '.join(map(str, together[:-1]))} and {together[-1]} are close: one step further they "
        "are one."
        for together in suggestions.merges
    ]
    splits = [
        f"Cluster {number} may be several: one step further it falls into {', '.join(map(str, sizes))}."
        for number, sizes in suggestions.splits.items()
    ]
    return merges + splits


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
