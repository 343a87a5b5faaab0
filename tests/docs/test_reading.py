"""A notebook made ready to be read without a kernel."""

from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from docs.reading import caption, figures, prepare
from tests.conftest import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def small_notebook() -> NotebookNode:
    """A heading, an explorer with its saved picture, and a caption."""
    explorer = new_output(
        "display_data",
        {
            "application/vnd.jupyter.widget-view+json": {"model_id": "none", "version_major": 2},
            "image/png": PIXEL,
            "text/plain": "Explorer(…)",
        },
    )
    return new_notebook(
        cells=[
            new_markdown_cell("# A lesson\n\nWhat is $W$?\n\n<textarea rows='1'></textarea>"),
            new_code_cell("explore()", outputs=[explorer]),
            new_markdown_cell('*Figure: a `duck` with "its" mask, $K=2$,\nby hand.*\n\nWords.'),
        ],
        metadata={"widgets": {}, "language_info": {"name": "python", "pygments_lexer": "python"}},
    )


def test_captions_become_alternative_text_and_nothing_needs_a_kernel() -> None:
    prepared = prepare(small_notebook())
    words = 'a duck with "its" mask, K=2, by hand.'
    assert prepared.cells[1].metadata["mystnb"]["image"]["alt"] == words
    assert prepared.cells[1].outputs[0].metadata.alt == words
    assert set(prepared.cells[1].outputs[0].data) == {"image/png", "text/plain"}
    assert "widgets" not in prepared.metadata
    assert "textarea" not in prepared.cells[0].source
    assert prepared.cells[2].source.startswith("*Figure")  # who sees reads it, too


def test_of_several_pictures_of_one_figure_one_stays() -> None:
    notebook = small_notebook()
    notebook.cells[1].outputs[0].data["image/svg+xml"] = "<svg/>"
    assert set(prepare(notebook).cells[1].outputs[0].data) == {"image/png", "text/plain"}


@pytest.mark.parametrize("text", ["Words.", "Figure: words.", "Words. *Figure: a duck.*"])
def test_a_text_that_does_not_begin_with_a_caption_has_none(text: str) -> None:
    assert caption(text) is None


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_figure_has_alternative_text(path: Path) -> None:
    found = list(figures(nbformat.read(path, as_version=4)))
    assert found
    assert [cell.source for cell, words in found if not words] == []
