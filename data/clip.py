"""Build the clip of this folder: one animal walking over a meadow, the camera following, a post in between.

The parts are those of `build.py`: a cut-out, a backdrop, and boards for the post. A frame's noise is seeded
with its number, so that the bytes are the same each time.

    python data/clip.py --packages DIR      # DIR as for build.py
    python data/clip.py --check             # builds aside and compares with the files in this folder
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from build import (
    BYTES_MADE_WITH,
    HERE,
    LENS,
    Library,
    Recipe,
    Thing,
    blurred,
    hide_feet,
    jpeg,
    make_backdrop,
    other_versions,
    photographed,
    placed,
    png,
    relit,
    source_tree,
)
from PIL import Image

SIZE = (256, 192)
FRAMES = 48
ANIMAL = "animals/mammals/bears/european-bear.png"
BACKDROP = "GreenMeadow.jpg"
POST = "Wood.jpg"


def world(t: float) -> tuple[tuple[float, float, float], Thing, float]:
    """What moves, at a time from 0 to 1: the camera's crop of the backdrop, the animal, the post's middle.

    Places are fractions of the picture; the post passes faster than the meadow, as what is near does.
    """
    step = np.sin(2 * np.pi * 6 * t)  # six strides
    camera = (0.33 + 0.3 * t, 0.55, 0.5)
    animal = Thing(ANIMAL, 0.28 + 0.4 * t, 0.88 + 0.006 * step, 0.38 + 0.12 * t)
    return camera, animal, 1.25 - 1.5 * t


def compose_frame(number: int, library: Library) -> tuple[Image.Image, Image.Image]:
    """A frame, and the exact mask of what is to be seen of the animal in it."""
    camera, animal, post = world(number / (FRAMES - 1))
    recipe = Recipe(
        name=f"clip_{number:03}",
        category="clip",
        size=SIZE,
        things=(animal,),
        shadow="none",
        sink=10,
        gain=1.0,
        backdrop=BACKDROP,
        crop=camera,
        blur=0.8,
        tint=None,
        ground="",
        horizon=0.0,
        author="Pere Pujal i Carabantes",
        note="",
    )
    scene = make_backdrop(recipe, library)
    colour, alpha = placed(animal, recipe, library)
    colour = relit(colour, alpha, scene, recipe.gain)
    alpha = hide_feet(alpha, scene, recipe.sink, round(animal.y * SIZE[1]))
    scene = scene * (1 - alpha[..., None]) + colour * alpha[..., None]
    boards, before = wooden_post(post, library)
    scene = scene * (1 - before[..., None]) + boards * before[..., None]
    seen = blurred(alpha * (1 - before), LENS)
    mask = Image.fromarray(np.where(seen >= 0.5, 255, 0).astype(np.uint8)).convert("1")
    return photographed(scene, recipe.name), mask


def wooden_post(middle: float, library: Library) -> tuple[np.ndarray, np.ndarray]:
    """Colours and alpha of a post at that place, a little out of focus."""
    width, height = SIZE
    board = library.image(POST)
    box = (0, board.height // 2, board.width // 6, board.height)
    across = 22
    plank = np.asarray(board.resize((across, height), Image.Resampling.LANCZOS, box=box), float)
    shade = 0.55 + 0.45 * np.sin(np.linspace(0.3, 2.6, across))  # round, and lit from the left
    left = round(middle * width - across / 2)
    canvas, alpha = np.zeros((height, width, 3)), np.zeros((height, width))
    x0, x1 = max(left, 0), min(left + across, width)
    if x0 < x1:
        canvas[:, x0:x1] = (plank * shade[None, :, None])[:, x0 - left : x1 - left]
        alpha[:, x0:x1] = 1
    soft = blurred(alpha, 1.2)
    colour = blurred(canvas * alpha[..., None], 1.2) / np.maximum(soft, 1e-6)[..., None]
    return colour, soft


def build(out: Path, library: Library) -> list[str]:
    """Write the files to `out` and return their names."""
    files = {}
    for number in range(FRAMES):
        frame, mask = compose_frame(number, library)
        files |= {
            f"clip/frames/{number:03}.jpg": jpeg(frame, 88),
            f"clip/masks/{number:03}.png": png(mask),
        }
    for name, content in files.items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_bytes(content)
    return sorted(files)


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Build the clip from its packages.")
    parser.add_argument("--packages", type=Path, help="folder with the two .deb files or their tree")
    parser.add_argument("--out", type=Path, default=HERE, help="where to write (default: this folder)")
    parser.add_argument("--check", action="store_true", help="compare with --out instead of writing there")
    options = parser.parse_args(arguments)
    others = other_versions(BYTES_MADE_WITH)
    if others:
        print(f"clip.py: warning: bytes may differ under {', '.join(others)}", file=sys.stderr)
    with source_tree(options.packages) as tree, tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) if options.check else options.out
        names = build(out, Library(tree))
        if not options.check:
            print(f"{len(names)} files written to {out}")
            return 0
        lines = [
            name
            for name in names
            if not (options.out / name).exists()
            or (out / name).read_bytes() != (options.out / name).read_bytes()
        ]
    print("\n".join(f"differs: {name}" for name in lines) or f"{len(names)} files are the same byte for byte")
    return 1 if lines else 0


if __name__ == "__main__":
    raise SystemExit(main())
