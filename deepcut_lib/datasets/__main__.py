"""``python -m deepcut_lib.datasets list | check NAME --data ROOT | download NAME --data ROOT``."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from deepcut_lib.arguments import escape_output
from deepcut_lib.datasets.sources import SOURCES, check, download, remedy
from deepcut_lib.errors import DeepCutError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code: 0, or 1 if a set is not whole."""
    parser = argparse.ArgumentParser(
        prog="python -m deepcut_lib.datasets", description="Benchmark data sets."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="all sets and where they come from")
    for command, text in (("check", "say what is missing"), ("download", "download what is missing")):
        sub = commands.add_parser(command, help=text)
        sub.add_argument("name", choices=list(SOURCES))
        sub.add_argument("--data", type=Path, required=True, metavar="ROOT", help="folder of the data sets")
    escape_output()
    options = parser.parse_args(arguments)
    try:
        if options.command == "list":
            for name, source in SOURCES.items():
                where = ", ".join(archive.url for archive in source.archives) or source.instructions
                print(f"{name:14} {source.title:24} {source.count or '':>7}  {where}")
            return 0
        if options.command == "download":
            download(options.name, options.data)
        problems = check(options.name, options.data)
    except (DeepCutError, ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; run the same command again to go on", file=sys.stderr)
        return 130
    for problem in problems:
        print(problem, file=sys.stderr)
    print(
        f"{SOURCES[options.name].title}: " + (remedy(options.name, options.data) if problems else "complete")
    )
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
