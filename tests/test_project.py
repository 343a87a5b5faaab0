"""The files around the code tell one story."""

import ast
import re
import tomllib
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from deepcut_lib import __version__
from tests.conftest import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PINS = dict(
    line.split("==")
    for line in (ROOT / "constraints.txt").read_text().splitlines()
    if line and not line.startswith("#")
)
REQUIREMENTS = [
    *PROJECT["dependencies"],
    *(line for extra in PROJECT["optional-dependencies"].values() for line in extra),
]


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("line", REQUIREMENTS)
def test_every_dependency_is_pinned_within_its_range(line: str) -> None:
    requirement = Requirement(line)
    pinned = {canonical(name): version for name, version in PINS.items()}[canonical(requirement.name)]
    assert requirement.specifier.contains(pinned)


def test_conda_users_get_the_same_package_and_pins() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    python, pip, packages = environment["dependencies"]
    assert python == f"python{PROJECT['requires-python']}"
    assert pip == "pip"
    assert packages == {"pip": ["-c constraints.txt", "-e .[notebooks]"]}
    assert "'.[notebooks]' -c constraints.txt" in (ROOT / "Makefile").read_text()


def test_versions_agree() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == __version__


FOLDERS = (".", "benchmarks", "data", "deepcut_lib/weights", "docs", "training")
PAGES = [page for folder in FOLDERS for page in (ROOT / folder).glob("*.md")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_pages_link_to_existing_files(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)|src=\"([^\":]+)\"", page.read_text()):
        assert (page.parent / next(filter(None, link))).exists(), link


def test_readme_names_existing_commands() -> None:
    readme = (ROOT / "README.md").read_text()
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
    commands = set(re.findall(r"(?:^    |`)make ([a-z]+)\b", readme, re.M))
    assert {"demo", "test", "lab"} <= commands <= targets


HOUSE = (
    "threads errors devices parameters files tensor_files downloads",
    "images",
    "features",
    "landmarks",
    "graphs",
    "losses network prior",
    "clustering local_search certificate",
    "masks metrics refinement foreground",
    "recipe",
    "backbones",
    "batches segmentation",
    "localization parts kless matting",
    "trained",
    "video",
    "deepcut_lib",  # what the package itself offers
    "baselines datasets distributed",
    "plots",
    "evaluation",
    "classroom",
    "cli lessons",
)
"""The rooms from the ground up; those of a line stand on one floor."""

FLOOR = {room: floor for floor, rooms in enumerate(HOUSE) for room in rooms.split()}

PACKAGE = ROOT / "deepcut_lib"
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}


def imported_by(path: Path) -> set[str]:
    """The package's modules that a module imports anywhere in it: in functions and for type checkers too."""
    modules = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports name whole paths"
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                modules.add(submodule if submodule in MODULES else str(node.module))
    return modules & MODULES.keys()


IMPORTS = {module: imported_by(path) for module, path in MODULES.items()}


def room_of(module: str) -> str:
    name = module.removeprefix("deepcut_lib.").partition(".")[0]
    return "cli" if name == "__main__" else name


def points_up(module: str, imported: str) -> bool:
    rooms = room_of(module), room_of(imported)
    return FLOOR[rooms[0]] < FLOOR[rooms[1]] or set(rooms) == {"cli", "lessons"}


def test_every_module_has_a_room() -> None:
    assert {room_of(module) for module in MODULES} <= FLOOR.keys()


def test_imports_point_down() -> None:
    pairs = {(module, imported) for module, others in IMPORTS.items() for imported in others}
    assert len(pairs) > len(MODULES)
    assert [pair for pair in pairs if points_up(*pair)] == []


def test_no_imports_go_round() -> None:
    TopologicalSorter(IMPORTS).prepare()  # raises an error that names the circle
