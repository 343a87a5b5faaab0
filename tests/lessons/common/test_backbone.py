"""The reader's own backbone in the lessons."""

from pathlib import Path

import pytest

from deepcut_lib.errors import DeepCutError
from deepcut_lib.lessons.common.backbone import lesson_backbone


def test_the_embedded_one_unless_another_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DEEPCUT_CHECKPOINT", raising=False)
    monkeypatch.delenv("DEEPCUT_BACKBONE", raising=False)
    assert lesson_backbone().name == "effnet_lite0"
    monkeypatch.setenv("DEEPCUT_BACKBONE", "pixels")
    assert lesson_backbone().name == "pixels"


def test_a_file_of_its_weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DEEPCUT_BACKBONE", "dino_vits8")
    monkeypatch.setenv("DEEPCUT_CHECKPOINT", str(tmp_path / "mine.pth"))
    with pytest.raises(DeepCutError, match=r"mine\.pth"):
        lesson_backbone()
    monkeypatch.setenv("DEEPCUT_BACKBONE", "pixels")
    with pytest.raises(ValueError, match="takes no checkpoint"):
        lesson_backbone()
