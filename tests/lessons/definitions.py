"""What tests of lessons use: a notebook's own functions, made-up features, and rendered figures."""

import ast
from typing import Any

import nbformat
import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from deepcut_lib.features import PatchFeatures
from tests.conftest import ROOT


def definitions(stem: str) -> dict[str, Any]:
    """The imports and functions of a notebook, by name, without running anything else of it.

    Exercise stubs are left out. Functions see the notebook's imports and one another.
    """
    notebook = nbformat.read(ROOT / "notebooks" / f"{stem}.ipynb", as_version=4)
    kept: list[ast.stmt] = []
    for cell in notebook.cells:
        if cell.cell_type != "code" or "exercise" in cell.metadata.get("tags", []):
            continue
        source = "\n".join(line for line in cell.source.splitlines() if not line.startswith("%"))
        kept += [
            node
            for node in ast.parse(source).body
            if isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef)
        ]
    namespace: dict[str, Any] = {}
    exec(compile(ast.Module(kept, []), stem, "exec"), namespace)
    return namespace


def random_features(grid: tuple[int, int] = (5, 7), *, patch: int = 8, stride: int = 8) -> PatchFeatures:
    """Features of a picture of 90×140 pixels, n×6, the same at each call."""
    values = torch.randn(grid[0] * grid[1], 6, generator=torch.Generator().manual_seed(1)) + 1
    return PatchFeatures(values, grid, None, (90, 140), "random", patch, stride)


def pixels(figure: Figure) -> np.ndarray:
    """The figure as H×W×4 bytes."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())


def same_picture(first: Figure, second: Figure) -> bool:
    """Whether two figures look the same, once they have one size."""
    original, size = first.canvas, second.get_size_inches()
    second.set_size_inches(first.get_size_inches())
    try:
        return np.array_equal(pixels(first), pixels(second))
    finally:
        first.set_canvas(original)
        second.set_size_inches(size)
