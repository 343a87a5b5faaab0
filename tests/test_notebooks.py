"""Each notebook runs from clean, is saved complete and clean, and its exercises can be solved."""

import re
from itertools import takewhile
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode

from deepcut_lib.classroom.copies import student_copy, teacher_copy
from tests.conftest import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LESSONS = [path for path in NOTEBOOKS if path.stem != "00_start"]
PRIVATE = re.compile(r"(?<![.\w])/(home|root|tmp|work|Users)/")


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request: pytest.FixtureRequest) -> NotebookNode:
    return nbformat.read(request.param, as_version=4)


@pytest.fixture(params=LESSONS, ids=lambda path: path.stem)
def lesson(request: pytest.FixtureRequest) -> NotebookNode:
    return nbformat.read(request.param, as_version=4)


def outputs(notebook: NotebookNode) -> list[NotebookNode]:
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


def shows_picture(cell: NotebookNode) -> bool:
    return any(
        kind.startswith("image/") for output in cell.get("outputs", []) for kind in output.get("data", {})
    )


def tagged(notebook: NotebookNode, tag: str) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if tag in cell.metadata.get("tags", [])]


def result(cell: NotebookNode) -> str:
    """What the cell's last expression shows as text."""
    shown = [output.data.get("text/plain", "") for output in cell.outputs if "data" in output]
    return shown[-1] if shown else ""


def before_exercises(notebook: NotebookNode) -> list[str]:
    """The code that runs before the first exercise."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return [cell.source for cell in takewhile(lambda c: "exercise" not in c.metadata.get("tags", []), code)]


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_the_teachers_copy_runs_to_the_end_and_the_students_to_its_first_stub(notebook: NotebookNode) -> None:
    copy = nbformat.from_dict(teacher_copy(notebook))
    assert before_exercises(nbformat.from_dict(student_copy(notebook))) == before_exercises(copy)
    stubs, solutions = tagged(notebook, "exercise"), tagged(copy, "exercise")
    for stub, solution in zip(stubs, solutions, strict=True):
        copy.cells.insert(copy.cells.index(solution), stub)
    NotebookClient(copy, timeout=900, resources={"metadata": {"path": str(ROOT / "notebooks")}}).execute()
    assert [output.text for output in outputs(copy) if output.get("name") == "stderr"] == []
    for stub, solution in zip(stubs, solutions, strict=True):
        assert result(stub).startswith("Not yet. "), stub.source
        assert len(result(stub)) > 40
        assert result(solution).startswith("Right. "), result(solution) + solution.source


def test_is_saved_complete_and_clean(notebook: NotebookNode) -> None:
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    assert "version" in notebook.metadata.language_info
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    kinds = {output.output_type for output in outputs(notebook)}
    assert kinds
    assert "error" not in kinds
    assert not [output for output in outputs(notebook) if output.get("name") == "stderr"]
    texts = [cell.source for cell in notebook.cells]
    for output in outputs(notebook):
        texts.append(output.get("text", ""))
        texts += [text for kind, text in output.get("data", {}).items() if kind.startswith("text/")]
    assert not PRIVATE.search("\n".join(texts))
    assert len(nbformat.writes(notebook)) < 3_000_000


def test_every_figure_is_described_below_it(notebook: NotebookNode) -> None:
    for cell, following in zip(notebook.cells, [*notebook.cells[1:], None], strict=True):
        if shows_picture(cell):
            assert following is not None and following.cell_type == "markdown", cell.source
            caption = re.match(r"\*Figure: (.{80,}?)\*(\n|$)", following.source, re.S)
            assert caption, f"no caption, or a short one, below:\n{cell.source}"
            assert "ackbone" in caption[1] or "by hand" in caption[1], caption[1]


def test_a_lesson_has_an_explorer_a_thumbnail_and_exercises(lesson: NotebookNode) -> None:
    assert tagged(lesson, "explorer")
    assert len(tagged(lesson, "thumbnail")) == 1
    assert shows_picture(tagged(lesson, "thumbnail")[0])
    stubs = tagged(lesson, "exercise")
    assert len(stubs) >= 4
    assert sum("def " in stub.source for stub in stubs) >= 3
    for stub in stubs:
        task = lesson.cells[lesson.cells.index(stub) - 1].source
        assert re.match(r"### Exercise \d+\.\d · [★☆]{3} · \d+ minutes", task), task
        assert "<summary>Hint 1</summary>" in task


def test_links_lead_somewhere(notebook: NotebookNode) -> None:
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            for link in re.findall(r"\]\(([^)#:]+)\)", cell.source):
                assert (ROOT / "notebooks" / Path(link)).exists(), link
