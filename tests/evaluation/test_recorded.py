"""Reports are read back as they were written."""

from pathlib import Path

import pytest

from deepcut_lib.errors import DeepCutError
from deepcut_lib.evaluation.recorded import Measured, read_reports
from deepcut_lib.evaluation.report import _apart, _grid, _ours, _papers
from deepcut_lib.evaluation.tally import Cell, Difference
from tests.conftest import ROOT


def test_numbers_are_read_as_reports_write_them(tmp_path: Path) -> None:
    full = Cell(51.94, 0.12, 3, 100, (50.3, 53.6), (74.6, None))
    plain = Cell(33.5, 0.0, 1, 100, None, (85.5, 14.1))
    lines = [["ours", _ours(full), _papers(full)], ["other", _ours(plain), _papers(plain)], ["none", "", ""]]
    away = _apart(Difference(-1.52, (-2.9, 0.0), 100))
    text = "\n\n".join(
        [
            "# Results",
            "<!-- begin table2 -->\n## Table 2, `pixels`",
            "* data: ten\n* seed 0",
            "IoU:",
            _grid(["method", "ECSSD", "*paper*"], lines),
            "one minus another:",
            _grid(["methods", "ECSSD"], [["ours − other", away]]),
            "<!-- end table2 -->\n",
        ]
    )
    (tmp_path / "RESULTS.md").write_text(text, encoding="utf-8")
    section = read_reports(tmp_path / "RESULTS.md")["table2"]
    assert section.title == "Table 2, `pixels`"
    assert section.facts == ("data: ten", "seed 0")
    assert section.tables["IoU"] == {
        "ours": {"ECSSD": Measured(51.9, 0.1, (50.3, 53.6)), "ECSSD, paper": Measured(74.6)},
        "other": {"ECSSD": Measured(33.5), "ECSSD, paper": Measured(85.5, 14.1)},
        "none": {},
    }
    assert section.tables["one minus another"] == {
        "ours − other": {"ECSSD": Measured(-1.5, None, (-2.9, 0.0))}
    }


def test_the_results_of_this_library_can_be_read() -> None:
    reports = read_reports(ROOT / "RESULTS.md")
    ours = reports["sample-effnet_lite0"].tables[""]["DeepCut, N-cut"]["mean foreground IoU"]
    assert ours.std is not None and ours.interval is not None
    assert ours.interval[0] < ours.mean < ours.interval[1]
    assert reports["table1"].tables["CorLoc"]["DeepCut, N-cut"]["VOC07, paper"].mean > 50
    for section in reports.values():
        assert any("backbone" in fact or "data" in fact for fact in section.facts)
        assert section.tables


@pytest.mark.parametrize("content", [None, b"\xff\xfe\xff", b"# Results\n"])
def test_a_file_without_reports_is_named(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "RESULTS.md"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DeepCutError, match=r"RESULTS\.md"):
        read_reports(path)
