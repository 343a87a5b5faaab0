"""``--save-trained`` and ``--trained``: networks fitted once, to some of the pictures, that label all."""

import argparse
import hashlib
import json
from argparse import ArgumentParser
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path
from random import Random

from deepcut_lib.backbones import Backbone
from deepcut_lib.cli import arguments as take
from deepcut_lib.cli.folder import Folder, settings_of
from deepcut_lib.cli.kept import Row
from deepcut_lib.errors import CheckpointError, ImageError
from deepcut_lib.features import PatchFeatures
from deepcut_lib.files import prepare_folder, printable, sha256
from deepcut_lib.parts import EPOCHS
from deepcut_lib.recipe import Recipe
from deepcut_lib.trained import TrainedDeepCut, train_on_features

TRAIN_ON = 200
"""Pictures that networks are fitted to, unless told; their features are in memory together."""

_FITTED = ("objective", "k", "alpha", "epochs", "two_stage", "mode", "size", "train_on")
_ONE_STAGE = ("two_stage", "mode")


def add_trained(parser: ArgumentParser) -> None:
    """Add the options of trained networks."""
    networks = parser.add_argument_group(
        "trained networks",
        "Fit once, label many, instead of optimising for each picture. How pictures are cut, and at what "
        "--size, is said to --save-trained; --trained takes it from the file and refuses such options.",
    )
    which = networks.add_mutually_exclusive_group()
    which.add_argument(
        "--save-trained",
        type=take.path,
        metavar="FILE",
        help="fit networks to some of the pictures, write them, and label all with them; networks of an "
        "earlier run are used again if they are of the same pictures and settings, else replaced",
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
        help=f"with --save-trained: at most so many pictures, drawn by the seed (default: {TRAIN_ON})",
    )


def check_together(options: argparse.Namespace) -> None:
    """See that the options of trained networks go with the others.

    Raises:
        ValueError: one of them does not; the message names it.
    """
    if options.trained:
        _refuse(options, _FITTED, "--trained, whose networks are fitted already")
    elif options.save_trained:
        _refuse(options, _ONE_STAGE, "--save-trained, which fits the same networks to all pictures together")
    elif options.train_on:
        raise ValueError("--train-on says how many pictures --save-trained takes; give --save-trained FILE")


def load_networks(options: argparse.Namespace) -> tuple[Backbone, TrainedDeepCut | None]:
    """The backbone that is wanted, and the networks of ``--trained``, or None where it was not given.

    Raises:
        CheckpointError: the file is missing, damaged, or something else.
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
    return take.wanted_backbone(options, trained.backbone), trained


def fit_networks(
    options: argparse.Namespace,
    folder: Folder,
    backbone: Backbone,
    recipe: Recipe,
    k: int | None = None,
    part_epochs: int = EPOCHS,
) -> TrainedDeepCut:
    """The networks of ``--save-trained``: an earlier run's, if they were made from the same, or new ones.

    Args:
        options: see `add_trained`.
        folder: the pictures; those that cannot be read are passed over, and become failures.
        backbone: the loaded one.
        recipe: how pictures are cut.
        k: how many parts, or None.
        part_epochs: as for `train_once`.

    Raises:
        CheckpointError: the file is there, and is something else.
        ImageError: none of the pictures can be used.
        ValueError: as for `train_once`.
        DeepCutError: the file cannot be written.
    """
    file: Path = options.save_trained
    size = options.size or "default"
    names = list(folder.pictures)
    count = min(options.train_on or TRAIN_ON, len(names))
    drawn = [names[i] for i in sorted(Random(options.seed).sample(range(len(names)), count))]
    settings = settings_of(
        options, backbone, recipe=asdict(recipe), k=k, part_epochs=part_epochs, size=size, seed=options.seed
    )
    del settings["command"]  # what one command has fitted, another may label with
    contents = [_content(folder.pictures[name]) for name in drawn]
    made_from = hashlib.sha256(json.dumps([settings, contents]).encode()).hexdigest()
    kept = _networks_there(file)
    if kept and kept.made_from == made_from and not options.overwrite:
        print(f"{printable(file)}: networks kept, fitted to {kept.n_pictures} pictures")
        return kept
    # What is out of range, or cannot be written, is said before any picture is read
    recipe.estimator("cpu", options.seed)
    prepare_folder(file.parent)

    def look(name: str, path: Path, made_from: Row) -> PatchFeatures:
        return backbone(path, size=size, cls=False)

    features = [of_picture for _, of_picture, _ in folder.each(look, names=drawn)]
    if not features:
        reason = next(iter(folder.failures.values()))
        raise ImageError(f"no picture can be used to fit networks to; the first: {reason}")
    trained = train_on_features(
        features,
        backbone,
        k=k,
        recipe=recipe,
        part_epochs=part_epochs,
        size=size,
        random_state=options.seed,
    )
    trained = replace(trained, made_from=made_from)
    trained.save(file)
    print(f"{printable(file)}: networks fitted to {len(features)} pictures")
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


def _refuse(options: argparse.Namespace, names: Iterable[str], flag: str) -> None:
    for name in names:
        if getattr(options, name, None) not in (None, False):
            raise ValueError(f"--{name.replace('_', '-')} does not go with {flag}; leave it out")
