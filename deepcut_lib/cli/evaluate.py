"""``evaluate TABLE``: the paper's tables."""

from deepcut_lib.cli import arguments as take
from deepcut_lib.evaluation import command as evaluation


def add_command(commands: take.Commands) -> None:
    """Add ``evaluate``."""
    parser = commands.add_parser("evaluate", help=evaluation.HELP)
    evaluation.add_arguments(parser)
    parser.set_defaults(run=evaluation.run_command)
