"""The command as a user meets it: reports, going on after a kill, bad pictures, missing data."""

import csv
import json
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import normalized_mutual_info_score

from deepcut_lib.backbones import Backbone
from deepcut_lib.baselines import has_leiden
from deepcut_lib.cli.main import main
from deepcut_lib.datasets import KeyPoint
from deepcut_lib.evaluation.evaluate import evaluate as fill
from deepcut_lib.evaluation.methods import METHODS, Method, Prediction
from deepcut_lib.evaluation.paper import PAPER, QUOTED
from deepcut_lib.evaluation.request import Request
from deepcut_lib.evaluation.tables import METRICS, TABLES
from deepcut_lib.evaluation.tasks import pictures
from deepcut_lib.evaluation.tasks.parts import fit_picture
from deepcut_lib.metrics import corloc
from deepcut_lib.threads import ahead
from tests.datasets import miniature

FAST = ["--backbone", "pixels", "--size", "96"]


def evaluate(root: Path, table: str, *more: str, fast: list[str] = FAST) -> int:
    return main(["evaluate", table, "--data", str(root / "data"), "--out", str(root / "out"), *fast, *more])


def table_of(folder: Path) -> dict[tuple[str, str, str], dict[str, str]]:
    with (folder / "table.csv").open() as file:
        return {(row["method"], row["column"], row["measure"]): row for row in csv.DictReader(file)}


def rows_of(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()[1:]]


@pytest.fixture
def horses(tmp_path: Path) -> Path:
    miniature.masked(tmp_path / "data", "horses", count=5)
    return tmp_path


def test_all_methods_on_masks(horses: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate(horses, "horses", "--seeds", "2") == 0
    out = horses / "out" / "horses-pixels"
    printed = capsys.readouterr().out
    report = (out / "report.md").read_text()
    assert report in printed
    for words in (
        "python -m deepcut_lib evaluate horses --data ROOT --backbone pixels --seeds 2 --size 96",
        "# Horses: foreground of photographs, `pixels`\n",
        "Weizmann horses, 5 pictures",
        "`pixels`, colour and texture of a patch",
        "seeds 0 to 1: mean ± sample standard deviation",
        "torch 2",
        "the same features for all methods",
        "DINO-[CLS]: pixels has no CLS attention",
        "Images a second",
        "![Horses",
    ):
        assert words in report
    assert str(horses) not in report
    assert (out / "figure.png").stat().st_size > 1000
    table = table_of(out)
    run_here = {key[0] for key in table}
    assert {
        "ncut",
        "cc",
        "tokencut",
        "deep_spectral_colour",
        "lost",
        "kmeans3",
        "dff2",
        "middle_box",
    } <= run_here
    assert {row["images"] for row in table.values()} <= {"5", "10"}
    rows = rows_of(out / "horses-pixels.jsonl")
    # means with their intervals; only those pairs that were both run
    ncut = next(line for line in report.splitlines() if line.startswith("| DeepCut, N-cut | "))
    assert re.search(r"\| \d+\.\d ± \d+\.\d \[\d+\.\d, \d+\.\d\] \|", ncut)
    assert "95 % bootstrap interval over pictures" in report
    apart = re.search(r"\| DeepCut, N-cut − k-means, k=3 \| (\S+) \[(\S+), (\S+)\] \|", report)
    assert apart is not None
    mean, low, high = map(float, apart.groups())
    assert low <= mean <= high
    means = [float(table[method, "horses", "iou"]["mean"]) for method in ("ncut", "kmeans3")]
    assert mean == pytest.approx(means[0] - means[1], abs=0.051)
    assert "and prior − " not in report
    assert len([row for row in rows if row["method"] == "ncut"]) == 10
    assert len([row for row in rows if row["method"] == "tokencut"]) == 5
    # the mean and deviation in the table are those of the rows
    by_seed = [np.mean([r["iou"] for r in rows if (r["method"], r["seed"]) == ("ncut", s)]) for s in (0, 1)]
    assert float(table["ncut", "horses", "iou"]["mean"]) == pytest.approx(100 * np.mean(by_seed), abs=1e-3)
    assert float(table["ncut", "horses", "iou"]["std"]) == pytest.approx(
        100 * np.std(by_seed, ddof=1), abs=1e-3
    )
    # the middle box is the true rectangle; from 1 on its rim counts as well
    assert float(table["middle_box", "horses", "iou"]["mean"]) == 100
    assert float(table["middle_box", "horses", "max_f"]["mean"]) == 100
    assert float(table["middle_box", "horses", "corloc"]["mean"]) == 100
    assert float(table["middle_box", "horses", "iou_any"]["mean"]) == pytest.approx(
        100 * 384 / (26 * 18), abs=1e-3
    )


def test_table_1_scores_boxes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    miniature.voc(tmp_path / "data")
    assert evaluate(tmp_path, "1", "--methods", "ncut", "lost", "middle_box") == 0
    printed = capsys.readouterr()
    assert "VOC12: not at hand. Download it: python -m deepcut_lib datasets download voc12" in printed.out
    assert "VOC07: " in printed.err  # three pictures of 5,011
    report = (tmp_path / "out" / "table1-pixels" / "report.md").read_text()
    assert "| method | VOC07 | *paper* | VOC12 | *paper* | COCO20k | *paper* |" in report
    assert re.search(
        r"\| DeepCut, N-cut \| [\d.]+ \[[\d.]+, [\d.]+\] \| \*69.8\* \|  \| \*72.2\* \|  \| \*61.6\* \|",
        report,
    )
    assert "fitted as each method's publication does" in report
    middle = [(12, 8, 36, 24)] * 3
    truths = [[(8, 4, 40, 30)], [(0, 0, 48, 32), (1, 2, 10, 12)], [(2, 2, 20, 20)]]
    table = table_of(tmp_path / "out" / "table1-pixels")
    assert float(table["middle_box", "voc07", "corloc"]["mean"]) == pytest.approx(
        100 * corloc(middle, truths), abs=1e-3
    )
    assert table["ncut", "voc12", "corloc"]["mean"] == ""


def test_a_set_without_boxes_is_scored_by_the_boxes_of_its_masks(horses: Path) -> None:
    assert evaluate(horses, "1", "--sets", "horses", "--methods", "middle_box") == 0
    table = table_of(horses / "out" / "table1-pixels")
    assert float(table["middle_box", "horses", "box_iou"]["mean"]) == 100


def test_table_2_scores_cubs_middle_square(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def all_is_bird(views: Any, setup: Any, seed: int) -> list[Prediction]:
        return [
            Prediction((0, 0, *view.picture.size), np.ones(view.picture.size[::-1], bool)) for view in views
        ]

    monkeypatch.setitem(METHODS, "lost", Method("LOST", all_is_bird))
    miniature.cub(tmp_path / "data")
    miniature.masked(tmp_path / "data", "ECSSD", masks="ground_truth_mask")
    assert evaluate(tmp_path, "2", "--methods", "middle_box", "tokencut", "lost") == 0
    table = table_of(tmp_path / "out" / "table2-pixels")
    assert float(table["middle_box", "cub", "iou"]["mean"]) == 100
    assert float(table["middle_box", "cub", "iou_any"]["mean"]) == pytest.approx(100 * 384 / 468, abs=1e-3)
    # 48×32 pixels, 24×16 of them bird; of CUB only the 32×32 in the middle count
    assert float(table["lost", "cub", "accuracy"]["mean"]) == pytest.approx(100 * 384 / 32**2, abs=1e-3)
    assert float(table["lost", "ecssd", "accuracy"]["mean"]) == pytest.approx(100 * 384 / (48 * 32), abs=1e-3)
    assert table["tokencut", "ecssd", "iou"]["paper"] == "71.2"
    # methods that were not asked for have the paper's number alone, and quoted rows never have another
    assert table["deep_spectral", "cub", "iou"]["paper"] == "76.9"
    assert table["voynov", "cub", "iou"]["paper"] == "68.3"
    for name in ("deep_spectral", "voynov", "onegan"):
        row = table[name, "cub", "iou"]
        assert (row["mean"], row["seeds"], row["images"]) == ("", "0", "0")
    assert {row["method"] for row in rows_of(tmp_path / "out" / "table2-pixels" / "cub-pixels.jsonl")} == {
        "middle_box",
        "tokencut",
        "lost",
    }


def test_killed_runs_go_on_to_the_same_table(horses: Path) -> None:
    miniature.masked(horses / "data", "horses", count=30)
    options = ["--methods", "ncut", "kmeans2", "tokencut", "--seeds", "2", "--batch", "2"]
    arguments = ["evaluate", "horses", "--data", str(horses / "data"), *FAST, *options]
    file = horses / "killed" / "horses-pixels" / "horses-pixels.jsonl"
    killer = """
import os, signal, sys
from deepcut_lib.cli.main import main
from deepcut_lib.evaluation.records import Records
append = Records.append
def append_and_die(self, rows):
    append(self, rows)
    if len(list(self.rows())) > 8:
        os.kill(os.getpid(), signal.SIGKILL)
Records.append = append_and_die
main(sys.argv[1:])
"""
    command = [sys.executable, "-c", killer, *arguments, "--out", str(horses / "killed")]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    kept = file.read_bytes()
    assert 9 < kept.count(b"\n") < 30 * 5
    file.write_bytes(kept + b'{"method": "ncut", "se')  # as if it had been killed while writing

    assert main([*arguments, "--out", str(horses / "killed")]) == 0
    assert file.read_bytes().startswith(kept[: kept.rfind(b"\n") + 1])
    assert main([*arguments, "--out", str(horses / "whole")]) == 0
    first, second = (horses / name / "horses-pixels" for name in ("killed", "whole"))
    assert (first / "table.csv").read_bytes() == (second / "table.csv").read_bytes()

    def results(folder: Path) -> list[dict[str, Any]]:
        rows = [{**row, "seconds": 0} for row in rows_of(folder / "horses-pixels.jsonl")]
        return sorted(rows, key=lambda row: (row["method"], row["seed"], row["image"]))

    assert results(first) == results(second)
    assert len(results(first)) == 30 * 5


def test_more_methods_seeds_and_pictures_add_to_what_is_there(
    horses: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert evaluate(horses, "horses", "--methods", "kmeans2", "--limit", "2") == 0
    file = horses / "out" / "horses-pixels" / "horses-pixels.jsonl"
    first = file.read_text()
    assert evaluate(horses, "horses", "--methods", "kmeans2", "lost", "--seeds", "2") == 0
    assert file.read_text().startswith(first)
    assert len(rows_of(file)) == 5 * 3
    whole = file.read_text()

    monkeypatch.setattr(pictures, "look", None)  # nothing is left to look at
    assert evaluate(horses, "horses", "--methods", "kmeans2", "lost", "--seeds", "2") == 0
    assert file.read_text() == whole
    assert evaluate(horses, "horses", "--methods", "kmeans2", "--limit", "2") == 0
    table = table_of(file.parent)
    assert {key[0] for key in table} == {"kmeans2"}
    assert {row["images"] for row in table.values()} == {"2"}


def test_other_settings_do_not_mix(horses: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate(horses, "horses", "--methods", "lost") == 0
    assert evaluate(horses, "horses", "--methods", "lost", "--stride", "8") == 1
    assert "stride 16 instead of 8" in capsys.readouterr().err
    miniature.picture(horses / "data" / "horses" / "images" / "9.jpg")
    miniature.mask(horses / "data" / "horses" / "masks" / "9.png")
    assert evaluate(horses, "horses", "--methods", "lost") == 1
    assert "pictures " in capsys.readouterr().err
    assert evaluate(horses, "horses", "--methods", "lost", "--overwrite") == 0


def test_corrected_masks_and_other_weights_are_done_anew(
    horses: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = horses / "out" / "horses-pixels" / "horses-pixels.jsonl"
    assert evaluate(horses, "horses", "--methods", "lost", "kmeans2") == 0
    before = {(row["method"], row["image"]): row for row in rows_of(file)}
    mask = horses / "data" / "horses" / "masks" / "0003.png"
    with Image.open(mask) as stored:
        corrected = 255 - np.asarray(stored.convert("L"))
    Image.fromarray(corrected).save(mask)
    assert evaluate(horses, "horses", "--methods", "lost", "kmeans2") == 0
    after = {(row["method"], row["image"]): row for row in rows_of(file)}
    assert before.keys() == after.keys()
    assert {key for key in after if after[key] != before[key]} == {("lost", "0003"), ("kmeans2", "0003")}
    monkeypatch.setattr(Backbone, "fingerprint", "of other weights")
    assert evaluate(horses, "horses", "--methods", "lost") == 0
    assert {row["method"] for row in rows_of(file)} == {"lost"}
    aside = file.with_name("horses-pixels.earlier1.jsonl")
    assert len(list(rows_of(aside))) == len(after)


def test_broken_pictures_are_listed_and_do_not_stop_the_others(
    horses: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images, masks = (horses / "data" / "horses" / name for name in ("images", "masks"))
    (images / "0002.jpg").write_bytes((images / "0002.jpg").read_bytes()[:300])
    (masks / "0003.png").unlink()
    miniature.mask(masks / "0004.png", size=(10, 10))
    assert evaluate(horses, "horses", "--methods", "ncut", "lost") == 1
    printed = capsys.readouterr()
    report = (horses / "out" / "horses-pixels" / "report.md").read_text()
    assert "3 could not be done:" in report
    for bad, why in (("0002", "truncated or damaged"), ("0003", "no such file"), ("0004", "10×10 pixels")):
        assert re.search(rf"not done: {bad}: .*{why}", printed.err)
        assert re.search(rf"^\* {bad}: .*{why}", report, re.M)
    assert str(horses) not in report
    assert table_of(horses / "out" / "horses-pixels")["lost", "horses", "iou"]["images"] == "2"

    miniature.picture(images / "0002.jpg", seed=2)  # mended: it alone is done
    miniature.mask(masks / "0003.png")
    miniature.mask(masks / "0004.png")
    assert evaluate(horses, "horses", "--methods", "ncut", "lost") == 0
    assert table_of(horses / "out" / "horses-pixels")["lost", "horses", "iou"]["images"] == "5"


def test_a_method_that_fails_on_a_picture_is_listed(
    horses: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = METHODS["lost"].run

    def moody(views: Any, setup: Any, seed: int) -> Any:
        if any(np.asarray(view.picture)[0, 0, 0] == first for view in views):
            raise ValueError("no eigenvector")
        return lost(views, setup, seed)

    first = np.asarray(Image.open(horses / "data" / "horses" / "images" / "0003.jpg"))[0, 0, 0]
    monkeypatch.setitem(METHODS, "lost", Method("LOST", moody))
    assert evaluate(horses, "horses", "--methods", "lost", "middle_box") == 1
    assert "not done: 0003: LOST: no eigenvector" in capsys.readouterr().err
    table = table_of(horses / "out" / "horses-pixels")
    assert table["lost", "horses", "iou"]["images"] == "4"
    assert table["middle_box", "horses", "iou"]["images"] == "5"


def test_an_interrupt_leaves_a_report(
    horses: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = iter([pictures.mask_scores] * 3)

    def interrupted(*arguments: Any) -> Any:
        score = next(calls, None)
        if score is None:
            raise KeyboardInterrupt
        return score(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(pictures, "mask_scores", interrupted)
        assert evaluate(horses, "horses", "--methods", "lost", "--batch", "3") == 130
    assert "run the same command again" in capsys.readouterr().err
    table = table_of(horses / "out" / "horses-pixels")
    assert table["lost", "horses", "iou"]["images"] == "3"


def test_no_more_than_the_next_group_is_read_ahead() -> None:
    """However long a set is: while one group is worked on, only the one after it is made."""
    begun = [threading.Event() for _ in range(8)]

    def groups() -> Iterator[int]:
        for number, event in enumerate(begun):
            event.set()
            yield number

    for number in ahead(groups()):
        if number + 1 < len(begun):
            assert begun[number + 1].wait(30)  # made meanwhile, without being asked for
        assert not any(event.wait(0.01) for event in begun[number + 2 :])
    assert number == 7


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["horses", "--data", "nowhere", "--sets", "horses"], "images is missing"),
        (["horses", "--methods", "deepcat"], "no method of this table is called 'deepcat'"),
        (["2", "--methods", "onegan"], "no method of this table is called 'onegan'"),
        (["1", "--sets", "imagenet"], "no data set is called 'imagenet'"),
        (["sample", "--seeds", "0"], "--seeds: must be at least 1"),
        (["sample", "--backbone", "pixels", "tiny_vit"], "one backbone at a time"),
        (["sample", "--backbone", "resnet"], "no backbone is called"),
    ],
)
def test_errors_are_one_line(
    tmp_path: Path,
    arguments: list[str],
    words: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["evaluate", *arguments]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert words in error
    assert len(error.splitlines()) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("table", ["1", "2", "3", "4", "5"])
def test_without_data_a_table_has_the_papers_numbers_and_how_to_fill_it(
    table: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = tmp_path / "RESULTS.md"
    record.write_text("# Results\n\nBy hand.\n")
    for _ in range(2):
        assert main(["evaluate", table, "--out", str(tmp_path / "out"), "--record", str(record)]) == 1
    assert "nothing was evaluated" in capsys.readouterr().err
    text = record.read_text()
    assert text.startswith("# Results\n\nBy hand.\n")
    assert text.count(f"## Table {table}: ") == 1
    assert f"python -m deepcut_lib evaluate {table} --data ROOT --backbone " in text
    for mean, _ in PAPER[table].values():
        assert f"*{mean}" in text
    (link,) = re.findall(r"\]\((.*?)\)", text)
    assert (tmp_path / link).stat().st_size > 1000


@pytest.mark.parametrize(
    ("table", "lines"),
    [
        (
            "1",
            [
                "| Selective Search |  | *18.8* |  | *20.9* |  | *6.0* |",
                "| EdgeBoxes |  | *31.1* |  | *31.6* |  | *28.8* |",
            ],
        ),
        (
            "2",
            [
                "| OneGAN (quoted) |  | *55.5* |  |  |  |  |",
                "| Voynov et al. (quoted) |  | *68.3* |  | *49.8* |  |  |",
                "* OneGAN: a trained network; its weights are not at hand",
                "* Voynov et al.: a trained network; its weights are not at hand",
            ],
        ),
        (
            "3",
            [
                "| SCOPS (quoted) |  | *24.4* |",
                "| Huang and Li (quoted) |  | *26.1* |",
                "| Choudhury et al. (quoted) |  | *43.5* |",
                "| SCOPS (quoted) |  | *7.1* |",
                "| Huang and Li (quoted) |  | *13.2* |",
                "| Choudhury et al. (quoted) |  | *19.6* |",
                "* SCOPS: trained with ground-truth foreground; its weights are not at hand",
                "* Huang and Li: trained with ground-truth foreground; its weights are not at hand",
                "* Choudhury et al.: trained with ground-truth foreground; its weights are not at hand",
            ],
        ),
    ],
)
def test_rows_of_rivals_have_the_papers_numbers(table: str, lines: list[str], tmp_path: Path) -> None:
    report = fill(Request(table, out=tmp_path)).report
    written = report.splitlines()
    assert [line for line in written if line in lines] == lines
    quoted = [line for line in written if "(quoted)" in line]
    assert quoted == [line for line in lines if "(quoted)" in line]
    assert ("Quoted from the paper, not run:" in written) == bool(quoted)


def test_quoted_rows_are_shown_for_their_data_sets_only(tmp_path: Path) -> None:
    miniature.masked(tmp_path / "data", "ECSSD", masks="ground_truth_mask")
    assert evaluate(tmp_path, "2", "--sets", "ecssd", "--methods", "middle_box") == 0
    assert "uoted" not in (tmp_path / "out" / "table2-pixels" / "report.md").read_text()


def test_the_published_tables_have_published_settings_and_what_they_score() -> None:
    assert "cc_alpha6" in TABLES["horses"].methods
    assert not {"cc_alpha6"} & {*TABLES["1"].methods, *TABLES["2"].methods}
    assert {*TABLES["1"].methods} - {*TABLES["2"].methods} == {
        "selective_search",
        "edge_boxes",
    }  # boxes alone


def test_a_table_is_filled_from_python(horses: Path, capsys: pytest.CaptureFixture[str]) -> None:
    request = Request(
        "horses",
        data=horses / "data",
        backbones=["pixels"],
        size=96,
        methods=["middle_box"],
        out=horses / "out",
    )
    evaluation = fill(request)
    assert capsys.readouterr().out == ""
    assert evaluation.report == (evaluation.folder / "report.md").read_text()
    assert not evaluation.failures
    assert table_of(evaluation.folder)["middle_box", "horses", "iou"]["mean"] == "100.0000"
    with pytest.raises(ValueError, match="no table is called '6'"):
        fill(Request("6"))


def test_tables_are_whole() -> None:
    for name, table in TABLES.items():
        assert set(table.methods) <= set(table.task.titles)
        assert set(table.metrics) <= set(METRICS)
        quoted = QUOTED.get(name, {})
        assert not set(quoted) & set(table.task.titles)
        for method, column, metric in PAPER[name]:
            assert method in table.methods or method in quoted
            assert method in table.methods or column in table.sets
            assert metric in table.metrics
    assert set(QUOTED) <= set(TABLES)


def test_boxes_without_masks_have_no_iou(horses: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deepcut_lib.evaluation.methods.has_ximgproc", lambda: True)
    monkeypatch.setattr("deepcut_lib.evaluation.methods.selective_search", lambda picture: (12, 8, 36, 24))
    assert evaluate(horses, "horses", "--methods", "selective_search") == 0
    table = table_of(horses / "out" / "horses-pixels")
    assert {key[2] for key in table} == {"corloc"}
    assert not (horses / "out" / "horses-pixels" / "figure.png").exists()  # there is nothing to draw
    assert float(table["selective_search", "horses", "corloc"]["mean"]) == 100


def test_table_3_scores_key_points(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    miniature.cub(tmp_path / "data")
    monkeypatch.setattr("deepcut_lib.parts.EPOCHS", 3)
    assert evaluate(tmp_path, "3", "--seeds", "2", fast=["--backbone", "pixels"]) == 0
    out = tmp_path / "out" / "table3-pixels"
    assert "Amir et al.: pixels has no CLS attention" in (out / "report.md").read_text()
    rows = rows_of(out / "cub-pixels.jsonl")
    assert len(rows) == 2 * 2 * 2
    for row in rows:
        assert row["parts"] == [part for part in range(1, 16) if part not in (2, 15)]
        assert set(row["labels"]) <= set(range(5))
    table = table_of(out)
    assert table["ncut", "cub", "nmi"]["paper"] == "43.9"
    pooled = [row for row in rows if (row["method"], row["seed"]) == ("dff", 0)]
    truth, labels = ([label for row in pooled for label in row[key]] for key in ("parts", "labels"))
    first = normalized_mutual_info_score(truth, labels)
    pooled = [row for row in rows if (row["method"], row["seed"]) == ("dff", 1)]
    truth, labels = ([label for row in pooled for label in row[key]] for key in ("parts", "labels"))
    second = normalized_mutual_info_score(truth, labels)
    assert float(table["dff", "cub", "nmi"]["mean"]) == pytest.approx(50 * (first + second), abs=1e-3)

    before = (out / "cub-pixels.jsonl").read_text()
    assert evaluate(tmp_path, "3", "--seeds", "2", fast=["--backbone", "pixels"]) == 0
    assert (out / "cub-pixels.jsonl").read_text() == before


def test_table_3_with_a_vit_that_has_attention(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    miniature.cub(tmp_path / "data")
    monkeypatch.setattr("deepcut_lib.evaluation.tasks.parts.SHORTER_SIDE", 64)
    options = ["--backbone", "tiny_vit"]
    assert evaluate(tmp_path, "3", "--methods", "amir", fast=options) == 0
    table = table_of(tmp_path / "out" / "table3-tiny_vit")
    assert table["amir", "cub", "nmi"]["images"] == "2"


def test_key_points_follow_the_picture() -> None:
    picture = Image.new("RGB", (500, 375))
    picture.putpixel((400, 200), (255, 255, 255))
    fitted, (point,) = fit_picture(picture, [KeyPoint(1, 400.5, 200.5)])
    assert fitted.size == (336, 256)
    brightest = np.asarray(fitted).sum(2)
    y, x = np.unravel_index(brightest.argmax(), brightest.shape)
    assert (int(point.x), int(point.y)) == (x, y)


def test_table_4_compares_backbones(tmp_path: Path) -> None:
    miniature.voc(tmp_path / "data")
    assert evaluate(tmp_path, "4", fast=["--backbone", "pixels", "tiny_vit", "--size", "64"]) == 0
    table = table_of(tmp_path / "out" / "table4")
    assert {key[1] for key in table} == {"pixels", "tiny_vit"}
    assert 0 <= float(table["cc", "pixels", "negative"]["mean"]) <= 100
    assert 0 < float(table["cc", "pixels", "negative_clustered"]["mean"]) < 100
    assert ("ncut", "pixels", "negative") not in table


def test_table_5_draws_classes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    miniature.fashion(tmp_path / "data", per_class=4)
    (tmp_path / "data" / "fashion" / "images" / "101.jpg").write_bytes(b"no picture")
    assert evaluate(tmp_path, "5", "--seeds", "2") == 1
    printed = capsys.readouterr()
    assert "not done: 101: " in printed.err
    assert "in percent, but for numbers of clusters" in printed.out
    out = tmp_path / "out" / "table5-pixels"
    table = table_of(out)
    methods = [method for method in TABLES["5"].methods if method != "leiden" or has_leiden()]
    assert {(key[0], key[1]) for key in table} == {(method, count) for method in methods for count in "345"}
    assert table["cc", "3", "purity"]["seeds"] == "2"
    assert table["cc", "3", "purity"]["paper"] == "98.3"
    rows = rows_of(out / "fashion-pixels.jsonl")
    assert len(rows) == len(methods) * 3 * 2
    # three pictures of each class: all draws have the class that has lost one of its four
    assert {(row["classes"], row["image"]) for row in rows} == {
        ("3", "9 pictures"),
        ("4", "12 pictures"),
        ("5", "15 pictures"),
    }
    before = (out / "fashion-pixels.jsonl").read_text()
    evaluate(tmp_path, "5", "--seeds", "2")
    assert (out / "fashion-pixels.jsonl").read_text() == before
    assert not any("gap" in row for row in rows)
    capsys.readouterr()
    evaluate(tmp_path, "5", "--seeds", "1", "--certificate", "5")
    assert "short of the upper bound" in capsys.readouterr().out
    rows = rows_of(out / "fashion-pixels.jsonl")
    assert {row["seed"] for row in rows if "gap" not in row} == {1}  # what was not asked for is kept
    certified = {(row["method"], row["classes"]): row["gap"] for row in rows if "gap" in row}
    assert certified["cc_search", "3"] <= 1e-6
    assert min(certified.values()) >= 0
