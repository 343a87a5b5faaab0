"""Ray's part: two nodes of which one is lost, a driver that is killed, a cluster that refuses."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("ray")

import ray
from ray.cluster_utils import Cluster

from deepcut_lib.backbones import Backbone
from deepcut_lib.cli.main import main
from deepcut_lib.distributed import Segmenting, run
from deepcut_lib.distributed.table import count_list, make_part, parts_there, place_of, read_list, write_list
from deepcut_lib.errors import DeepCutError
from tests.conftest import ROOT

pytestmark = pytest.mark.filterwarnings(
    "ignore:`use_:DeprecationWarning:ray.data",  # Ray's own, of its own settings
    "ignore::ResourceWarning",  # log files and pipes of Ray's processes
)

SIZE = 64


@pytest.fixture(scope="module", autouse=True)
def private(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No token in the home folder, no telemetry, workers in this checkout."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path_factory.mktemp("ray") / "token"))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("PYTHONPATH", str(ROOT))
        yield


@pytest.fixture(scope="module")
def cluster(private: None) -> Iterator[Cluster]:
    """A head node with one CPU, connected."""
    cluster = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 1, "object_store_memory": 80 * 2**20, "include_dashboard": False},
    )
    ray.init(address=cluster.address)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


@pytest.fixture
def many(tmp_path: Path, photograph: np.ndarray) -> Path:
    """A folder of 60 pictures."""
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(60):
        Image.fromarray(np.roll(photograph, 5 * number, axis=1)).resize((320, 240)).save(
            folder / f"{number:02}.png"
        )
    (folder / "30b.png").write_bytes(b"no picture")
    return folder


def table_of(out: Path) -> dict[str, bytes]:
    return {place.name: place.read_bytes() for place in parts_there(out)}


def by_one_machine(photos: Path, out: Path, work: Segmenting, per_file: int) -> dict[str, bytes]:
    """The table made without Ray, part after part."""
    listing = write_list([photos], out)
    for part in range(-(-count_list(listing) // per_file)):
        make_part(work, read_list(listing, part * per_file, (part + 1) * per_file), place_of(out, part))
    return table_of(out)


def test_a_lost_node_changes_nothing(cluster: Cluster, many: Path, tmp_path: Path, pixels: Backbone) -> None:
    lost = cluster.add_node(num_cpus=1, object_store_memory=80 * 2**20)
    work = Segmenting(pixels, size=SIZE, refine=True)
    out = tmp_path / "out"
    when: list[tuple[int, float]] = []

    def kill() -> None:
        while len(parts_there(out)) < 6 or ray.available_resources().get("CPU", 0) > 0:
            time.sleep(0.02)
        when.append((len(parts_there(out)), ray.available_resources().get("CPU", 0)))
        cluster.remove_node(lost, allow_graceful=False)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    outcome = run(many, out, work, per_file=1)
    killer.join(30)
    assert when[0][0] < 50  # in mid-run, with both at work
    assert (outcome.pictures, outcome.failed) == (61, 1)
    assert table_of(out) == by_one_machine(many, tmp_path / "alone", work, 1)
    assert sum(node["Alive"] for node in ray.nodes()) == 1


def test_a_killed_driver_goes_on(
    cluster: Cluster, many: Path, tmp_path: Path, pixels: Backbone, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    command = ["segment", str(many), "--out", str(out), "--backbone", "pixels", "--size", f"{SIZE}"]
    command += ["--refine", "--engine", "ray", "--per-file", "2"]
    driver = subprocess.Popen(
        [sys.executable, "-m", "deepcut_lib", *command, "--cluster", cluster.address],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=dict(os.environ),
    )
    while len(parts_there(out)) < 3:
        assert driver.poll() is None
        time.sleep(0.02)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    assert len(parts_there(out)) < 31
    assert main(command) == 1  # for the file that is no picture
    said = capsys.readouterr()
    kept = int(said.out.partition(" kept from before")[0].rpartition(" ")[2])
    assert 4 <= kept < 60
    assert "60 pictures with pixels" in said.out
    assert "not done: " in said.err
    assert "30b.png: not a picture" in said.err
    work = Segmenting(pixels, size=SIZE, refine=True)
    assert table_of(out) == by_one_machine(many, tmp_path / "alone", work, 2)


def test_a_worker_that_cannot_write(cluster: Cluster, many: Path, tmp_path: Path, pixels: Backbone) -> None:
    out = tmp_path / "out"
    place_of(out, 2).mkdir(parents=True)  # for others to write is refused, as on a full disk
    work = Segmenting(pixels, size=SIZE)
    with pytest.raises(DeepCutError) as stopped:
        run(many, out, work, per_file=10)
    assert re.search(
        r"part-000000002\.parquet: could not be written .*free some space.*"
        r"[2-6] of 7 files of the table are written, and are kept: run the same again to go on$",
        str(stopped.value),
    )


def test_no_room_for_a_worker(cluster: Cluster, many: Path, tmp_path: Path, pixels: Backbone) -> None:
    with pytest.raises(DeepCutError, match=r"1 CPUs and 0 GPUs, no room for a worker of 1 CPU and 0\.5"):
        run(many, tmp_path / "out", Segmenting(pixels, size=SIZE), gpus=0.5)


@pytest.mark.skipif(torch.cuda.is_available(), reason="the GPU works")
def test_a_gpu_that_torch_cannot_use(cluster: Cluster, many: Path, tmp_path: Path, pixels: Backbone) -> None:
    node = cluster.add_node(num_cpus=1, num_gpus=1, object_store_memory=80 * 2**20)
    with pytest.raises(DeepCutError, match="device 'cuda' cannot be used here"):
        run(many, tmp_path / "out", Segmenting(pixels, size=SIZE), gpus=0.5)
    cluster.remove_node(node)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_workers_share_a_gpu(cluster: Cluster, many: Path, tmp_path: Path, pixels: Backbone) -> None:
    node = cluster.add_node(num_cpus=2, num_gpus=1, object_store_memory=80 * 2**20)
    outcome = run(many, tmp_path / "out", Segmenting(pixels, size=SIZE), gpus=0.5, per_file=10)
    assert (outcome.pictures, outcome.failed) == (61, 1)
    cluster.remove_node(node)


def test_a_cluster_that_is_not_there(many: Path, tmp_path: Path) -> None:
    """In a process of its own: this one is connected."""
    command = ["segment", many, "--out", tmp_path / "out", "--backbone", "pixels"]
    done = subprocess.run(
        [sys.executable, "-m", "deepcut_lib", *command, "--engine", "ray", "--cluster", "ray://127.0.0.1:9"],
        capture_output=True,
        text=True,
        check=False,
        env=dict(os.environ),
    )
    assert done.returncode == 1
    assert "error: the Ray cluster ray://127.0.0.1:9 refuses (" in done.stderr
    assert "Traceback" not in done.stderr
