"""``datasets list | check NAME --data ROOT | download NAME --data ROOT``: the benchmark sets."""

import argparse
import sys

from deepcut_lib.cli import arguments as take
from deepcut_lib.datasets import SOURCES, check, download, remedy


def add_command(commands: take.Commands) -> None:
    """Add ``datasets`` with its three actions."""
    parser = commands.add_parser("datasets")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="all sets and where they come from")
    listing.set_defaults(run=_list)
    for action, text in (("check", "say what is missing"), ("download", "download what is missing")):
        sub = actions.add_parser(action, help=text)
        sub.add_argument("name", choices=list(SOURCES), metavar="NAME", help=f"one of: {', '.join(SOURCES)}")
        sub.add_argument("--data", type=take.path, required=True, metavar="ROOT", help="folder of the sets")
        sub.set_defaults(run=_check)


def _list(options: argparse.Namespace) -> int:
    for name, source in SOURCES.items():
        where = ", ".join(archive.url for archive in source.archives) or source.instructions
        print(f"{name:14} {source.title:24} {source.count or '':>7}  {where}")
    return 0


def _check(options: argparse.Namespace) -> int:
    """Download what a set lacks, if that is asked for, and say what is missing; 1 if anything is."""
    if options.action == "download":
        download(options.name, options.data)
    problems = check(options.name, options.data)
    for problem in problems:
        print(problem, file=sys.stderr)
    outcome = remedy(options.name, options.data) if problems else "complete"
    print(f"{SOURCES[options.name].title}: {outcome}")
    return 1 if problems else 0
