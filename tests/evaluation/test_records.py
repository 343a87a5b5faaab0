"""A results file that is cut off, full, foreign, or made otherwise."""

import errno
from pathlib import Path
from typing import Any

import pytest

from deepcut_lib.errors import DeepCutError
from deepcut_lib.evaluation.records import Records, Row

SETTINGS = {"backbone": "pixels", "size": (1, 2)}


def row(image: str) -> Row:
    return {"method": "ncut", "seed": 0, "image": image}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "deep" / "rows.jsonl"
    Records(path, SETTINGS).append([row("one"), row("zwölf")])
    return path


def test_rows_come_back(file: Path) -> None:
    records = Records(file, SETTINGS)
    assert list(records.rows()) == [row("one"), row("zwölf")]
    records.append([])
    assert len(file.read_text().splitlines()) == 3


@pytest.mark.parametrize("torn", ['{"image": "thr', '{"image": "three"}', "x" * 200_000])
def test_a_torn_line_is_taken_off(file: Path, torn: str) -> None:
    with file.open("a") as stream:
        stream.write(torn)
    records = Records(file, SETTINGS)
    records.append([row("four")])
    assert [one["image"] for one in records.rows()] == ["one", "zwölf", "four"]


def test_a_file_that_is_all_torn_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"settings": ')
    assert list(Records(tmp_path / "rows.jsonl", SETTINGS).rows()) == []


def test_other_settings_are_named(file: Path) -> None:
    with pytest.raises(DeepCutError, match=r"backbone 'pixels' instead of 'tiny_vit'.*--overwrite"):
        Records(file, {**SETTINGS, "backbone": "tiny_vit"})
    anew = Records(file, {**SETTINGS, "backbone": "tiny_vit"}, overwrite=True)
    assert list(anew.rows()) == []


def test_rows_made_of_something_else_are_set_aside(file: Path) -> None:
    first = Records(file, SETTINGS, {"weights": "a"})
    assert list(first.rows()) == []  # the file's rows do not say what they were made of
    first.append([row("two")])
    assert list(Records(file, SETTINGS, {"weights": "a"}).rows()) == [row("two")]
    assert list(Records(file, SETTINGS, {"weights": "b"}).rows()) == []
    kept = sorted(path.name for path in file.parent.iterdir())
    assert kept == ["rows.earlier1.jsonl", "rows.earlier2.jsonl", "rows.jsonl"]
    assert "two" in (file.parent / "rows.earlier2.jsonl").read_text()


def test_rows_that_are_no_longer_wanted_are_left_out(file: Path) -> None:
    records = Records(file, SETTINGS)
    records.keep(lambda found: found["image"] != "one")
    records.append([row("three")])
    assert [one["image"] for one in Records(file, SETTINGS).rows()] == ["zwölf", "three"]


def test_foreign_and_damaged_files_are_named(file: Path) -> None:
    lines = file.read_text().splitlines()
    file.write_text("\n".join([lines[0], "noise", lines[2]]) + "\n")
    with pytest.raises(DeepCutError, match="line 2 cannot be read"):
        list(Records(file, SETTINGS).rows())
    for line in ("[1]", '{"method": "ncut"}', "\xff"):
        file.write_text("\n".join([lines[0], line]) + "\n", encoding="latin-1")
        with pytest.raises(DeepCutError, match="line 2 cannot be read"):
            list(Records(file, SETTINGS).rows())
    for foreign in ("a,b\n1,2\n", "[1]\n", '{"a": 1}\n'):
        file.write_text(foreign)
        with pytest.raises(DeepCutError, match="not a results file"):
            Records(file, SETTINGS)


def test_a_full_disk_leaves_whole_rows(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records = Records(file, SETTINGS)
    opened = Path.open

    def full(self: Path, mode: str = "r", **options: Any) -> Any:
        stream = opened(self, mode, **options)
        if mode == "a":
            write = stream.write

            def fail(text: str) -> int:
                write(text[:5])
                stream.flush()
                raise OSError(errno.ENOSPC, "No space left on device")

            monkeypatch.setattr(stream, "write", fail, raising=False)
        return stream

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", full)
        with pytest.raises(DeepCutError, match=r"could not be written \(No space left.*free some space"):
            records.append([row("three")])
    assert [one["image"] for one in records.rows()] == ["one", "zwölf"]
