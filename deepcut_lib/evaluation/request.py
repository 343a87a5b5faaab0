"""What is asked of an evaluation, in one typed value."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

Inputs: TypeAlias = Literal["own", "same"]
"""How pictures are fitted: as each method's publication does, or alike for all methods."""


@dataclass(frozen=True)
class Request:
    """A table to be filled, and from what.

    Attributes:
        table: its name in `TABLES`.
        data: folder of the data sets; only ``sample`` needs none.
        backbones: their names; empty for the table's own.
        checkpoint: local weights of the named ViT.
        methods: run only these rows; empty for all.
        sets: only these data sets, which must be there; empty for the table's, as far as they are there.
        limit: only so many pictures of each set, the first; None for all.
        seeds: how many seeds (or draws), from 0; None for as many as the table takes.
        device: where to run.
        stride: distance of patches in pixels.
        size: side of the square that pictures are squashed to.
        inputs: how pictures are fitted; None for the table's way.
        batch: pictures that are worked on together.
        certificate: seconds for an upper bound of each draw of pictures (table 5); None for none.
        edge_model: EdgeBoxes' file of structured edges.
        out: folder that the folder of results is made in.
        record: a Markdown file that collects reports; this one takes its place there.
        overwrite: forget the results of earlier runs.
    """

    table: str
    data: Path | None = None
    backbones: Sequence[str] = ()
    checkpoint: Path | None = None
    methods: Sequence[str] = ()
    sets: Sequence[str] = ()
    limit: int | None = None
    seeds: int | None = None
    device: str = "auto"
    stride: int | None = None
    size: int | None = None
    inputs: Inputs | None = None
    batch: int = 8
    certificate: float | None = None
    edge_model: Path | None = None
    out: Path = Path("results")
    record: Path | None = None
    overwrite: bool = False
