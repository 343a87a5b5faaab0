"""The site of a notebook of two cells, and the check of links."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from docs.links import faults
from tests.conftest import ROOT
from tests.docs.test_reading import small_notebook


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A small tree with the configuration of ours, one lesson, and no reference."""
    root = tmp_path / "source"
    for name in ("docs/conf.py", "docs/__init__.py", "docs/reading.py", "docs/static", "docs/templates"):
        target = root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, target)
    (root / "notebooks").mkdir()
    nbformat.write(small_notebook(), root / "notebooks" / "01_small.ipynb")
    contents = "```{toctree}\n../notebooks/01_small\nnotation\n```\n"
    (root / "docs" / "index.md").write_text(f"# Lessons\n\n{contents}")
    (root / "docs" / "notation.md").write_text(
        "# Notation\n\nTo [the lesson](../notebooks/01_small.ipynb).\n"
    )
    return root


def test_a_site_is_made_without_the_net_and_its_links_hold(source: Path) -> None:
    pytest.importorskip("myst_nb", reason="the extra `site` is not installed")
    pytest.importorskip("furo", reason="the extra `site` is not installed")
    out = source.parent / "site"
    command = [sys.executable, "-m", "sphinx", "-q", "--fail-on-warning", "-c", source / "docs", source, out]
    made = subprocess.run(command, capture_output=True, text=True, env={"PYTHONPATH": str(ROOT), "PATH": ""})
    assert made.returncode == 0, made.stderr
    assert list(faults(out)) == []
    page = (out / "notebooks" / "01_small.html").read_text(encoding="utf-8")
    assert "a duck with" in page
    assert 'href="../docs/notation.html"' in page
    assert (out / "_static" / "mathjax" / "MathJax.js").exists()
    assert (out / "searchindex.js").exists()
    assert sorted(path.name for path in out.parent.iterdir()) == ["site", "source"]


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ('<a href="missing.html">x</a>', "link to missing.html, which is missing"),
        ('<a href="#nowhere">x</a>', "link to #nowhere: no such place on that page"),
        ('<script src="https://example.org/x.js"></script>', "loads https://example.org/x.js from the net"),
        ('<link rel="stylesheet" href="//example.org/x.css">', "loads //example.org/x.css from the net"),
        ('<img src="missing.png" alt="a duck">', "loads missing.png, which is missing"),
        ('<img src="data:,">', "1 pictures without alternative text"),
    ],
)
def test_faults_of_a_page_are_named(body: str, fault: str, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(f"<body>{body}</body>")
    assert list(faults(tmp_path)) == [f"page.html: {fault}"]


def test_what_leads_somewhere_is_no_fault(tmp_path: Path) -> None:
    (tmp_path / "ä b.html").write_text('<h1 id="übung">x</h1><a href="https://example.org">x</a>')
    (tmp_path / "page.html").write_text('<a href="%C3%A4%20b.html#%C3%BCbung">x</a><a href="#">x</a>')
    assert list(faults(tmp_path)) == []


def test_a_folder_without_pages_is_a_fault(tmp_path: Path) -> None:
    assert list(faults(tmp_path)) == [f"{tmp_path}: no pages"]


def test_every_lesson_has_its_section_in_the_guide() -> None:
    guide = (ROOT / "docs" / "teaching.md").read_text(encoding="utf-8")
    sections = {section[:2]: section for section in guide.split("\n## ")[1:]}
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        section = sections[path.stem[:2]]
        assert "**For:**" in section, path.stem
        assert "45 " in section and "90 minutes:**" in section, path.stem
        assert all(f"\n{number}. *" in section for number in (1, 2, 3)), path.stem
        assert "**Project:**" in section or "**Explorer:** none" in section, path.stem


def test_every_module_for_others_has_its_place_in_the_reference() -> None:
    reference = "".join(page.read_text(encoding="utf-8") for page in (ROOT / "docs" / "api").glob("*.md"))
    named = set(re.findall(r"automodule:: (\S+)", reference))
    package = ROOT / "deepcut_lib"
    modules = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in package.rglob("*.py")
        if not path.name.startswith("__") and path.relative_to(package).parts[0] not in ("cli", "lessons")
    }
    assert modules - named == set()


def test_every_page_of_docs_is_in_the_contents() -> None:
    contents = (ROOT / "docs" / "index.md").read_text(encoding="utf-8").splitlines()
    assert {page.stem for page in (ROOT / "docs").glob("*.md")} - {*contents, "index"} == set()
