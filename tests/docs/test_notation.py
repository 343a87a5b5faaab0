"""The page of symbols and terms names what exists."""

import inspect
import re
from importlib import import_module

import pytest

from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "notation.md").read_text(encoding="utf-8")
NAMES = sorted(set(re.findall(r"`([a-z_]+(?:\.[a-z_]+)*\.[A-Za-z_]+(?:\.[A-Za-z_]+)?)`", PAGE)))
SYMBOLS = [line for line in PAGE.splitlines() if line.startswith(("| $", "| IoU"))]


def has(owner: object, name: str) -> bool:
    """Whether an object has an attribute, if only as a field, or set by a fit and told in its docstring."""
    told = re.search(rf"^ +{name}: ", inspect.getdoc(owner) or "", re.M)
    return hasattr(owner, name) or name in getattr(owner, "__annotations__", {}) or told is not None


@pytest.mark.parametrize("name", NAMES)
def test_every_name_in_code_exists(name: str) -> None:
    parts = name.split(".")
    modules = [part for part in parts if part.islower()]
    while modules:
        try:
            found: object = import_module(".".join(["deepcut_lib", *modules]))
            break
        except ModuleNotFoundError:
            modules.pop()
    assert modules, name
    *owners, last = parts[len(modules) :]
    for owner in owners:
        found = getattr(found, owner)
    assert has(found, last), name


def test_every_symbol_has_a_name_in_code_or_says_why_not() -> None:
    assert len(SYMBOLS) > 20
    for line in SYMBOLS:
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        assert len(cells) == 6, line
        assert re.search(r"`[\w.]+\.\w+`", cells[2]) or cells[2] in ("(by hand)", "(scipy)"), line
        assert re.search(r"\]\(\.\./notebooks/0\d_\w+\.ipynb\)", cells[5]), line


def test_terms_stand_in_alphabetical_order() -> None:
    terms = re.findall(r"^(.+)\n: ", PAGE, re.M)
    assert len(terms) > 20
    assert terms == sorted(terms, key=str.lower)
