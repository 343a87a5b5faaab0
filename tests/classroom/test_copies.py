"""No solution is left in a student's copy; a teacher's has all of them, as cells that run."""

import re
from pathlib import Path

import pytest

from deepcut_lib.classroom.copies import student_copy, teacher_copy, write_copies
from deepcut_lib.classroom.exercises import exercises, read_notebook
from tests.conftest import ROOT

LESSONS = sorted(set((ROOT / "notebooks").glob("*.ipynb")) - {ROOT / "notebooks" / "00_start.ipynb"})


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_no_line_of_a_solution_is_left_for_students(path) -> None:
    master = read_notebook(path)
    copy = student_copy(master)
    text = "\n".join(cell["source"] for cell in copy["cells"])
    allowed = {
        line.strip()
        for cell in master["cells"]
        if cell["cell_type"] == "code"
        for line in cell["source"].splitlines()
    }
    stubs = [cell for cell in copy["cells"] if "exercise" in cell["metadata"].get("tags", [])]
    assert "<summary>Solution" not in text
    lines = [line.strip() for cell in copy["cells"] for line in cell["source"].splitlines()]
    prose = "\n".join(cell["source"] for cell in copy["cells"] if cell["cell_type"] == "markdown")
    for exercise, stub in zip(exercises(master), stubs, strict=True):
        secret = {line.strip() for line in exercise.solution.splitlines() if line.strip()} - allowed
        assert secret
        assert not secret & set(lines)
        assert not [line for line in secret if len(line) > 12 and line in prose]  # nor inside a hint
        assert stub["outputs"] == []
        with pytest.raises(NotImplementedError, match=exercise.title):
            exec(stub["source"], {})


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_teachers_get_solutions_as_cells_with_minutes(path) -> None:
    master = read_notebook(path)
    copy = teacher_copy(master)
    code = [cell["source"] for cell in copy["cells"] if cell["cell_type"] == "code"]
    notes = [cell["source"] for cell in copy["cells"] if cell["source"].startswith("**For the teacher.**")]
    for exercise, note in zip(exercises(master), notes, strict=True):
        assert any(exercise.solution.rstrip() in source and exercise.call in source for source in code)
        assert f"{exercise.minutes} minutes" in note
    assert sum("common mistakes" in note for note in notes) > len(notes) / 2


@pytest.mark.parametrize("where", ["class", "deep/er/class"])
def test_copies_find_the_data_from_wherever_they_lie(where: str, tmp_path: Path) -> None:
    masters = tmp_path / "notebooks"
    masters.mkdir()
    (tmp_path / "data").mkdir()
    (masters / LESSONS[0].name).write_bytes(LESSONS[0].read_bytes())
    for copy in write_copies(masters, tmp_path / where):
        cells = read_notebook(copy)["cells"]
        (path,) = {p for cell in cells for p in re.findall(r'Path\("([./]+data)"\)', cell["source"])}
        assert (copy.parent / path).resolve() == tmp_path / "data"
