"""Slides: what stands on them, and that they load nothing from the net."""

from html import unescape
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

pytest.importorskip("sphinx_revealjs", reason="the extra `site` is not installed")
pytest.importorskip("jupyter_server_mathjax", reason="the extra `site` is not installed")

from docs.links import faults
from docs.slides import slides_of, write_slides
from tests.docs.test_reading import small_notebook


def kinds(*cells: nbformat.NotebookNode) -> list[tuple[str, str]]:
    """Each slide cell's kind, and how its source begins."""
    return [
        (cell.metadata.slideshow.slide_type, cell.source[:12])
        for cell in slides_of(new_notebook(cells=list(cells))).cells
    ]


def test_slides_load_nothing_from_the_net(tmp_path: Path) -> None:
    nbformat.write(small_notebook(), tmp_path / "small.ipynb")
    index, page = write_slides([tmp_path / "small.ipynb"], tmp_path / "slides")
    assert list(faults(tmp_path / "slides")) == []
    text = page.read_text(encoding="utf-8")
    assert 'a duck with "its" mask, K=2, by hand.' in unescape(text)
    assert "<title>A lesson slides</title>" in text
    assert ">A lesson</a>" in index.read_text(encoding="utf-8")


def test_headings_go_right_figures_below_and_captions_to_the_notes() -> None:
    found = slides_of(small_notebook()).cells
    assert [cell.metadata.slideshow.slide_type for cell in found] == [
        "slide",
        "-",
        "subslide",
        "notes",
        "subslide",
    ]
    assert found[2].source == ""
    assert found[3].source.startswith("a duck")


def test_a_long_text_goes_on_below_and_a_heading_keeps_company() -> None:
    long = "\n\n".join(["Words. " * 80] * 5)
    found = kinds(new_markdown_cell(f"# One\n\n{long}\n\n## Two\n\n### Three\n\nWords."))
    assert {kind for kind, _ in found[1:-1]} == {"subslide"}
    assert found[-1] == ("slide", "## Two\n\n### ")


def test_solutions_hints_and_imports_are_left_out() -> None:
    found = kinds(
        new_markdown_cell("## Exercise\n\nTask.\n\n<details><summary>Hint 1</summary>\n\nhelp\n\n</details>"),
        new_code_cell("%matplotlib inline\nimport torch"),
        new_code_cell("answer = ..."),
        new_markdown_cell("<details><summary>Solution</summary>\n\n```python\nanswer = 1\n```\n\n</details>"),
    )
    assert found == [("slide", "## Exercise\n"), ("-", "answer = ...")]


def test_code_stays_with_what_it_printed() -> None:
    printed = new_output("stream", name="stdout", text="1\n2\n")
    found = slides_of(new_notebook(cells=[new_code_cell("print()", outputs=[printed])])).cells
    assert len(found) == 1
    assert found[0].outputs[0].text == "1\n2\n"
