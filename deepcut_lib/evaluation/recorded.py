"""Reading a collection of reports, such as RESULTS.md, back into numbers."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from deepcut_lib.errors import DeepCutError
from deepcut_lib.evaluation.spread import Interval

_NUMBER = r"[+-]?\d+(?:\.\d+)?"
_CELL = re.compile(
    rf"^\**({_NUMBER})(?: ± ({_NUMBER}))?\**(?: \[({_NUMBER}), ({_NUMBER})\])?$",
)


@dataclass(frozen=True)
class Measured:
    """A number of a report.

    Attributes:
        mean: as it stands there, in percent or in points.
        std: its deviation over seeds, or None.
        interval: its 95 % bootstrap interval over pictures, or None.
    """

    mean: float
    std: float | None = None
    interval: Interval | None = None


@dataclass(frozen=True)
class Section:
    """A section of a collection of reports.

    Attributes:
        title: its heading.
        facts: the lines that say how it was made.
        tables: by the line above each, without its colon (the first one's may be ""): rows of columns of
            numbers, by their titles. Empty places are left out; "*paper*" stands behind the column that it
            belongs to, as "COLUMN, paper".
    """

    title: str
    facts: tuple[str, ...]
    tables: Mapping[str, Mapping[str, Mapping[str, Measured]]]


def read_reports(path: str | PathLike[str]) -> dict[str, Section]:
    """The sections of a file that `evaluate --record` wrote, by their names.

    Raises:
        DeepCutError: it cannot be read, or has no such section.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DeepCutError(f"{path}: cannot be read ({error})") from error
    found = re.findall(r"<!-- begin (\S+) -->\n(.*?)<!-- end \1 -->", text, re.DOTALL)
    if not found:
        raise DeepCutError(f"{path}: holds no report; `evaluate TABLE --record {Path(path).name}` adds one")
    return {name: _section(content) for name, content in found}


def _section(content: str) -> Section:
    blocks = [block.strip("\n") for block in content.strip().split("\n\n")]
    tables: dict[str, dict[str, dict[str, Measured]]] = {}
    above = ""
    for block in blocks[1:]:
        if block.startswith("| "):
            tables[above] = _table(block)
        above = block.rstrip(":") if block.endswith(":") else ""
    facts = next((block for block in blocks if block.startswith("* ")), "")
    return Section(
        blocks[0].lstrip("# "), tuple(line.removeprefix("* ") for line in facts.splitlines()), tables
    )


def _table(block: str) -> dict[str, dict[str, Measured]]:
    header, _, *lines = ([cell.strip() for cell in line.split("|")[1:-1]] for line in block.splitlines())
    titles = header[1:]
    columns = [f"{titles[at - 1]}, paper" if title == "*paper*" else title for at, title in enumerate(titles)]
    rows: dict[str, dict[str, Measured]] = {}
    for name, *cells in lines:
        numbers = {column: _measured(cell) for column, cell in zip(columns, cells, strict=True)}
        rows[name] = {column: number for column, number in numbers.items() if number is not None}
    return rows


def _measured(cell: str) -> Measured | None:
    found = _CELL.match(cell)
    if not found:
        return None
    mean, std, low, high = (None if part is None else float(part) for part in found.groups())
    assert mean is not None
    return Measured(mean, std, None if low is None or high is None else (low, high))
