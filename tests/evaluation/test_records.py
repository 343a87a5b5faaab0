"""A results file that is cut off, full, foreign, or made otherwise."""

import errno
from pathlib import Path
from typing import Any

import pytest

from deepcut_lib.errors import DeepCutError
from deepcut_lib.evaluation.records import Records

SETTINGS = {"backbone": "pixels", "size": (1, 2)}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "deep" / "rows.jsonl"
    Records(path, SETTINGS).append([{"image": "one"}, {"image": "zwölf"}])
    return path


def test_rows_come_back(file: Path) -> None:
    records = Records(file, SETTINGS)
    assert list(records.rows()) == [{"image": "one"}, {"image": "zwölf"}]
    records.append([])
    assert len(file.read_text().splitlines()) == 3


@pytest.mark.parametrize("torn", ['{"image": "thr', '{"image": "three"}', "x" * 200_000])
def test_a_torn_line_is_taken_off(file: Path, torn: str) -> None:
    with file.open("a") as stream:
        stream.write(torn)
    records = Records(file, SETTINGS)
    records.append([{"image": "four"}])
    assert [row["image"] for row in records.rows()] == ["one", "zwölf", "four"]


def test_a_file_that_is_all_torn_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"settings": ')
    assert list(Records(tmp_path / "rows.jsonl", SETTINGS).rows()) == []


def test_other_settings_are_named(file: Path) -> None:
    with pytest.raises(DeepCutError, match=r"backbone 'pixels' instead of 'tiny_vit'.*--overwrite"):
        Records(file, {**SETTINGS, "backbone": "tiny_vit"})
    anew = Records(file, {**SETTINGS, "backbone": "tiny_vit"}, overwrite=True)
    assert list(anew.rows()) == []


def test_foreign_and_damaged_files_are_named(file: Path) -> None:
    lines = file.read_text().splitlines()
    file.write_text("\n".join([lines[0], "noise", lines[2]]) + "\n")
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
        with pytest.raises(DeepCutError, match=r"No space left.*the same command goes on"):
            records.append([{"image": "three"}])
    assert [row["image"] for row in records.rows()] == ["one", "zwölf"]
