"""What every kind of table is filled by, and what all of them need."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from tqdm import tqdm

from deepcut_lib.backbones import Backbone
from deepcut_lib.datasets import DataSet
from deepcut_lib.evaluation.records import Records, Row
from deepcut_lib.evaluation.request import Inputs, Request


@dataclass(frozen=True)
class Job:
    """One data set to be done with one backbone.

    Attributes:
        set_name: the set's name.
        dataset: its pictures, as far as they were asked for.
        contents: what each was when the run began, see `content_of`.
        backbone: the backbone.
        methods: names of the task's methods.
        seeds: how many seeds, from 0.
        inputs: how pictures are fitted.
        request: what was asked for besides.
    """

    set_name: str
    dataset: DataSet
    contents: Mapping[str, str]
    backbone: Backbone
    methods: Sequence[str]
    seeds: int
    inputs: Inputs
    request: Request


class Task(Protocol):
    """How a kind of table is filled."""

    @property
    def titles(self) -> Mapping[str, str]:
        """What rows are called, by method: all that the task can run, in order."""

    @property
    def unit(self) -> str:
        """What progress counts."""

    @property
    def pooled(self) -> bool:
        """Whether a row of results is made of all pictures of a set, and not of the one it names."""

    @property
    def by_backbone(self) -> bool:
        """Whether several backbones are compared."""

    def columns(self, sets: Sequence[str], backbones: Sequence[str]) -> dict[str, str]:
        """The table's columns, in order, and their titles."""

    def column(self, row: Row, set_name: str, backbone: str) -> str:
        """The column that a row of results counts for."""

    def inputs_line(self, inputs: Inputs) -> str:
        """What a report says of how pictures are fitted."""

    def obstacle(self, method: str, backbone: Backbone, request: Request) -> str | None:
        """Why a method cannot be run here, or None if it can."""

    def amount(self, pictures: int, seeds: int) -> int:
        """How many units a set of so many pictures makes with one backbone."""

    def run(self, job: Job, records: Records, progress: tqdm) -> dict[str, str]:
        """Do what a results file lacks of a job.

        Args:
            job: what is to be done.
            records: where rows are appended.
            progress: advanced by each unit.

        Returns:
            Messages of what could not be done, by picture.

        Raises:
            DeepCutError: the results file cannot be written.
            ValueError: the job as a whole cannot be done.
        """


def finished(records: Records) -> dict[tuple[str, int], set[str]]:
    """The pictures that have a row, by method and seed."""
    done: dict[tuple[str, int], set[str]] = {}
    for row in records.rows():
        done.setdefault((row["method"], row["seed"]), set()).add(sys.intern(row["image"]))
    return done
