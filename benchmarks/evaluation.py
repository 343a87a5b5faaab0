"""Time and memory of an evaluation over the number of pictures.

``python -m benchmarks.evaluation [N …]``: so many generated pictures each, backbone `pixels`, each in a
process of its own.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

RUN = """
import resource, sys, time
from deepcut_lib.cli.main import main
started = time.perf_counter()
code = main(["evaluate", "horses", "--backbone", "pixels", "--size", "224", "--methods", "ncut", "--data",
    sys.argv[1], "--out", sys.argv[1]])
seconds = time.perf_counter() - started
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(f"exit code {code}; {seconds:.0f} s; peak memory {peak:.0f} MB")
"""


def main(counts: list[int]) -> None:
    """Print one line for each number of pictures."""
    for count in counts:
        with tempfile.TemporaryDirectory() as folder:
            generate(Path(folder) / "horses", count)
            command = [sys.executable, "-c", RUN, folder]
            printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        print(f"{count:6} pictures: {printed.splitlines()[-1]}", flush=True)


def generate(folder: Path, count: int) -> None:
    """Noisy ellipses on noisy grounds, 320×240, with their masks."""
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    y, x = np.mgrid[:240, :320]
    for number in range(count):
        rng = np.random.default_rng(number)
        centre, radii = rng.uniform((80, 100), (160, 220)), rng.uniform(30, 80, 2)
        mask = ((y - centre[0]) / radii[0]) ** 2 + ((x - centre[1]) / radii[1]) ** 2 < 1
        colours = np.where(mask[..., None], *rng.uniform(0, 255, (2, 3)))
        pixels = np.clip(colours + rng.normal(0, 20, colours.shape), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{number:05}.jpg")
        Image.fromarray(mask).save(folder / "masks" / f"{number:05}.png")


if __name__ == "__main__":
    main([int(count) for count in sys.argv[1:]] or [100, 2000])
