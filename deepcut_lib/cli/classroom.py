"""``class`` and ``marks``: copies of the lessons for students and teachers, and what came back."""

from argparse import Namespace
from pathlib import Path

from deepcut_lib.classroom.copies import write_copies
from deepcut_lib.classroom.marks import mark
from deepcut_lib.cli import arguments as take
from deepcut_lib.datasets import SAMPLE

_LESSONS = SAMPLE.parent / "notebooks"


def add_command(commands: take.Commands) -> None:
    """Add ``class`` and ``marks``."""
    copies = commands.add_parser("class")
    copies.add_argument("--notebooks", type=take.path, default=_LESSONS, metavar="DIR", help="the lessons")
    copies.add_argument("--out", type=take.path, default=Path("class"), metavar="DIR", help="default: class")
    copies.set_defaults(run=run_class)

    marks = commands.add_parser(
        "marks",
        description="Each exercise runs in a process of its own with limits of time, memory and file size. "
        "This guards against accidents and is no sandbox: code can read and delete what you can, and use the "
        "net. Use an account or container that holds nothing else. Run again to go on after an interruption.",
    )
    marks.add_argument("folder", type=take.path, metavar="FOLDER", help="what students handed in")
    marks.add_argument("--notebooks", type=take.path, default=_LESSONS, metavar="DIR", help="the lessons")
    marks.add_argument("--out", type=take.path, default=Path("marks.csv"), metavar="FILE", help="marks.csv")
    marks.add_argument("--seconds", type=take.positive, default=60.0, help="for one exercise (default: 60)")
    marks.add_argument(
        "--memory", type=take.whole, default=2048, metavar="MB", help="for one (default: 2048)"
    )
    marks.set_defaults(run=run_marks)


def run_class(options: Namespace) -> int:
    """Write the copies."""
    for path in write_copies(options.notebooks, options.out):
        print(path)
    return 0


def run_marks(options: Namespace) -> int:
    """Mark a folder; returns 0 also where students failed."""
    limits = {"seconds": options.seconds, "megabytes": options.memory}
    for line in mark(options.folder, options.notebooks, options.out, **limits):
        print(line, flush=True)
    print(f"\n{options.out}")
    return 0
