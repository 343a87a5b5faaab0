"""Small pictures of the lessons for the README, from the figures saved in the notebooks."""

import base64
import io
from pathlib import Path

import nbformat
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
WIDTH = 320
"""Pixels."""


def main() -> None:
    """For each notebook with a cell tagged "thumbnail", save its figure as docs/lessons/NAME.png."""
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        for cell in nbformat.read(path, as_version=4).cells:
            if "thumbnail" in cell.metadata.get("tags", []):
                data = next(
                    output.data[kind]
                    for output in cell.outputs
                    for kind in ("image/png", "image/jpeg")
                    if kind in output.get("data", {})
                )
                picture = Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")
                picture.thumbnail((WIDTH, WIDTH), Image.Resampling.LANCZOS)
                picture.save(ROOT / "docs" / "lessons" / f"{path.stem}.png", optimize=True)


if __name__ == "__main__":
    main()
