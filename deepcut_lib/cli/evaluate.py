"""``evaluate TABLE``: fill a table of the paper, as far as the data at hand go, and report it."""

import argparse
import sys
from dataclasses import fields
from pathlib import Path

from deepcut_lib.backbones import BACKBONES
from deepcut_lib.cli import arguments as take
from deepcut_lib.evaluation.evaluate import evaluate
from deepcut_lib.evaluation.request import Request
from deepcut_lib.evaluation.tables import TABLES
from deepcut_lib.files import printable


def add_command(commands: take.Commands) -> None:
    """Add ``evaluate`` to the commands; what its arguments are called here is what `Request` calls them."""
    parser = commands.add_parser("evaluate")
    parser.set_defaults(run=run)
    parser.add_argument(
        "table", choices=list(TABLES), metavar="TABLE", help="1 to 5, or davis, horses or sample"
    )
    parser.add_argument("--data", type=take.path, metavar="ROOT", help="folder of the data sets")
    parser.add_argument(
        "--backbone",
        dest="backbones",
        nargs="+",
        default=(),
        metavar="NAME",
        help=f"auto, or of: {', '.join(BACKBONES)}",
    )
    parser.add_argument("--checkpoint", type=take.path, metavar="FILE", help="local weights of the named ViT")
    parser.add_argument(
        "--methods", nargs="+", default=(), metavar="NAME", help="run only these rows (default: all)"
    )
    parser.add_argument(
        "--sets", nargs="+", default=(), metavar="NAME", help="only these data sets (default: the table's)"
    )
    parser.add_argument("--limit", type=take.whole, metavar="N", help="only the first N pictures of each set")
    parser.add_argument(
        "--seeds", type=take.whole, metavar="N", help="seeds 0 to N−1 (default: 1; table 5: 10)"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps (default: auto)")
    parser.add_argument("--stride", type=take.whole, metavar="PX", help="patch distance, at most the side")
    parser.add_argument("--size", type=take.whole, metavar="PX", help="side that pictures are fitted to")
    parser.add_argument(
        "--inputs",
        choices=["own", "same"],
        help="fit pictures as each method's publication does, or alike for all (default: own in 1 and 2)",
    )
    parser.add_argument("--batch", type=take.whole, default=8, help="pictures done together (default: 8)")
    parser.add_argument(
        "--certificate",
        type=take.positive,
        nargs="?",
        const=600.0,
        metavar="SECONDS",
        help="table 5: bound each draw's optimum, and say how far below it methods end (default: 600 s each)",
    )
    parser.add_argument("--edge-model", type=take.path, metavar="FILE", help="edge model of EdgeBoxes")
    parser.add_argument(
        "--out", type=take.path, default=Path("results"), metavar="DIR", help="default: results"
    )
    parser.add_argument(
        "--record", type=take.path, metavar="FILE", help="also put the report into this Markdown file"
    )
    parser.add_argument("--overwrite", action="store_true", help="forget results of earlier runs")


def run(options: argparse.Namespace) -> int:
    """Run the command; returns its exit code: 0, or 1 if a picture failed or there was nothing to do.

    Raises:
        DeepCutError, ValueError: what was asked for cannot be done; the message says why.
    """
    request = Request(**{field.name: getattr(options, field.name) for field in fields(Request)})
    evaluation = evaluate(request)
    print(evaluation.report)
    print(f"Written: {evaluation.folder / 'report.md'}")
    for message in evaluation.failures.values():
        print(f"not done: {printable(message)}", file=sys.stderr)
    if not evaluation.sets:
        print("nothing was evaluated: none of the table's data is at hand", file=sys.stderr)
    return 1 if evaluation.failures or not evaluation.sets else 0
