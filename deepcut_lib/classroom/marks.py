"""Marks: the checks of the lessons, run again on notebooks that were handed in."""

import csv
import hashlib
import io
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from deepcut_lib.classroom.exercises import CHECK, Exercise, exercises, read_notebook
from deepcut_lib.errors import DeepCutError
from deepcut_lib.files import printable, sha256, write_whole

FORMULAS = ("=", "+", "-", "@")
COLUMNS = ("submission", "sha256", "terms", "lesson", "exercise", "passed", "message")


def mark(
    folder: Path, masters: Path, out: Path, *, seconds: float = 60, megabytes: int = 2048
) -> Iterator[str]:
    """Mark every notebook under a folder; `out` is rewritten after each, and a later run goes on from there.

    A notebook whose content is in `out` already, marked by the same lessons, checks and limits, is not run
    again. What lies in the folder and holds no notebook is named, and gets a row without marks.

    Args:
        folder: where the submissions lie, in folders of their own or not.
        masters: the lessons.
        out: the CSV to write, a row for each exercise of each submission.
        seconds: what one exercise may take.
        megabytes: the memory that one exercise may take beyond the lesson's; on Linux only.

    Yields:
        One line on each submission.

    Raises:
        DeepCutError: there is nothing to mark, or the system cannot run it.
    """
    if os.name != "posix":
        raise DeepCutError("marks need Linux or macOS, which can limit a process; on Windows use WSL")
    files = [path for path in sorted(folder.rglob("*.ipynb")) if ".ipynb_checkpoints" not in path.parts]
    if not files:
        raise DeepCutError(f"{folder}: no notebooks there; name the folder with what students handed in")
    lessons = {path.stem: read_notebook(path) for path in sorted(masters.glob("*.ipynb"))}
    known = {stem: exercises(notebook) for stem, notebook in lessons.items()}
    terms = _terms(lessons, seconds, megabytes)
    before = _kept(out)
    names = Counter((path.parent, _lesson_of(path, known)) for path in files)
    rows: list[dict[str, str]] = []
    for other in _without_notebooks(folder, files):
        nothing = _row("", False, "no notebook (.ipynb) in it; not marked")
        rows.append(dict.fromkeys(COLUMNS, "") | {"submission": printable(other.name)} | nothing)
        yield f"{printable(other.name)}: {nothing['message']}"
    for path in files:
        key = {"submission": printable(path.relative_to(folder)), "sha256": sha256(path), "terms": terms}
        name = key["submission"]
        done = [row for row in before if key.items() <= row.items()]
        lesson = _lesson_of(path, known)
        own = done or [
            {**key, "lesson": lesson, **row}
            for row in _judged(path, lesson, lessons, known, seconds, megabytes)
        ]
        rows += own
        pending = [row for row in before if row["submission"] not in {row["submission"] for row in rows}]
        write_whole(out, _table(rows + pending))
        line = f"{name}: {sum(row['passed'] == '1' for row in own)} of {len(own)}"
        if not lesson:
            line = f"{name}: {own[0]['message']}"
        elif path.parent != folder and names[path.parent, lesson] > 1:
            line += f"; {names[path.parent, lesson]} notebooks here are of {lesson}: decide which counts"
        yield line + (" (kept)" if done else "")
    write_whole(out, _table(rows))


def _terms(lessons: dict[str, dict[str, Any]], seconds: float, megabytes: int) -> str:
    """What marks depend on besides the submission, in short."""
    code = sorted(Path(__file__).resolve().parents[1].glob("lessons/*/*.py"))
    parts = [json.dumps([lessons, seconds, megabytes]).encode(), *(path.read_bytes() for path in code)]
    return hashlib.sha256(b"".join(parts)).hexdigest()[:12]


def _without_notebooks(folder: Path, files: list[Path]) -> list[Path]:
    """What lies directly in the folder, is not hidden, and neither is nor holds one of the notebooks."""
    holding = {path.relative_to(folder).parts[0] for path in files}
    own = (path for path in sorted(folder.iterdir()) if not path.name.startswith("."))
    return [path for path in own if path.name not in {*holding, "answers.json"}]


def _lesson_of(path: Path, known: dict[str, list[Exercise]]) -> str:
    """The lesson whose checks a notebook calls most; an empty name if it calls none, or is no notebook."""
    try:
        called = {name for cell in read_notebook(path)["cells"] for name in CHECK.findall(cell["source"])}
    except DeepCutError:
        return ""
    shared = {stem: len(called & {one.check for one in its}) for stem, its in known.items()}
    best = max(shared, key=lambda stem: shared[stem], default="")
    return best if shared.get(best) else ""


def _judged(
    path: Path,
    lesson: str,
    lessons: dict[str, dict[str, Any]],
    known: dict[str, list[Exercise]],
    seconds: float,
    megabytes: int,
) -> list[dict[str, str]]:
    try:
        cells = [cell for cell in read_notebook(path)["cells"] if cell["cell_type"] == "code"]
    except DeepCutError as error:
        return [_row("", False, str(error).removeprefix(f"{path}: "))]
    if not lesson:
        return [_row("", False, "no cell of it calls a check of any lesson: is it the right notebook?")]
    answers: dict[str, list[str]] = {}
    for cell in cells:
        for name in CHECK.findall(cell["source"]):
            answers.setdefault(name, []).append(CHECK.sub("", cell["source"]))
    wanted = [one for one in known[lesson] if one.check in answers]
    job = {
        "lesson": [
            cell["source"]
            for at, cell in enumerate(lessons[lesson]["cells"])
            if cell["cell_type"] == "code" and at not in {one.at for one in known[lesson]}
        ],
        "own": [cell["source"] for cell in cells if not CHECK.search(cell["source"])],
        "exercises": [
            {"title": one.title, "check": one.check, "call": one.call, "source": answers[one.check][-1]}
            for one in wanted
        ],
        "seconds": seconds,
        "megabytes": megabytes,
    }
    claims = _claims(path.parent / "answers.json")
    verdicts = dict(zip((one.check for one in wanted), _run(job), strict=False))
    rows = []
    for one in known[lesson]:
        missing = (
            "no cell calls its check" if one.check not in answers else "its process was ended from within"
        )
        passed, message = verdicts.get(one.check, (False, f"{missing}; not marked"))
        if len(answers.get(one.check, [])) > 1:
            message += " (Several cells call this check; the last one counts.)"
        if claims.get(one.check, passed) != passed:
            message += " (answers.json beside it says otherwise.)"
        rows.append(_row(one.title, passed, message))
    return rows


def _claims(path: Path) -> dict[str, bool]:
    """Which checks a student's `answers.json` calls passed; none if the file is missing or damaged."""
    try:
        return {str(name): bool(one["passed"]) for name, one in json.loads(path.read_text("utf-8")).items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return {}


def _run(job: dict[str, Any]) -> list[tuple[bool, str]]:
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    package = str(Path(__file__).resolve().parents[2])
    paths = os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH"))))
    with tempfile.TemporaryDirectory() as place:
        try:
            ended = subprocess.run(
                [sys.executable, "-m", "deepcut_lib.classroom.worker"],
                input=json.dumps(job).encode(),
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd=place,
                env={**os.environ, **one_thread, "HOME": place, "MPLBACKEND": "agg", "PYTHONPATH": paths},
                timeout=120 + (job["seconds"] + 5) * len(job["exercises"]),
            ).stdout
        except subprocess.TimeoutExpired as error:
            ended = error.stdout or b""
    return [(bool(passed), str(message)) for passed, message in map(json.loads, ended.splitlines())]


def _row(exercise: str, passed: bool, message: str) -> dict[str, str]:
    return {"exercise": exercise, "passed": str(int(passed)), "message": printable(message)}


def _table(rows: list[dict[str, str]]) -> str:
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, COLUMNS)
    table.writeheader()
    for row in rows:  # no cell may begin a formula, whatever a student called it
        table.writerow({k: f"'{v}" if v.startswith(FORMULAS) else v for k, v in row.items()})
    return text.getvalue()


def _kept(out: Path) -> list[dict[str, str]]:
    try:
        with out.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except FileNotFoundError:
        return []
    except (OSError, ValueError, csv.Error) as error:
        raise DeepCutError(f"{out}: cannot be read ({error}); give another file as --out") from error
    if any(set(row) != set(COLUMNS) or None in row.values() for row in rows):
        raise DeepCutError(f"{out}: is no table of marks; give another file as --out")
    for row in rows:  # undo what `_table` put before formulas, or these marks are not found again
        row.update({k: v[1:] for k, v in row.items() if v[:1] == "'" and v[1:].startswith(FORMULAS)})
    return rows
