"""A JupyterLab of the tests' own, driven in a headless Chromium."""

import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


IDLE = '.jp-StatusBar-TextItem:has-text("| Idle")'
"""What JupyterLab shows while a kernel rests."""


@dataclass(frozen=True)
class Lab:
    """A running JupyterLab: its address, ending in a slash, and its token."""

    address: str
    token: str

    def url(self, path: str) -> str:
        """Where a file of its root opens, alone."""
        return f"{self.address}lab/tree/{path}?token={self.token}&reset"

    def api(self, path: str, method: str = "GET") -> Any:
        """A call of the server's own interface."""
        request = urllib.request.Request(
            f"{self.address}api/{path}", method=method, headers={"Authorization": f"token {self.token}"}
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            text = response.read()
        return json.loads(text) if text else None

    def stop_kernels(self) -> None:
        """End all kernels, and give back their memory."""
        for session in self.api("sessions"):
            self.api(f"sessions/{session['id']}", "DELETE")


@contextmanager
def jupyterlab(root: Path, scratch: Path) -> Iterator[Lab]:
    """Serve a folder by a JupyterLab that neither sees nor leaves settings outside `scratch`."""
    kinds = {
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
    }
    news = scratch / "settings" / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    news.parent.mkdir(parents=True)
    news.write_text('{"fetchNews": "false", "checkForUpdates": false}')
    token = secrets.token_hex(16)
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--port=0"]
    command += [f"--ServerApp.root_dir={root}", f"--IdentityProvider.token={token}"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")
    log = scratch / "log.txt"
    with log.open("w") as output:
        server = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **{name: str(scratch / folder) for name, folder in kinds.items()}},
        )
    try:
        yield Lab(_address(server, log), token)
    finally:
        server.terminate()
        server.wait(30)


def _address(server: "subprocess.Popen[bytes]", log: Path) -> str:
    for _ in range(300):
        found = re.search(r"http://(localhost|127\.0\.0\.1):\d+/", log.read_text())
        if found:
            return found[0]
        assert server.poll() is None, log.read_text()
        time.sleep(0.2)
    raise AssertionError(f"JupyterLab did not start:\n{log.read_text()}")


def run_all(page: "Page", url: str) -> None:
    """Open a notebook and have all its cells run; they may still be running on return.

    A run asked for while the kernel is still being connected is dropped without a word: it is asked for
    until a cell waits or has a number; the notebook is to have none before.
    """
    from playwright.sync_api import TimeoutError

    page.goto(url)
    notebook = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")
    page.locator(IDLE).wait_for(timeout=120_000)
    begun = notebook.locator(".jp-InputPrompt").filter(has_text=re.compile(r"\[(\*|\d+)\]"))
    for _ in range(5):
        page.click('.lm-MenuBar-itemLabel:text-is("Run")')
        page.click('.lm-Menu-itemLabel:text-is("Run All Cells")')
        with suppress(TimeoutError):
            begun.first.wait_for(state="attached", timeout=10_000)
            return
    raise AssertionError(f"no cell of {url.split('?')[0]} runs: {page.locator('body').inner_text()[-2000:]}")


def picture(explorer: "Locator") -> str:
    """What an explorer's canvas shows now; the second canvas over it is for rubber bands."""
    return str(explorer.locator("canvas").first.evaluate("canvas => canvas.toDataURL()"))
