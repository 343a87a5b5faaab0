"""``doctor``: OK or FAIL with a remedy for every part that DeepCut needs or can use."""

import importlib.util
import platform
import re
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError, requires, version
from typing import NamedTuple

import numpy as np
import torch
from packaging.requirements import Requirement

from deepcut_lib import threads
from deepcut_lib.backbones import load_backbone
from deepcut_lib.backbones.pretrained import PUBLISHED, is_cached, is_reachable
from deepcut_lib.backbones.registry import OFFLINE
from deepcut_lib.cli import arguments as take
from deepcut_lib.datasets import SAMPLE
from deepcut_lib.segmentation import segment

_INSTALL = 'run "make install", or pip install -e ".[notebooks]" -c constraints.txt'


class Finding(NamedTuple):
    """One line of the report: what was looked at, whether it is fine, and what was found or to be done."""

    part: str
    fine: bool
    detail: str
    needed: bool = True


def add_command(commands: take.Commands) -> None:
    """Add ``doctor``."""
    parser = commands.add_parser("doctor")
    parser.set_defaults(run=lambda options: run_doctor())


def run_doctor() -> int:
    """Print one line for each part; returns 1 if one that is needed fails."""
    failed = False
    for finding in findings():
        failed |= finding.needed and not finding.fine
        optional = "" if finding.fine or finding.needed else " (optional)"
        print(
            f"{'OK' if finding.fine else 'FAIL':4}  {finding.part:34}  {finding.detail}{optional}", flush=True
        )
    print("\nSomething that is needed fails: see above." if failed else "\nReady.")
    return int(failed)


def findings() -> Iterator[Finding]:
    """Look at everything, one part after another."""
    fine = sys.version_info >= (3, 11)
    yield Finding("python", fine, platform.python_version() if fine else "install Python 3.11 or newer")
    yield from _packages()
    yield from _devices()
    yield from _offline_backbones()
    yield from _published_backbones()
    yield _data()
    yield from _widgets()
    yield _ray()


def _packages() -> Iterator[Finding]:
    try:
        needed = requires("deepcut-lib") or []
    except PackageNotFoundError:
        yield Finding("deepcut-lib", False, f"run from its source, not installed: {_INSTALL}")
        return
    for line in needed:
        wanted = Requirement(line)
        if wanted.marker and re.search(r"extra\s*==", str(wanted.marker)):
            continue
        try:
            installed = version(wanted.name)
        except PackageNotFoundError:
            yield Finding(wanted.name, False, f"not installed: {_INSTALL}")
            continue
        fine = wanted.specifier.contains(installed, prereleases=True)
        yield Finding(
            wanted.name,
            fine,
            installed if fine else f"{installed}, but needs {wanted.specifier}: {_INSTALL}",
        )


def _devices() -> Iterator[Finding]:
    yield Finding("cpu", True, f"{torch.get_num_threads()} threads")
    yield Finding("waiting threads", threads.brief, threads.in_force, needed=False)
    cuda = torch.cuda.is_available()
    detail = torch.cuda.get_device_name() if cuda else "no CUDA device; everything runs on the CPU, slower"
    yield Finding("cuda", cuda, detail, needed=False)
    mps = torch.backends.mps.is_available()
    yield Finding("mps", mps, "Apple GPU" if mps else "no Apple GPU; nothing to do elsewhere", needed=False)


def _offline_backbones() -> Iterator[Finding]:
    square = np.linspace(0, 1, 64 * 64 * 3).reshape(64, 64, 3)
    for name, what in OFFLINE.items():
        try:
            segment(square, backbone=load_backbone(name), size=64)
        except Exception as error:  # whatever it is, the report goes on and says it
            yield Finding(name, False, f"{type(error).__name__}: {error}; {_INSTALL}")
        else:
            yield Finding(name, True, what)


def _published_backbones() -> Iterator[Finding]:
    missing = [name for name in PUBLISHED if not is_cached(name)]
    with ThreadPoolExecutor() as pool:
        reachable = dict(zip(missing, pool.map(is_reachable, missing), strict=True))
    for name, vit in PUBLISHED.items():
        if name not in missing:
            yield Finding(name, True, "cached on this machine", needed=False)
        elif reachable[name]:
            yield Finding(name, True, "reachable; downloaded when first used", needed=False)
        else:
            remedy = f'download {vit.urls[-1]} elsewhere and pass checkpoint="FILE"'
            yield Finding(name, False, f"neither cached nor reachable: {remedy}", needed=False)


def _data() -> Finding:
    pictures = len(list((SAMPLE / "images").glob("*.jpg")))
    masks = len(list((SAMPLE / "masks").glob("*.png")))
    if pictures:
        return Finding("data", True, f"{pictures} pictures, {masks} with masks")
    return Finding(
        "data", False, "no pictures beside the package: use a clone of the repository", needed=False
    )


def _widgets() -> Iterator[Finding]:
    for name in ("jupyterlab", "ipywidgets", "ipympl"):
        there = importlib.util.find_spec(name) is not None
        yield Finding(name, there, version(name) if there else f"not installed: {_INSTALL}", needed=False)


def _ray() -> Finding:
    there = importlib.util.find_spec("ray") is not None
    remedy = "not installed; only --engine ray needs it: pip install -e '.[ray]' -c constraints.txt"
    return Finding("ray", there, version("ray") if there else remedy, needed=False)
