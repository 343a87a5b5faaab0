"""The benchmark of GPUs, on a CPU at tiny sizes: it runs from end to end, and says where it cannot."""

import re

import pytest
import torch

from benchmarks import gpu


def test_every_part_of_the_report_runs(capsys: pytest.CaptureFixture[str]) -> None:
    gpu.report(
        torch.device("cpu"), (1, 2), sides=(64, 32), patches=40, product=64, pictures=2, together=2, repeats=1
    )
    printed = capsys.readouterr().out
    for network in ("effnet_lite0", "ViT-S/8"):
        for precision in gpu.PRECISIONS:
            for batch in (1, 2):
                row = rf"\| {network} \| {precision} \| {batch} \| [\d.]+ \| [\d.]+ \| [\d.]+ \| \d+% \|"
                assert re.search(row, printed)
    assert re.search(r"n=40: message passing [\d.]+ s, DeepCut [\d.]+ s, [\d.]+ times", printed)
    assert re.search(r"\| tiny_vit \| default \| [\d.]+ \| 100.00 \| 100.00 \|", printed)


def test_a_vits8_picture_counts_its_attention() -> None:
    _, vit = gpu.networks(torch.device("cpu"))
    tokens, width = 16 * 16 + 1, 384
    # A block: 12 d² weights a token, and twice n² d for attention; the last one stops at the keys
    expected = 11 * (24 * tokens * width**2 + 4 * tokens**2 * width) + 2 * tokens * width**2
    counted = gpu.operations(vit, torch.zeros(1, 3, 128, 128))
    assert counted == pytest.approx(expected, rel=0.03)


def test_without_a_device_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr("sys.argv", ["gpu"])
    with pytest.raises(SystemExit, match="needs a CUDA device"):
        gpu.main()
