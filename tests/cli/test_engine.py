"""``--engine ray``, as far as it needs no Ray."""

import sys
from pathlib import Path

import pytest

from deepcut_lib.cli.main import main

RAY = ["--engine", "ray"]


def said(photos: Path, capsys: pytest.CaptureFixture[str], *more: str) -> str:
    arguments = ["segment", str(photos), "--out", str(photos.parent / "out"), "--backbone", "pixels"]
    assert main([*arguments, *more]) == 1
    return capsys.readouterr().err


def test_without_ray_the_remedy_is_named(
    photos: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("deepcut_lib.distributed")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "ray", None)
    error = said(photos, capsys, *RAY)
    assert "error: Ray is not installed" in error
    assert "pip install -e '.[ray]'" in error


@pytest.mark.parametrize(
    ("option", "value"), [("--workers", "2"), ("--gpus", "0.5"), ("--cluster", "here"), ("--per-file", "9")]
)
def test_options_of_ray_alone(
    photos: Path, capsys: pytest.CaptureFixture[str], option: str, value: str
) -> None:
    assert f"{option} does not go with --engine local" in said(photos, capsys, option, value)


@pytest.mark.parametrize(
    "more", [["--masks", "m"], ["--together"], ["--save-trained", "f"], ["--device", "cpu"]]
)
def test_options_of_one_machine_alone(
    photos: Path, capsys: pytest.CaptureFixture[str], more: list[str]
) -> None:
    assert f"{more[0]} does not go with --engine ray" in said(photos, capsys, *RAY, *more)
