"""Marks come from the checks, whatever was handed in."""

import csv
import json
from pathlib import Path

import pytest

from deepcut_lib.classroom import marks
from deepcut_lib.classroom.marks import mark
from deepcut_lib.errors import DeepCutError
from deepcut_lib.lessons.common.verdict import save_answers
from deepcut_lib.lessons.features import checks

SETUP = "from deepcut_lib.lessons.features import checks"
CALLS = {"Exercise 1.1": "checks.check_grid(answer)", "Exercise 1.2": "checks.check_opposites(answer)"}
RIGHT = {"Exercise 1.1": "answer = (55, 79, 6528)", "Exercise 1.2": "answer = [[10, 1], [10, -1], [10, 0]]"}


def cell(kind: str, source: str, *tags: str) -> dict:
    return {"cell_type": kind, "metadata": {"tags": list(tags)}, "source": source}


def save(path: Path, cells: list[dict]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))


@pytest.fixture
def masters(tmp_path: Path) -> Path:
    cells = [cell("code", SETUP)]
    for title, call in CALLS.items():
        cells += [
            cell("markdown", f"### {title} · ★☆☆ · 3 minutes"),
            cell("code", f"answer = ...\n\n{call}", "exercise"),
            cell(
                "markdown",
                f"<details><summary>Solution</summary>\n\n```python\n{RIGHT[title]}\n```\n</details>",
            ),
        ]
    save(tmp_path / "masters" / "01.ipynb", cells)
    return tmp_path / "masters"


def answers(**replaced: str) -> list[dict]:
    return [
        cell("code", f"{replaced.get(call[13:17], RIGHT[title])}\n{call}") for title, call in CALLS.items()
    ]


def rows(path: Path) -> dict[tuple[str, str], dict[str, str]]:
    with path.open(newline="") as file:
        return {(row["submission"], row["exercise"]): row for row in csv.DictReader(file)}


def test_an_answer_harms_its_own_mark_alone() -> None:
    hostile = {
        "loops": "while True: pass",
        "exits": "import os; os._exit(0)",
        "leaves": "raise SystemExit",
        "prints": "print('x' * 2**28)\nanswer = 0",
        "eats": "answer = bytearray(2**33)",
        "forks": "import os\nif os.fork() == 0:\n    while True: pass\nanswer = 0",
        "swaps": "checks.check_grid = lambda answer: True\nanswer = 0",
        "right": RIGHT["Exercise 1.1"],
    }
    exercises = [
        {"title": name, "check": "check_grid", "call": CALLS["Exercise 1.1"], "source": source}
        for name, source in hostile.items()
    ]
    job = {"lesson": [SETUP], "own": [], "exercises": exercises, "seconds": 10, "megabytes": 1024}
    verdicts = dict(zip(hostile, marks._run(job), strict=True))
    assert [name for name, (passed, _) in verdicts.items() if passed] == ["right"], verdicts
    assert "still running" in verdicts["loops"][1]
    assert "MemoryError" in verdicts["eats"][1]


def test_odd_submissions_are_named(masters: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(marks, "_run", lambda job: [(True, "Right.")] * len(job["exercises"]))
    handed, out, right = tmp_path / "handed", tmp_path / "marks.csv", answers()
    save(handed / "=reordered" / "renamed.ipynb", right[::-1])
    save(handed / "removed" / "a.ipynb", right[:1])
    save(handed / "twice" / "a.ipynb", right)
    save(handed / "twice" / "a (1).ipynb", right)
    (handed / "picture.ipynb").write_bytes(b"\x89PNG\xff")
    (handed / "empty").mkdir()
    (handed / "answers.zip").write_bytes(b"PK")
    (handed / "twice" / "answers.json").write_text('{"check_grid": {"passed": false}}')
    lines = list(mark(handed, masters, out))
    table = rows(out)
    assert all(table["'=reordered/renamed.ipynb", title]["passed"] == "1" for title in CALLS)
    assert "no cell calls its check" in table["removed/a.ipynb", "Exercise 1.2"]["message"]
    assert sum("decide which" in line for line in lines) == 2
    assert all(
        "no notebook" in table[name, ""]["message"] for name in ("picture.ipynb", "empty", "answers.zip")
    )
    assert "says otherwise" in table["twice/a.ipynb", "Exercise 1.1"]["message"]
    assert "says otherwise" not in table["twice/a.ipynb", "Exercise 1.2"]["message"]


def test_an_interrupted_run_goes_on(masters: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    handed, out = tmp_path / "handed", tmp_path / "marks.csv"
    for name in ("=a", "b"):
        save(handed / f"{name}.ipynb", [*answers(), cell("code", f"name = '{name}'")])
    ran: list[dict] = []
    monkeypatch.setattr(marks, "_run", lambda job: ran.append(job) or [(True, "Right.")] * 2)
    run = mark(handed, masters, out)
    assert next(run) == "=a.ipynb: 2 of 2"
    run.close()
    assert list(mark(handed, masters, out)) == ["=a.ipynb: 2 of 2 (kept)", "b.ipynb: 2 of 2"]
    assert len(ran) == 2
    assert len(rows(out)) == 4
    assert list(mark(handed, masters, out, seconds=5)) == ["=a.ipynb: 2 of 2", "b.ipynb: 2 of 2"]


def test_another_file_is_not_overwritten(masters: Path, tmp_path: Path) -> None:
    save(tmp_path / "handed" / "a.ipynb", answers())
    (tmp_path / "other.csv").write_text("my,grades\n1,2\n")
    with pytest.raises(DeepCutError, match="no table of marks"):
        list(mark(tmp_path / "handed", masters, tmp_path / "other.csv"))


def test_answers_are_saved_by_one_call(tmp_path: Path) -> None:
    checks.check_grid((55, 79, 6528))
    saved = json.loads(save_answers(tmp_path / "answers.json").read_text())
    assert saved["check_grid"]["passed"] is True
