"""The page of clusters in a browser."""

import time
from pathlib import Path

import pytest
from PIL import Image

from deepcut_lib.cli.page import groups, page
from tests.browser import CHROMIUM

playwright = pytest.importorskip("playwright.sync_api")


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_ten_thousand_pictures_can_be_looked_through(tmp_path: Path) -> None:
    (tmp_path / "thumbnails").mkdir()
    Image.new("RGB", (160, 120), "teal").save(tmp_path / "one.jpg")
    small = (tmp_path / "one.jpg").read_bytes()
    for k in range(5):
        for i in range(2000):  # files of their own: one that is there already counts as loaded
            (tmp_path / "thumbnails" / f"{k}-{i}.jpg").write_bytes(small)
    thumbnails = {
        f"Cluster {k}: 2000 pictures": {f"{k}-{i}": f"thumbnails/{k}-{i}.jpg" for i in range(2000)}
        for k in range(5)
    }
    notes = ["Clusters 0 and 1 are close."]
    (tmp_path / "index.html").write_text(page("Clusters", "10,000", groups(thumbnails, notes), []))
    with playwright.sync_playwright() as player:
        browser = player.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            view = browser.new_page()
            started = time.monotonic()
            view.goto((tmp_path / "index.html").as_uri(), wait_until="domcontentloaded")
            view.locator("nav a", has_text="Cluster 4").click()
            assert view.locator("#group4").is_visible()
            view.wait_for_function(
                "[...document.images].some(i => i.alt.startsWith('4-') && i.complete && i.naturalWidth)"
            )
            seconds = time.monotonic() - started
            loaded = view.evaluate("[...document.images].filter(i => i.complete && i.naturalWidth).length")
            assert view.locator("li").first.inner_text() == notes[0]
            assert view.evaluate("document.images.length") == 10_000
            assert loaded < 2_000  # what nobody looks at is not loaded
            assert seconds < 30
        finally:
            browser.close()
