"""The doctor names every part, and a remedy where one fails."""

import subprocess
import sys
from importlib.metadata import PackageNotFoundError

import pytest

from deepcut_lib.backbones import BACKBONES
from deepcut_lib.cli import doctor
from deepcut_lib.cli.main import main


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "is_reachable", lambda name: name == "mae_vitb16")
    monkeypatch.setattr(doctor, "is_cached", lambda name: name == "dino_vits16")


def test_all_parts_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    status = {line[6:40].strip(): line[:4].strip() for line in lines if line[:4].strip() in ("OK", "FAIL")}
    assert {"python", "torch", "timm", "cpu", "waiting threads", "cuda", "data"} <= set(status)
    assert {"jupyterlab", "ipympl"} <= set(status)
    assert set(BACKBONES) <= set(status)
    assert status["effnet_lite0"] == status["dino_vits16"] == status["mae_vitb16"] == "OK"
    assert status["dino_vits8"] == "FAIL"
    remedy = next(line for line in lines if "dino_vits8 " in line)
    assert "checkpoint=" in remedy
    assert "(optional)" in remedy


def test_a_missing_package_fails_with_a_remedy(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "requires", lambda name: ["no-such-package>=1", "numpy<1"])
    assert main(["doctor"]) == 1
    printed = capsys.readouterr().out
    assert "FAIL  no-such-package" in printed
    assert "but needs <1" in printed
    assert "make install" in printed


def test_a_package_that_is_not_installed_itself_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(doctor, "requires", none)
    assert main(["doctor"]) == 1
    printed = capsys.readouterr().out
    assert "FAIL  deepcut-lib" in printed
    assert "OK    cpu" in printed


def test_a_broken_backbone_fails(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> None:
        raise RuntimeError("weights are gone")

    monkeypatch.setattr(doctor, "load_backbone", broken)
    assert main(["doctor"]) == 1
    assert "weights are gone" in capsys.readouterr().out


def test_how_threads_wait_is_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor.threads, "in_force", "spin long: the remedy")
    monkeypatch.setattr(doctor.threads, "brief", False)
    assert main(["doctor"]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if "waiting threads" in line)
    assert line.startswith("FAIL")
    assert line.endswith("the remedy (optional)")


def test_no_command_needs_the_packages_of_the_lessons() -> None:
    code = """
import sys
sys.modules.update(dict.fromkeys(["ipywidgets", "ipympl", "jupyterlab"]))  # as if they were not installed
from deepcut_lib.cli import doctor
from deepcut_lib.cli.main import main
doctor._published_backbones = lambda: iter(())
sys.exit(main(["doctor"]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "FAIL  ipywidgets" in done.stdout
