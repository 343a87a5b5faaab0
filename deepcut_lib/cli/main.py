"""The parser of all commands, what their errors look like, and their exit codes."""

import sys
from collections.abc import Sequence

from deepcut_lib import __version__
from deepcut_lib.cli import arguments as take
from deepcut_lib.cli import classroom, datasets, doctor, evaluate, segment, sets
from deepcut_lib.errors import DeepCutError
from deepcut_lib.files import printable

COMMANDS = (segment, sets, evaluate, datasets, classroom, doctor)
"""Modules whose `add_command` registers a parser, and by ``set_defaults(run=…)`` the function it leads to."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code: 0, or 1 if anything could not be done."""
    take.escape_output()
    try:
        options = _parser().parse_args(arguments)
        exit_code: int = options.run(options)
    except (DeepCutError, ValueError, OSError) as error:
        print(f"error: {printable(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; run the same command again to go on", file=sys.stderr)
        return 130
    return exit_code


def _parser() -> take.Parser:
    parser = take.Parser(
        prog="python -m deepcut_lib",
        description="DeepCut: unsupervised segmentation by graph neural network clustering.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in COMMANDS:
        module.add_command(commands)
    return parser
