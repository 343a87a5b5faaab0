"""Slides for the projector: the saved notebooks through nbconvert and reveal.js, without a net.

    python -m docs.slides notebooks/*.ipynb --out slides

Every heading begins a slide, every figure has one of its own, and what is too long for one goes on below it.
Captions become the speaker's notes (key S); of exercises the task stays; imports, hints and solutions do not.
"""

import argparse
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import nbformat
from nbconvert import SlidesExporter
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output

from docs.reading import figures, prepare, without_caption

TEMPLATES = Path(__file__).resolve().parent

WIDTH, HEIGHT = 1280, 720
"""Pixels of a slide."""

ROOM = 620
"""Pixels of its height that may be filled."""

_COLUMNS = 98
"""Letters in a line of text, as `slides_template/slides.css` sets it."""

_LINE, _CODE_LINE, _HEADING, _MATH, _GAP = 33, 22, 66, 84, 16
"""Pixels of a line of text, of code, of a heading, of a displayed formula, and between paragraphs."""


@dataclass
class Piece:
    """What is not divided further: a paragraph, a cell of code with what it printed, a figure."""

    cell: NotebookNode
    height: int
    begins: str = ""
    """`slide` to the right, `subslide` below, `notes` or nothing."""


def slides_of(notebook: NotebookNode) -> NotebookNode:
    """A notebook whose cells are slides.

    Args:
        notebook: as saved; it is changed.
    """
    full, cells = ROOM, []
    for piece in _pieces(prepare(notebook)):
        kind = piece.begins
        if kind != "notes":
            fits = full + piece.height <= ROOM
            kind = kind or ("-" if fits else "subslide")
            full = piece.height if kind != "-" else full + piece.height
        if kind == "-" and cells and piece.cell.cell_type == cells[-1].cell_type == "markdown":
            cells[-1].source += "\n\n" + piece.cell.source
            continue
        piece.cell.metadata["slideshow"] = {"slide_type": kind}
        cells.append(piece.cell)
    if cells:
        cells[0].metadata["slideshow"] = {"slide_type": "slide"}
    notebook.cells = cells
    return notebook


def _pieces(notebook: NotebookNode) -> Iterator[Piece]:
    words = {id(cell): text for cell, text in figures(notebook)}
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            yield from _paragraphs(without_caption(cell.source))
        elif cell.cell_type == "code" and "%matplotlib" not in cell.source:
            yield from _code(cell)
            if words.get(id(cell)):
                yield Piece(new_markdown_cell(words[id(cell)]), 0, "notes")


def _paragraphs(text: str) -> Iterator[Piece]:
    text = re.sub(r"<details>.*?</details>", "", text, flags=re.S)
    headings: list[str] = []
    for block in _blocks(text):
        heading = re.match(r"(#+) ", block)
        if heading and "\n" not in block:
            headings.append(block)
            continue
        if heading:
            first, _, block = block.partition("\n")
            headings.append(first)
        yield _text_piece(headings, block)
        headings = []
    if headings:
        yield _text_piece(headings, "")


def _text_piece(headings: list[str], block: str) -> Piece:
    """A paragraph with the headings above it, which never stand alone at the foot of a slide."""
    levels = [len(heading) - len(heading.lstrip("#")) for heading in headings]
    begins = "" if not levels else "slide" if min(levels) <= 2 else "subslide"
    text = "\n\n".join([*headings, block]).strip()
    return Piece(new_markdown_cell(text), len(headings) * _HEADING + _height(block), begins)


def _blocks(text: str) -> Iterator[str]:
    """Paragraphs of Markdown, with fenced code in one piece."""
    block: list[str] = []
    fenced = False
    for line in [*text.split("\n"), ""]:
        fenced ^= line.lstrip().startswith("```")
        if line.strip() or fenced:
            block.append(line)
        elif block:
            yield "\n".join(block)
            block = []
    if block:  # a fence that was never closed
        yield "\n".join(block)


def _height(block: str) -> int:
    if "$$" in block:
        return _MATH + _LINE * max(block.count("\\\\"), len(block.split("\n")) - 3, 0)
    lines = block.split("\n")
    if lines[0].startswith("```"):
        return _CODE_LINE * len(lines) + _GAP
    if re.match(r"[-*|]|\d+\.", lines[0]):  # a list or a table: no line joins the one above
        return sum(_LINE * -(-len(line) // _COLUMNS) for line in lines) + _GAP
    return _LINE * -(-len(" ".join(lines)) // _COLUMNS) + _GAP


def _code(cell: NotebookNode) -> Iterator[Piece]:
    pictures = [output for output in cell.outputs if _is_picture(output)]
    printed = [output for output in cell.outputs if not _is_picture(output)]
    lines = len(cell.source.split("\n")) + sum(len(_text(output).split("\n")) for output in printed)
    shown = new_code_cell(cell.source, outputs=printed, execution_count=cell.execution_count)
    yield Piece(shown, _CODE_LINE * lines + 2 * _GAP)
    for picture in pictures:
        alone = new_code_cell(
            "", outputs=[new_output("display_data", picture.data, metadata=picture.metadata)]
        )
        alone.metadata["transient"] = {"remove_source": True}
        yield Piece(alone, ROOM, "subslide")


def _is_picture(output: NotebookNode) -> bool:
    return any(kind.startswith("image/") for kind in output.get("data", {}))


def _text(output: NotebookNode) -> str:
    text: str = output.get("text") or output.get("data", {}).get("text/plain", "")
    return text.rstrip()


def title_of(notebook: NotebookNode, otherwise: str) -> str:
    """The first heading of a notebook."""
    found = re.search(r"^# (.+)$", "\n".join(cell.source for cell in notebook.cells[:1]), re.M)
    return found[1] if found else otherwise


def write_slides(notebooks: list[Path], out: Path) -> list[Path]:
    """Write NAME.html for each notebook, an index, and beside them what they load: reveal.js and MathJax.

    Args:
        notebooks: saved with their outputs.
        out: a folder; made if need be.

    Returns:
        the pages, the index first.
    """
    out.mkdir(parents=True, exist_ok=True)
    for name, source in ASSETS.items():
        shutil.copytree(source, out / name, dirs_exist_ok=True)
    exporter = SlidesExporter(
        template_name="slides_template",
        extra_template_basedirs=[str(TEMPLATES)],
        reveal_url_prefix="reveal",
        reveal_theme="white",
        exclude_anchor_links=True,
    )
    pages, titles = [], []
    for path in notebooks:
        notebook = nbformat.read(path, as_version=4)
        title = title_of(notebook, path.stem)
        notebook = slides_of(notebook)
        notebook.metadata["title"] = title
        page, _ = exporter.from_notebook_node(notebook, {"metadata": {"name": path.stem}})
        pages.append(out / f"{path.stem}.html")
        pages[-1].write_text(_to_pages(page), encoding="utf-8")
        titles.append(title)
    entries = "\n".join(
        f'<li><a href="{page.name}">{title}</a></li>' for page, title in zip(pages, titles, strict=True)
    )
    index = out / "index.html"
    index.write_text((TEMPLATES / "slides_template" / "list.html").read_text().replace("ENTRIES", entries))
    return [index, *pages]


def _static(package: str, *folders: str) -> Path:
    return Path(str(files(package).joinpath(*folders)))


ASSETS = {
    "reveal": _static("sphinx_revealjs", "_static", "revealjs"),
    "mathjax": _static("jupyter_server_mathjax", "static"),
}
"""What slides load, from the packages that carry it."""


def _to_pages(page: str) -> str:
    """Links to other notebooks lead to their slides; of those to other files the words stay."""
    page = re.sub(r'href="(\w+)\.ipynb"', r'href="\1.html"', page)
    return re.sub(r'<a href="\.\./[^"]*"[^>]*>(.*?)</a>', r"\1", page, flags=re.S)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m docs.slides", description="Slides from saved notebooks.")
    parser.add_argument("notebooks", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, default=Path("slides"), help="a folder (default: slides)")
    options = parser.parse_args()
    index, *pages = write_slides(options.notebooks, options.out)
    print(f"{len(pages)} lessons; open {index}")


if __name__ == "__main__":
    main()
