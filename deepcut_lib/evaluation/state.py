"""An evaluation under way: what was asked for, what is at hand, and what it has come to."""

from dataclasses import dataclass, field
from pathlib import Path

from deepcut_lib.backbones import Backbone
from deepcut_lib.datasets import DataSet
from deepcut_lib.evaluation.records import Records
from deepcut_lib.evaluation.request import Inputs, Request
from deepcut_lib.evaluation.tables import Table


@dataclass
class Evaluation:
    """A request, with the table's defaults filled in, and all that is known of its run so far.

    Attributes:
        request: what was asked for.
        table: the table that is filled.
        methods: names of the rows asked for.
        seeds: how many.
        inputs: how pictures are fitted.
        sets: those at hand, as far as --limit goes.
        digests: of the names of all their pictures.
        lines: what the report says of each set, also of those that are not at hand.
        backbones: those that were loaded, by name.
        not_run: why methods could not be run, by method.
        failures: messages of what could not be done.
        records: rows of results, by set and backbone.
        report: the report, Markdown, once it is written.
    """

    request: Request
    table: Table
    methods: list[str]
    seeds: int
    inputs: Inputs
    sets: dict[str, DataSet] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    lines: dict[str, str] = field(default_factory=dict)
    backbones: dict[str, Backbone] = field(default_factory=dict)
    not_run: dict[str, str] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    records: dict[tuple[str, str], Records] = field(default_factory=dict)
    report: str = ""

    @property
    def folder(self) -> Path:
        """Where results and report go; its name is also the report's place in a collection."""
        name = self.request.table
        name = f"table{name}" if name.isdigit() else name
        if len(self.backbones) == 1:
            name = f"{name}-{next(iter(self.backbones))}"
        return self.request.out / name
