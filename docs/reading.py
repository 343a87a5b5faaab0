"""A saved notebook made ready to be read without a kernel."""

import re
from collections.abc import Iterator
from itertools import pairwise

from nbformat import NotebookNode

PICTURES = ("image/png", "image/jpeg", "image/svg+xml")
"""Kinds of saved figures; of several, the first stays."""

_CAPTION = re.compile(r"\*Figure: (.+?)\*(?:\n|$)", re.S)
_BOX = re.compile(r"<textarea\b.*?</textarea>\n?", re.S)


def caption(text: str) -> str | None:
    """The words below a figure, ``*Figure: …*``, without marks; None if a text does not begin with them."""
    found = _CAPTION.match(text)
    return None if found is None else " ".join(re.sub(r"[`$*]|\\(?=\w)", "", found[1]).split())


def without_caption(text: str) -> str:
    """A text without the caption that it begins with."""
    return _CAPTION.sub("", text, count=1) if _CAPTION.match(text) else text


def figures(notebook: NotebookNode) -> Iterator[tuple[NotebookNode, str | None]]:
    """Cells with a saved figure, each with its caption: what the next cell begins with."""
    for cell, following in pairwise([*notebook.cells, NotebookNode(cell_type="markdown", source="")]):
        if any(kind in output.get("data", {}) for output in cell.get("outputs", []) for kind in PICTURES):
            yield cell, caption(following.source) if following.cell_type == "markdown" else None


def prepare(notebook: NotebookNode) -> NotebookNode:
    """Give every figure its caption as alternative text, and leave nothing that needs a kernel; in place.

    Explorers become their last picture, and boxes to write a guess into go. The alternative text stands where
    MyST-NB looks for it (the cell's metadata) and where our slides do (the output's).
    """
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = _BOX.sub("", cell.source)
        for output in cell.get("outputs", []):
            _keep_one_picture(output)
    for cell, words in figures(notebook):
        if words is not None:
            cell.metadata.setdefault("mystnb", {})["image"] = {"alt": words}
            for output in cell.outputs:
                if "data" in output:
                    output.setdefault("metadata", {})["alt"] = words
    return notebook


def _keep_one_picture(output: NotebookNode) -> None:
    data = output.get("data", {})
    best = next((kind for kind in PICTURES if kind in data), None)
    for kind in list(data):
        if "widget" in kind or (kind in PICTURES and kind != best):
            del data[kind]
