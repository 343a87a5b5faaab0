"""The exercises of a notebook: task, stub, check and solution, as its tags and its structure give them."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deepcut_lib.errors import DeepCutError

FOLDED = re.compile(r"<details>\s*<summary>Solution</summary>(.*?)</details>\n*", re.S)
CODE = re.compile(r"```python\n(.*?)```\n*", re.S)
CHECK = re.compile(r"^checks\.(check_\w+)\(.*\)\s*$", re.M)


@dataclass(frozen=True)
class Exercise:
    """One exercise.

    Attributes:
        title: such as "Exercise 1.1".
        minutes: what its card says, or None.
        at: the index of its stub among the notebook's cells.
        check: the name of the function that checks it.
        call: the line that calls the check.
        solution: the code of its solution.
    """

    title: str
    minutes: int | None
    at: int
    check: str
    call: str
    solution: str


def read_notebook(path: Path) -> dict[str, Any]:
    """A notebook's JSON, with each cell's source as one text.

    Raises:
        DeepCutError: the file cannot be read, or is no notebook.
    """
    try:
        notebook = json.loads(path.read_text(encoding="utf-8"))
        for cell in notebook["cells"]:
            cell["source"] = "".join(cell["source"])
            cell["metadata"] = dict(cell.get("metadata", {}))
            cell["cell_type"] = str(cell["cell_type"])
    except OSError as error:
        raise DeepCutError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise DeepCutError(f"{path}: this is no notebook; hand in the .ipynb file itself") from error
    return dict(notebook)


def exercises(notebook: dict[str, Any]) -> list[Exercise]:
    """The exercises of a master notebook, in order.

    Raises:
        DeepCutError: a cell tagged `exercise` calls no check, or no folded solution follows it.
    """
    cells = notebook["cells"]
    found = []
    for at, cell in enumerate(cells):
        if "exercise" not in cell["metadata"].get("tags", []):
            continue
        calls = list(CHECK.finditer(cell["source"]))
        card = cells[at - 1]["source"] if at else ""
        title = re.search(r"^#+ (Exercise [\d.]*\d)(?:.*?(\d+) minutes)?", card, re.M)
        name = title[1] if title else f"Exercise in cell {at}"
        code = []
        for following in cells[at + 1 :]:
            if following["cell_type"] != "markdown":
                break
            code += [block for fold in FOLDED.findall(following["source"]) for block in CODE.findall(fold)]
        if not calls or not code:
            raise DeepCutError(f"{name}: its cell must end with a check, and a folded solution must follow")
        minutes = int(title[2]) if title and title[2] else None
        found.append(Exercise(name, minutes, at, calls[-1][1], calls[-1][0].strip(), "".join(code)))
    return found
