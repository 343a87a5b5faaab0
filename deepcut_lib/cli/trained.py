"""``--together``, ``--save-trained``, ``--trained``: networks fitted once, that label all pictures."""

import argparse
import hashlib
import json
from argparse import ArgumentParser
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from random import Random
from threading import Lock
from typing import NamedTuple

from tqdm import tqdm

from deepcut_lib.backbones import Backbone
from deepcut_lib.cli import arguments as take
from deepcut_lib.cli.folder import Folder, settings_of
from deepcut_lib.cli.kept import Row
from deepcut_lib.errors import CheckpointError, DeepCutError
from deepcut_lib.features import PatchFeatures
from deepcut_lib.files import prepare_folder, printable, sha256
from deepcut_lib.parts import EPOCHS
from deepcut_lib.recipe import Recipe
from deepcut_lib.trained import TrainedDeepCut, train_on_features

TRAIN_ON = 200
"""Pictures that networks are fitted to, unless told; their features are in memory together."""

_FITTED = (
    "objective", "k", "alpha", "epochs", "two_stage", "mode", "size", "prior", "no_prior", "together",
    "train_on",
)  # fmt: skip
_ONE_STAGE = ("two_stage", "mode")


class Networks(NamedTuple):
    """What labels all pictures of a command.

    Attributes:
        settings: what stands for the networks among the settings that results depend on.
        described: what they are, in a few words.
        n_parts: how many parts the second one knows; 0 without it.
        fitted: the networks; those that no file holds are fitted when a picture first needs them.
    """

    settings: Row
    described: str
    n_parts: int
    fitted: Callable[[], TrainedDeepCut]


def add_trained(parser: ArgumentParser) -> None:
    """Add the options of trained networks."""
    networks = parser.add_argument_group(
        "trained networks",
        "Fit once, label many, instead of optimising for each picture. How pictures are cut, and at what "
        "--size, is said to --together and --save-trained; --trained takes it from the file and refuses such "
        "options.",
    )
    networks.add_argument(
        "--together",
        action="store_true",
        help="fit networks to some of the pictures, and label all with them",
    )
    which = networks.add_mutually_exclusive_group()
    which.add_argument(
        "--save-trained",
        type=take.path,
        metavar="FILE",
        help="the same, and write them; networks of an earlier run are used again if they are of the same "
        "pictures and settings, else replaced",
    )
    which.add_argument(
        "--trained",
        type=take.path,
        metavar="FILE",
        help="label all pictures with the networks of FILE, without training; the backbone is the file's",
    )
    networks.add_argument(
        "--train-on",
        type=take.whole,
        metavar="N",
        help="with --together or --save-trained: at most so many pictures, drawn by the seed "
        f"(default: {TRAIN_ON})",
    )


def check_trained(options: argparse.Namespace) -> None:
    """See that the options of trained networks go with the others.

    Raises:
        ValueError: one of them does not; the message names it.
    """
    if options.trained:
        refuse(options, _FITTED, "--trained, whose networks are fitted already")
    elif options.save_trained or options.together:
        flag = "--save-trained" if options.save_trained else "--together"
        refuse(options, _ONE_STAGE, f"{flag}, which fits the same networks to all pictures together")
    elif options.train_on:
        raise ValueError(
            "--train-on says how many pictures networks are fitted to; give --together, or "
            "--save-trained FILE"
        )


def load_networks(options: argparse.Namespace, parts: bool = False) -> tuple[Backbone, TrainedDeepCut | None]:
    """The backbone that is wanted, and the networks of ``--trained``, or None where it was not given.

    Args:
        options: see `add_trained`.
        parts: whether one of them must find parts.

    Raises:
        CheckpointError: the file is missing, damaged, or something else, or holds no network for parts.
        ValueError: it was fitted with another backbone than the one that is named; and as `load_backbone`.
    """
    if not options.trained:
        return take.wanted_backbone(options), None
    trained = TrainedDeepCut.load(options.trained)
    if options.backbone not in ("auto", trained.backbone):
        raise ValueError(
            f"{options.trained}: these networks were fitted with {trained.backbone}, not with "
            f"{options.backbone}; leave --backbone out"
        )
    if parts and trained.part_model is None:
        raise CheckpointError(
            f"{options.trained}: holds no network for parts; name one that parts --save-trained has written"
        )
    return take.wanted_backbone(options, trained.backbone), trained


def networks_for(
    options: argparse.Namespace,
    folder: Folder,
    backbone: Backbone,
    loaded: TrainedDeepCut | None,
    recipe: Recipe,
    k: int | None = None,
    part_epochs: int = EPOCHS,
) -> Networks | None:
    """The networks that label all pictures, or None where each is optimised on its own.

    Those of ``--save-trained`` are an earlier run's, if they were made from the same, or new ones; those of
    ``--together`` alone are fitted only if a picture has no result of the same networks.

    Args:
        options: see `add_trained`.
        folder: the pictures; those that cannot be read are passed over, and become failures.
        backbone: the loaded one.
        loaded: the networks of ``--trained``.
        recipe: how pictures are cut.
        k: how many parts, or None.
        part_epochs: as for `train_once`.

    Raises:
        CheckpointError: the file to save to is there, and is something else.
        ValueError: a setting is out of range.
        DeepCutError: the file cannot be written, or, from `Networks.fitted` too, no networks could be fitted.
    """
    if loaded:
        settings = {"trained": loaded.made_from or sha256(options.trained), "size": loaded.size}
        n_parts = 0 if loaded.part_model is None else loaded.part_model.n_clusters
        return Networks(settings, _described(options.trained), n_parts, lambda: loaded)
    if not (options.save_trained or options.together):
        return None
    size = options.size or "default"
    names = list(folder.pictures)
    count = min(options.train_on or TRAIN_ON, len(names))
    drawn = [names[i] for i in sorted(Random(options.seed).sample(range(len(names)), count))]
    ingredients = settings_of(
        options, backbone, recipe=asdict(recipe), k=k, part_epochs=part_epochs, size=size, seed=options.seed
    )
    del ingredients["command"]  # what one command has fitted, another may label with
    contents = [_content(folder.pictures[name]) for name in drawn]
    made_from = hashlib.sha256(json.dumps([ingredients, contents]).encode()).hexdigest()
    recipe.estimator("cpu", options.seed)  # what is out of range is said before any picture is read

    lock = Lock()  # several pictures at once may be the first to need the networks

    @cache
    def fit() -> TrainedDeepCut:
        features = _features_of(folder, drawn, backbone, size)
        try:
            trained = train_on_features(
                features,
                backbone,
                k=k,
                recipe=recipe,
                part_epochs=part_epochs,
                size=size,
                random_state=options.seed,
            )
        except ValueError as error:  # of all pictures, whichever was the first to need the networks
            raise DeepCutError(f"no networks could be fitted to the pictures: {error}") from error
        tqdm.write(f"networks fitted to {len(features)} pictures")
        return replace(trained, made_from=made_from)

    def fitted() -> TrainedDeepCut:
        with lock:
            return fit()

    settings = {"trained": made_from, "size": size}
    if not options.save_trained:
        return Networks(settings, f"fitted together, seed {options.seed}", k or 0, fitted)
    saved = _saved(options, made_from, fitted)
    return Networks(settings, _described(options.save_trained), k or 0, lambda: saved)


def _described(file: Path) -> str:
    return f"networks of {printable(file.name)}"


def _features_of(
    folder: Folder, names: Sequence[str], backbone: Backbone, size: int | str
) -> list[PatchFeatures]:
    def look(name: str, path: Path, made_from: Row) -> PatchFeatures:
        return backbone(path, size=size, cls=False)

    features = [of_picture for _, of_picture, _ in folder.each(look, names=names)]
    if not features:
        reason = next(iter(folder.failures.values()))
        raise DeepCutError(f"no picture can be used to fit networks to; the first: {reason}")
    return features


def _saved(
    options: argparse.Namespace, made_from: str, fitted: Callable[[], TrainedDeepCut]
) -> TrainedDeepCut:
    """The networks in the file of ``--save-trained``, which is written unless they are there."""
    file: Path = options.save_trained
    kept = _networks_there(file)
    if kept and kept.made_from == made_from and not options.overwrite:
        print(f"{printable(file)}: networks kept, fitted to {kept.n_pictures} pictures")
        return kept
    prepare_folder(file.parent)  # a place that cannot be written is said before any picture is read
    trained = fitted()
    trained.save(file)
    print(f"{printable(file)}: networks written")
    return trained


def _networks_there(file: Path) -> TrainedDeepCut | None:
    """What an earlier run has saved; whatever else is there must not be replaced."""
    if not file.exists():
        return None
    try:
        return TrainedDeepCut.load(file)
    except CheckpointError as error:
        raise CheckpointError(
            f"{file}: is there and holds no trained networks, so it is not replaced; name another file"
        ) from error


def _content(path: Path) -> str | None:
    try:
        return sha256(path)
    except OSError:  # it will be named as one that cannot be read
        return None


def refuse(options: argparse.Namespace, names: Iterable[str], flag: str) -> None:
    """See that options are not given which do not go with another one.

    Raises:
        ValueError: one of them is; the message names it.
    """
    for name in names:
        if getattr(options, name, None) not in (None, False):
            raise ValueError(f"--{name.replace('_', '-')} does not go with {flag}; leave it out")
