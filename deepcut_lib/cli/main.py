"""The parser of all commands, what their errors look like, and their exit codes."""

import sys
from collections.abc import Sequence
from importlib import import_module

from deepcut_lib import __version__
from deepcut_lib.cli import arguments as take
from deepcut_lib.errors import DeepCutError
from deepcut_lib.files import printable

COMMANDS = {
    "segment": ("segment", "foreground masks of pictures"),
    "localize": ("segment", "one box for each picture"),
    "parts": ("sets", "the same parts in all pictures"),
    "cluster": ("sets", "clusters of pictures, their number found"),
    "video": ("video", "masks of a clip, whose labels persist"),
    "evaluate": ("evaluate", "fill a table of the paper"),
    "datasets": ("datasets", "list, check and download the benchmark sets"),
    "class": ("classroom", "copies of the lessons for students and for teachers"),
    "marks": ("classroom", "run the checks again on notebooks that were handed in"),
    "doctor": ("doctor", "check versions, devices, backbones, data and widgets"),
}
"""What each command does, and the module beside this one whose `add_command` registers its parser, and by
``set_defaults(run=…)`` the function it leads to. Only the module of the command that is given is loaded."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code: 0, or 1 if anything could not be done."""
    take.escape_output()
    given = sys.argv[1:] if arguments is None else arguments
    try:
        options = _parser(given).parse_args(given)
        exit_code: int = options.run(options)
    except (DeepCutError, ValueError, OSError) as error:
        print(f"error: {printable(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; run the same command again to go on", file=sys.stderr)
        return 130
    return exit_code


def _parser(given: Sequence[str]) -> take.Parser:
    parser = take.Parser(
        prog="python -m deepcut_lib",
        description="DeepCut: unsupervised segmentation by graph neural network clustering.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    if given and given[0] in COMMANDS:
        module, _ = COMMANDS[given[0]]
        import_module(f"deepcut_lib.cli.{module}").add_command(commands)
        return parser
    for name, (_, what) in COMMANDS.items():
        commands.add_parser(name, help=what)
    return parser
