"""Backbones side by side, the paper's Table 4: ``python -m benchmarks.backbones ROOT [BACKBONE…]``.

ROOT holds pictures in ``images/`` with ``masks/`` or ``boxes.csv`` beside it. Without names, the backbones
that need no download. Writes ``backbones.png`` beside this file.
"""

import sys
from pathlib import Path

from deepcut_lib import load_backbone
from deepcut_lib.backbones.registry import OFFLINE
from deepcut_lib.comparison import boxed_pictures, compare_backbones, markdown_table
from deepcut_lib.lessons.backbone_comparison.figures import backbone_bars


def main(root: Path, names: list[str]) -> None:
    """Print the table and draw it."""
    pictures = boxed_pictures(root)
    rows = compare_backbones((load_backbone(name) for name in names), pictures)
    print(f"{len(pictures)} pictures of {root.name}, seed 0\n\n{markdown_table(rows)}")
    figure = backbone_bars(rows)
    figure.suptitle(f"Localisation on {len(pictures)} pictures of {root.name}/")
    figure.savefig(Path(__file__).with_suffix(".png"), dpi=110)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:] or list(OFFLINE))
