"""Fill a table of the paper, as far as the data at hand go, and report it."""

import hashlib
import sys
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial

from tqdm import tqdm

from deepcut_lib import __version__
from deepcut_lib.backbones import Backbone, load_backbone
from deepcut_lib.datasets import SOURCES, DataSetError, check, open_dataset, remedy
from deepcut_lib.evaluation.records import Records, Row
from deepcut_lib.evaluation.report import without_folders, write_report
from deepcut_lib.evaluation.request import Request
from deepcut_lib.evaluation.state import Evaluation
from deepcut_lib.evaluation.tables import TABLES
from deepcut_lib.evaluation.tasks.task import Job


def evaluate(request: Request) -> Evaluation:
    """Run what a table lacks, and write its report, also where the run is interrupted.

    Args:
        request: the table, and what it is filled from.

    Returns:
        What it has come to: the report, where it was written, what failed.

    Raises:
        DeepCutError, ValueError: what was asked for cannot be done; the message says why.
    """
    (name,) = _chosen("table", [request.table], list(TABLES))
    table = TABLES[name]
    evaluation = Evaluation(
        request,
        table,
        methods=_chosen("method of this table", request.methods, table.methods),
        seeds=table.seeds if request.seeds is None else request.seeds,
        inputs=request.inputs or table.inputs,
    )
    backbones = request.backbones or table.backbones
    if len(backbones) > 1 and not table.task.by_backbone:
        raise ValueError(f"this table takes one backbone at a time, not {len(backbones)}")
    _open_sets(evaluation)
    if evaluation.sets:
        for name in backbones:
            backbone = load_backbone(
                name, checkpoint=request.checkpoint, stride=request.stride, device=request.device
            )
            evaluation.backbones[backbone.name] = backbone
    try:
        _run(evaluation)
    finally:  # also when interrupted: what there is can be read
        evaluation.report = write_report(evaluation)
    return evaluation


def _chosen(kind: str, wanted: Sequence[str], there: Sequence[str]) -> list[str]:
    """The names that are wanted, in the order of those there are; all, if none is named."""
    for name in wanted:
        if name not in there:
            raise ValueError(f"no {kind} is called {name!r}; there are: {', '.join(there)}")
    return [name for name in there if not wanted or name in wanted]


def _open_sets(evaluation: Evaluation) -> None:
    """Open the sets at hand; what is missing is said, and is an error where the set was asked for by name."""
    request = evaluation.request
    for name in request.sets or evaluation.table.sets:
        source = SOURCES.get(name)
        title = source.title if source else name
        try:
            if source and name != "sample" and request.data is None:
                raise DataSetError(f"{title}: no --data was given. {remedy(name)}")
            dataset = open_dataset(name, request.data)
        except DataSetError as error:
            if request.sets:
                raise
            evaluation.lines[name] = f"{title}: not at hand. {remedy(name)}"
            tqdm.write(f"note: {error}", file=sys.stderr)
            continue
        problems = check(name, request.data)
        for problem in problems:
            tqdm.write(f"note: {title}: {problem}", file=sys.stderr)
        limited = dataset[: request.limit] if request.limit else dataset
        evaluation.sets[name] = limited
        evaluation.digests[name] = hashlib.sha256("\n".join(dataset.names).encode()).hexdigest()[:16]
        first = f"the first {len(limited):,} of " if len(limited) < len(dataset) else ""
        notes = "".join(f"; {without_folders(problem)}" for problem in problems)
        evaluation.lines[name] = f"{title}, {first}{len(dataset):,} pictures{notes}"


def _run(evaluation: Evaluation) -> None:
    """Do what the results files lack, set by set with each backbone."""
    task, request = evaluation.table.task, evaluation.request
    amounts = [task.amount(len(dataset), evaluation.seeds) for dataset in evaluation.sets.values()]
    total = sum(amounts) * len(evaluation.backbones)
    with tqdm(total=total, unit=task.unit, smoothing=0.05, disable=None) as progress:
        for name, backbone in evaluation.backbones.items():
            methods = _possible(evaluation, backbone)
            for set_name, dataset in evaluation.sets.items():
                progress.set_description(f"{SOURCES[set_name].title}, {name}")
                contents = dataset.contents()
                made_of = {
                    "weights": backbone.fingerprint,
                    "recipe": asdict(backbone.recipe),
                    "foreground_recipe": asdict(backbone.foreground_recipe),
                    "version": __version__,
                }
                if task.pooled:  # its rows are made of all pictures; others of one, and say so
                    made_of["contents"] = hashlib.sha256("".join(contents.values()).encode()).hexdigest()
                records = Records(
                    evaluation.folder / f"{set_name}-{name}.jsonl",
                    _settings(evaluation, set_name, backbone),
                    made_of,
                    overwrite=request.overwrite,
                )
                evaluation.records[set_name, name] = records
                if not task.pooled:
                    records.keep(partial(_is_current, contents))
                job = Job(
                    set_name,
                    dataset,
                    contents,
                    backbone,
                    methods,
                    evaluation.seeds,
                    evaluation.inputs,
                    request,
                )
                evaluation.failures |= task.run(job, records, progress)


def _possible(evaluation: Evaluation, backbone: Backbone) -> list[str]:
    """The methods that can be run with a backbone; why others cannot is kept for the report."""
    for method in evaluation.methods:
        reason = evaluation.table.task.obstacle(method, backbone, evaluation.request)
        if reason:
            evaluation.not_run[method] = reason
    return [method for method in evaluation.methods if method not in evaluation.not_run]


def _settings(evaluation: Evaluation, set_name: str, backbone: Backbone) -> Row:
    """What rows of one file must share. Methods, seeds and limits may differ: rows say theirs."""
    request = evaluation.request
    return {
        "table": request.table,
        "set": set_name,
        "pictures": evaluation.digests[set_name],
        "backbone": backbone.name,
        "stride": backbone.stride,
        "size": request.size,
        "inputs": evaluation.inputs,
        "batch": request.batch,
    }


def _is_current(contents: dict[str, str], row: Row) -> bool:
    """Whether a row's picture and truth are still what they were; others are left alone."""
    image = row.get("image")
    return image not in contents or row.get("content") == contents[image]
