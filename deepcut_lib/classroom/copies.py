"""One master notebook, two copies: without solutions for students, with them open for teachers."""

import ast
import importlib.util
import json
import os
import re
from copy import deepcopy
from pathlib import Path
from typing import Any

from deepcut_lib.classroom.exercises import CODE, FOLDED, exercises, read_notebook
from deepcut_lib.files import write_whole


def write_copies(masters: Path, out: Path) -> list[Path]:
    """Write `out`/student and `out`/teacher, one copy each of every notebook in `masters`.

    Raises:
        DeepCutError: a master cannot be read, or a copy cannot be written.
    """
    written = []
    for master in sorted(masters.glob("*.ipynb")):
        notebook = read_notebook(master)
        for name, made in (("student", student_copy(notebook)), ("teacher", teacher_copy(notebook))):
            copy = out / name / master.name
            write_whole(copy, json.dumps(_led_back(made, masters, copy), indent=1, ensure_ascii=False) + "\n")
            written.append(copy)
    return written


def student_copy(notebook: dict[str, Any]) -> dict[str, Any]:
    """The notebook without solutions; each stub first raises NotImplementedError."""
    copy = deepcopy(notebook)
    for exercise in exercises(copy):
        cell = copy["cells"][exercise.at]
        remedy = "solve it below, and delete this line"
        cell["source"] = f'raise NotImplementedError("{exercise.title}: {remedy}")\n\n{cell["source"]}'
        cell.update(outputs=[], execution_count=None)
    for cell in copy["cells"]:
        if cell["cell_type"] == "markdown":
            cell["source"] = FOLDED.sub("", cell["source"])
    copy["cells"] = [cell for cell in copy["cells"] if cell["source"].strip()]
    return copy


def teacher_copy(notebook: dict[str, Any]) -> dict[str, Any]:
    """The notebook with solutions in place of stubs; minutes and common slips stand above each."""
    copy = deepcopy(notebook)
    slips = _slips(copy)
    cells = copy["cells"]
    for exercise in reversed(exercises(copy)):
        cell = cells[exercise.at]
        cell["source"] = f"{exercise.solution.rstrip()}\n\n\n{exercise.call}"
        cell.update(outputs=[], execution_count=None)
        note = f"**For the teacher.** {exercise.title}: {exercise.minutes or 'no'} minutes planned."
        if known := slips.get(exercise.check):
            note += " What the check says of common mistakes:\n\n" + "\n".join(f"- {slip}" for slip in known)
        note_cell = {"cell_type": "markdown", "id": f"teacher-{exercise.at}", "metadata": {}, "source": note}
        cells.insert(exercise.at, note_cell)
    for cell in cells:
        if cell["cell_type"] == "markdown":
            cell["source"] = FOLDED.sub(lambda fold: CODE.sub("", fold[1]).strip() + "\n\n", cell["source"])
    copy["cells"] = [cell for cell in cells if cell["source"].strip()]
    return copy


def _slips(notebook: dict[str, Any]) -> dict[str, list[str]]:
    """What each check of the notebook can say of a wrong answer; `…` stands for what depends on it."""
    code = "\n".join(cell["source"] for cell in notebook["cells"] if cell["cell_type"] == "code")
    module = re.search(r"^from (deepcut_lib\.lessons\.\w+) import .*\bchecks\b", code, re.M)
    spec = importlib.util.find_spec(f"{module[1]}.checks") if module else None
    if spec is None or spec.origin is None:
        return {}
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    return {
        function.name: list(dict.fromkeys(filter(None, map(_text, _messages(function)))))
        for function in tree.body
        if isinstance(function, ast.FunctionDef)
    }


def _messages(function: ast.FunctionDef) -> list[ast.expr]:
    found: list[ast.expr] = []
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id == "NotYetError":
                found += node.args[:1]
            elif node.func.id == "agree":
                found += node.args[2:3]
        elif isinstance(node, ast.Dict):
            found += node.values
    return found


def _text(node: ast.expr) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
        return node.value
    if isinstance(node, ast.JoinedStr):
        parts = [str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values]
        return "".join(parts)
    return ""


def _led_back(notebook: dict[str, Any], masters: Path, copy: Path) -> dict[str, Any]:
    """Paths out of the folder of the masters, such as that of data/, as they are from where the copy lies."""
    out = Path(os.path.relpath(masters.resolve().parent, copy.resolve().parent)).as_posix()
    for cell in notebook["cells"]:
        cell["source"] = re.sub(r"(\]\(|[\"'])\.\./", lambda found: f"{found[1]}{out}/", cell["source"])
    return notebook
