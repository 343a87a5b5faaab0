"""Draw the README's picture: ``python -m benchmarks.readme_picture``.

The first picture of each category of ``data/``, whatever comes out of it.
"""

from pathlib import Path

from deepcut_lib import load_backbone, segment
from deepcut_lib.images import load_image
from deepcut_lib.plots import results_figure

ROOT = Path(__file__).parent.parent
CATEGORIES = ("bird", "mammal", "vehicle", "fruit", "other")


def main() -> None:
    """Write ``docs/results.png``."""
    backbone = load_backbone("effnet_lite0")
    pictures = [load_image(ROOT / "data" / "images" / f"{category}_01.jpg") for category in CATEGORIES]
    found = [segment(picture, backbone=backbone, refine=True) for picture in pictures]
    figure = results_figure(pictures, found, [f"{category}_01" for category in CATEGORIES])
    figure.suptitle(
        "DeepCut, soft N-cut and foreground prior, bilateral solver; backbone effnet_lite0, seed 0",
        fontsize=13,
    )
    figure.savefig(ROOT / "docs" / "results.png", dpi=90)


if __name__ == "__main__":
    main()
