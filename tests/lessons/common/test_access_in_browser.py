"""An explorer by keyboard alone, in a real JupyterLab."""

from collections.abc import Iterator

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from tests.browser import CHROMIUM, jupyterlab, run_all

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
if CHROMIUM is None:
    pytest.skip("no Chromium is installed: explorers are not tried in a browser", allow_module_level=True)

EXPLORER = """
from ipywidgets import Dropdown, IntSlider
from deepcut_lib.lessons.common.explorer import Explorer, sized

Explorer(
    lambda figure, picture, k: (figure.clear(), figure.subplots().plot([0, k])),
    {
        "picture": Dropdown(options=["duck", "bear"], description="picture"),
        "k": IntSlider(3, 2, 8, description="K"),
    },
    click=lambda axes, x, y: {},
    arrows=lambda down, across: {"k": 5},
    take=lambda name, content: {},
    play=["k"],
)
"""

FOCUSED = """() => {
    const at = document.activeElement;
    return [at.closest(".jp-OutputArea-output") !== null, at.getAttribute("aria-label") || at.title ||
        at.textContent.trim() || at.placeholder, at.tagName];
}"""


@pytest.fixture(scope="module")
def explorer(tmp_path_factory: pytest.TempPathFactory) -> Iterator["playwright.Locator"]:
    root = tmp_path_factory.mktemp("root")
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    notebook = new_notebook(cells=[new_code_cell(EXPLORER)], metadata=kernel)
    nbformat.write(notebook, root / "explorer.ipynb")
    with (
        jupyterlab(root, tmp_path_factory.mktemp("jupyter")) as lab,
        playwright.sync_playwright() as driver,
    ):
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        run_all(page, lab.url("explorer.ipynb"))
        found = page.locator(".jp-OutputArea-output:has(.jupyter-matplotlib)")
        found.locator('[aria-label="figure: picture duck, K 3"]').wait_for(timeout=120_000)
        yield found
        browser.close()


def test_tab_leads_through_every_control_and_out_again(explorer: "playwright.Locator") -> None:
    keyboard, seen = explorer.page.keyboard, []
    explorer.locator("select").first.focus()
    for _ in range(40):
        inside, name, tag = explorer.page.evaluate(FOCUSED)
        if not inside:
            break
        seen.append(name or tag)
        keyboard.press("Tab")
    else:
        raise AssertionError(f"Tab does not leave the explorer: {seen}")
    for name in ("K", "play", "stop", "repeat", "figure: picture duck, K 3"):
        assert seen.count(name) == 1, seen
    assert any("own photo" in name or "Choose a picture" in name for name in seen)
    assert any("All controls as they were" in name for name in seen)  # reset


def test_keys_move_a_slider_and_the_figure_and_it_says_so(explorer: "playwright.Locator") -> None:
    explorer.locator('[aria-label="K"]').press("ArrowRight")
    figure = explorer.locator('[aria-label="figure: picture duck, K 4"]')
    figure.wait_for(timeout=30_000)
    figure.press("ArrowUp")
    explorer.locator('[aria-label="figure: picture duck, K 5"]').wait_for(timeout=30_000)
