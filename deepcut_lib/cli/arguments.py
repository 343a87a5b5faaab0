"""What commands take: numbers and paths, checked where they enter, pictures and a backbone; and print."""

import io
import math
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace, _ArgumentGroup, _SubParsersAction
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeAlias

import deepcut_lib
from deepcut_lib.errors import DeepCutError

if TYPE_CHECKING:
    from deepcut_lib import Backbone
    from deepcut_lib.recipe import Recipe

LARGEST_SEED = 2**32 - 1
"""NumPy's random states take no larger seed."""


def escape_output() -> None:
    """Escape what the encoding of a terminal or a redirected file cannot hold, instead of failing on it."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


class Parser(ArgumentParser):
    """A parser whose errors are the library's: one line that names the argument and the remedy."""

    def error(self, message: str) -> NoReturn:
        """Raise what `ArgumentParser` would print.

        Raises:
            DeepCutError: always.
        """
        raise DeepCutError(f"{message.removeprefix('argument ')}; see {self.prog} --help")


Commands: TypeAlias = "_SubParsersAction[Parser]"
"""Where a command adds its parser: what `ArgumentParser.add_subparsers` gives."""


def add_pictures(parser: ArgumentParser) -> _ArgumentGroup:
    """Add what every command on pictures takes: pictures, and what `add_run` adds.

    Returns:
        The group of options on features.
    """
    parser.add_argument("paths", nargs="+", type=path, metavar="PATHS", help="pictures, or folders of them")
    return add_run(parser)


def add_run(parser: ArgumentParser) -> _ArgumentGroup:
    """Add a folder for results, a seed and a backbone.

    Returns:
        The group of options on features.
    """
    parser.add_argument("--out", type=path, required=True, metavar="DIR", help="where results are written")
    parser.add_argument("--seed", type=seed, default=0, help="seed of the random starts (default: 0)")
    parser.add_argument("--overwrite", action="store_true", help="do finished pictures again")

    features = parser.add_argument_group("features")
    features.add_argument(
        "--backbone",
        default="auto",
        metavar="NAME",
        help="auto (DINO ViT-S/8 if at hand, else the embedded one), or one of: "
        f"{', '.join(deepcut_lib.BACKBONES)}",
    )
    features.add_argument("--checkpoint", type=path, metavar="FILE", help="local weights of the named ViT")
    features.add_argument("--stride", type=whole, metavar="PX", help="patch distance, below the patch side")
    features.add_argument("--size", type=whole, metavar="PX", help="side that pictures are resized to")
    features.add_argument("--device", default="auto", help="auto, cpu, cuda or mps (default: auto)")
    return features


def add_prior(features: _ArgumentGroup) -> None:
    """Add, to the group of `add_pictures`, what tells foreground from background besides the graph."""
    which = features.add_mutually_exclusive_group()
    which.add_argument(
        "--prior",
        type=path,
        metavar="FILE",
        help="foreground prior that python -m training.prior has made for the named backbone, or for the one "
        "that auto is to take (default: the one that comes with the backbone, if any)",
    )
    which.add_argument(
        "--no-prior",
        action="store_true",
        help="cut by the graph alone: the backbone's plain recipe, Eq. 9 and the border rule",
    )


def wanted_backbone(options: Namespace, name: str | None = None) -> "Backbone":
    """The backbone that `add_pictures` and `add_prior` have read of, or another with the same settings.

    Where the prior is not wanted, or the command has no use for one, it has none.
    """
    backbone = deepcut_lib.load_backbone(
        name or options.backbone,
        checkpoint=options.checkpoint,
        stride=options.stride,
        device=options.device,
        prior=getattr(options, "prior", None),
    )
    return backbone.with_prior(None) if getattr(options, "no_prior", True) else backbone


def described(recipe: "Recipe") -> str:
    """A recipe in a few words, as summaries give it."""
    most = "≤" if recipe.objective == "cc" else "="
    prior = "foreground prior" if recipe.prior_weight else "no prior"
    return f"{recipe.objective}, K{most}{recipe.n_clusters}, {prior}"


def whole(text: str) -> int:
    """A whole number from 1 on."""
    return _integer(text, 1, None, "must be at least 1")


def seed(text: str) -> int:
    """A whole number from 0 to `LARGEST_SEED`."""
    return _integer(text, 0, LARGEST_SEED, f"must lie in 0…{LARGEST_SEED}")


def positive(text: str) -> float:
    """A finite number above 0."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise ArgumentTypeError(f"must be a positive number, not {text!r}")
    return number


def path(text: str) -> Path:
    """A path; an empty one would be the current folder."""
    if not text:
        raise ArgumentTypeError("must not be empty; give '.' for the current folder")
    return Path(text)


def _integer(text: str, least: int, most: int | None, wanted: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = least - 1
    if number < least or (most is not None and number > most):
        raise ArgumentTypeError(f"{wanted}, not {text!r}")
    return number
