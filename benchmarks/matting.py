"""Mattes: what is alpha worth beside a mask, and what still keeps it from the truth?

``python -m benchmarks.matting [FOLDER]``, where FOLDER, by default ``data``, holds pictures in ``images/``,
masks in ``masks/`` and exact alpha in ``alpha/``, all of the same names. Needs pymatting.

Band, margin and solver of `deepcut_lib.matting` were chosen on every second picture of ``data``, from the
first on; the tables are of the others. The control is the binary mask under a blur that knows no picture, its
width chosen there too. The yardstick sees the true mask: unknown is what lies within `BAND` of its edge.
Differences in brackets are paired: to the blurred mask, or to the true mask for rows that see it.
"""

import sys
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
from scipy import ndimage
from tqdm import tqdm

from deepcut_lib import load_backbone
from deepcut_lib.datasets import SAMPLE
from deepcut_lib.evaluation.spread import bootstrap
from deepcut_lib.features import upsample
from deepcut_lib.images import load_image
from deepcut_lib.masks import read_grey_mask, read_mask
from deepcut_lib.matting import BAND, METHODS, UNKNOWN, solve_alpha, trimap_of
from deepcut_lib.metrics import AlphaErrors, alpha_errors, mask_iou
from deepcut_lib.refinement import solve_soft
from deepcut_lib.segmentation import cut

GOOD = 0.9
"""IoU from which a mask counts as right, for the second table: the rest of the error is then at the edge."""


BLUR = 0.003
"""σ of the control's blur, in longest sides; chosen of 0, 0.003, 0.006, 0.009, 0.012 and 0.016."""

CONTROL = "binary mask, blurred"


def band_round(mask: np.ndarray, width: float) -> np.ndarray:
    """The trimap of a mask that is right: unknown within so many pixels of its edge."""
    trimap = np.where(mask, 255, 0).astype(np.uint8)
    inside, outside = (ndimage.distance_transform_edt(side) for side in (mask, ~mask))
    trimap[(inside <= width) & (outside <= width)] = UNKNOWN
    return trimap


def main(folder: Path = SAMPLE) -> None:
    """Print both tables."""
    backbone = load_backbone("effnet_lite0")
    recipe = backbone.foreground_recipe
    errors: dict[str, list[AlphaErrors]] = defaultdict(list)
    seconds: dict[str, list[float]] = defaultdict(list)
    overlaps, wrong = [], []
    paths = sorted((folder / "alpha").glob("*.png"))[1::2]
    for path in tqdm(paths, unit="picture", disable=not sys.stderr.isatty()):
        picture = load_image(next((folder / "images").glob(f"{path.stem}.*")))
        truth = read_grey_mask(path, picture) / 255
        true_mask = read_mask(folder / "masks" / path.name, picture)
        (found,) = cut([backbone(picture, cls=False)], recipe=recipe, refine_on=[picture])
        p = upsample(found.probability, found.features, smooth=True)
        soft = solve_soft(picture, p, sigma_xy=recipe.solver_sigma_xy, smoothness=recipe.solver_smoothness)
        trimap = trimap_of(found)
        overlaps.append(mask_iou(found.mask, true_mask))
        wrong.append(((trimap == 255) & (truth < 0.5) | (trimap == 0) & (truth > 0.5)).mean())
        rows = {
            "binary mask": found.mask,
            CONTROL: ndimage.gaussian_filter(found.mask.astype(float), BLUR * max(trimap.shape)),
            "solver's soft output": soft,
            "true mask": true_mask,
        }
        hints = {"S": trimap, "true mask": band_round(true_mask, max(BAND * max(trimap.shape), 1.5))}
        for of, known in hints.items():
            for method in METHODS:
                name = f"{method}, trimap from {of}"
                started = time.process_time()
                rows[name] = solve_alpha(picture, known, method=method)
                seconds[name].append(time.process_time() - started)
        for name, alpha in rows.items():
            errors[name].append(alpha_errors(alpha, truth))
    overlap = np.array(overlaps)
    print(f"{len(paths)} pictures, {backbone.name}, seed 0; mean IoU of the masks {overlap.mean():.3f};")
    print(f"{100 * np.mean(wrong):.2f} % of all pixels are sure in the trimap from S, and wrong\n")
    for which, chosen in (("all", overlap >= 0), (f"IoU of the mask at least {GOOD}", overlap >= GOOD)):
        print(f"| {which}: {chosen.sum()} pictures | SAD | 1000 · MSE | gradient | CPU s |")
        print("|---|---|---|---|---|")
        for name, values in errors.items():
            base = errors["true mask" if "true mask" in name else CONTROL]
            cells = [
                _cell(np.array(values)[chosen, i] * unit, np.array(base)[chosen, i] * unit)
                for i, unit in enumerate((1, 1000, 1))
            ]
            spent = f"{np.median(seconds[name]):.2f}" if name in seconds else ""
            print(f"| {name} | {' | '.join(cells)} | {spent} |")
        print()


def _cell(errors: np.ndarray, base: np.ndarray) -> str:
    """The mean, and the interval of its difference to what it is held against, picture by picture."""
    if np.array_equal(errors, base):
        return f"{errors.mean():.2f}"
    low, high = bootstrap(errors - base)
    return f"{errors.mean():.2f} [{low:+.2f}, {high:+.2f}]"


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
