"""Every explorer in a real JupyterLab: a control moves, and the picture changes.

Of each lesson only the cells run that its explorer needs.
"""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

from tests.browser import CHROMIUM, IDLE, Lab, jupyterlab, picture, run_all
from tests.conftest import DATA, ROOT
from tests.needed import cells_for

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
if CHROMIUM is None:
    pytest.skip("no Chromium is installed: explorers are not tried in a browser", allow_module_level=True)


OWN = DATA / "images" / "other_03.jpg"
"""A picture that no explorer shows at first."""

NOTEBOOKS = {
    path.name: nbformat.read(path, as_version=4) for path in sorted((ROOT / "notebooks").glob("*.ipynb"))
}


EXPLORERS = {
    f"{Path(name).stem}_{number}.ipynb": (notebook, cell)
    for name, notebook in NOTEBOOKS.items()
    for number, cell in enumerate(
        cell for cell in notebook.cells if "explorer" in cell.metadata.get("tags", [])
    )
}
"""For each explorer a notebook of its own: the lesson, and the cell."""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    root = tmp_path_factory.mktemp("root")
    (root / "notebooks").mkdir()
    for name, (notebook, explorer) in EXPLORERS.items():
        cells = [
            new_code_cell(cell.source, metadata=cell.metadata) for cell in cells_for(notebook.cells, explorer)
        ]
        nbformat.write(NotebookNode({**notebook, "cells": cells}), root / "notebooks" / name)
    (root / "data").symlink_to(DATA)
    (root / "RESULTS.md").symlink_to(ROOT / "RESULTS.md")
    with jupyterlab(root, tmp_path_factory.mktemp("jupyter")) as server:
        yield server


@pytest.fixture(scope="module")
def page() -> Iterator["playwright.Page"]:
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser.new_page(viewport={"width": 1280, "height": 800})
        browser.close()


def changed(explorer: "playwright.Locator", before: str) -> str:
    """Wait until the picture is another one, and kernel and picture have rested for a second; gives it."""
    idle = explorer.page.locator(IDLE)
    last, since = "", time.monotonic()
    limit = since + 120
    while time.monotonic() < limit:
        now = picture(explorer)
        if now != last or not idle.count():
            last, since = now, time.monotonic()
        elif now not in (before, "data:,") and time.monotonic() - since > 1:
            return now
        time.sleep(0.1)
    raise AssertionError("the picture did not change")


@pytest.mark.parametrize("name", EXPLORERS)
def test_a_control_changes_the_picture(
    name: str, lab: Lab, page: "playwright.Page", tmp_path_factory: pytest.TempPathFactory
) -> None:
    try:
        run_all(page, lab.url(f"notebooks/{name}"))
        explorer = page.locator(".jp-OutputArea-output:has(.jupyter-matplotlib)").last
        # The kernel looks idle between two cells: what ends the wait is the number of the explorer's cell
        cell = page.locator(".jp-CodeCell").last
        cell.locator(".jp-InputPrompt", has_text=re.compile(r"\d")).wait_for(timeout=300_000)
        explorer.scroll_into_view_if_needed(timeout=60_000)
        assert page.locator('.jp-OutputArea-output[data-mime-type$=".stderr"]').count() == 0
        start = changed(explorer, "")
        slider = explorer.locator(".noUi-handle").first
        if slider.count():
            slider.focus()
            now, first, last = (
                float(slider.get_attribute(f"aria-value{end}")) for end in ("now", "min", "max")
            )
            for _ in range(4 if last - first > 10 else 1):  # one of many steps may stay within the same patch
                slider.press("ArrowLeft" if now == last else "ArrowRight")
        else:
            explorer.locator("select").first.select_option(index=1)
        moved = changed(explorer, start)

        box = explorer.locator("canvas").first.bounding_box()
        output = explorer.bounding_box()
        assert box is not None and output is not None
        assert box["x"] + box["width"] <= output["x"] + output["width"] + 1
        assert box["x"] + box["width"] <= 1280
        if "clickable" in EXPLORERS[name][1].metadata.tags:
            for across, down in ((0.2, 0.6), (0.3, 0.48)):  # some figures have a gap at one of the two
                place = {"x": box["width"] * across, "y": box["height"] * down}
                explorer.locator("canvas").last.click(position=place)
            moved = changed(explorer, moved)
        explorer.locator('button:text-is("pin")').click()
        explorer.locator("text=/^pinned: /").wait_for(timeout=90_000)
        explorer.locator('button:text-is("reset")').click()
        moved = changed(explorer, moved)
        own = explorer.locator('input[type="file"]')
        if own.count():  # a clip takes no single pictures
            own.set_input_files(OWN)
            changed(explorer, moved)
        page.screenshot(path=str(tmp_path_factory.getbasetemp() / f"{name}.png"))
    finally:
        lab.stop_kernels()
