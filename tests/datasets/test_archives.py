"""The files of the data sets, from a server on this machine: fetched, checked, unpacked to their end."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deepcut_lib.datasets import archives, download, open_dataset, sources
from deepcut_lib.datasets.archives import Archive, obtain, unfinished
from deepcut_lib.downloads import ATTEMPTS, DownloadError
from tests.datasets import miniature
from tests.served import Server, tarred, zipped


def archive_on(server: Server, name: str, content: bytes, **fields: Any) -> Archive:
    """Put a file up; its checksum and size are right unless given."""
    right = {"checksum": hashlib.sha256(content).hexdigest(), "size": len(content)}
    return Archive(server.put(name, content), name, **{**right, **fields})


def test_a_foreign_file_under_its_name_is_refused(server: Server, tmp_path: Path) -> None:
    (tmp_path / "archives").mkdir()
    there = tmp_path / "archives" / "a.zip"
    there.write_bytes(b"something else")
    for fields in ({}, {"checksum": None}):
        with pytest.raises(DownloadError, match=r"a\.zip: is not the file .*delete it and run again"):
            obtain(archive_on(server, "a.zip", zipped({"one.txt": b"1"}), **fields), tmp_path)
    assert there.read_bytes() == b"something else"
    assert server.asked == []


def test_an_unpacking_that_stopped_is_known(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = archive_on(server, "a.zip", zipped({"one.txt": b"1"}), into="there")

    def stopped(path: Path, folder: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(archives, "unpack", stopped)
        obtain(archive, tmp_path)
    assert unfinished(archive, tmp_path)
    obtain(archive, tmp_path)
    assert not unfinished(archive, tmp_path)
    assert (tmp_path / "there" / "one.txt").read_text() == "1"
    assert len(server.asked) == 1


def packed(folder: Path, *parts: str) -> dict[str, bytes]:
    paths = [path for part in parts for path in sorted((folder / part).rglob("*")) if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def test_a_full_run_after_a_partial_one(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    miniature.masked(tmp_path / "made", "ECSSD", masks="ground_truth_mask")
    made, root = tmp_path / "made" / "ECSSD", tmp_path / "root"
    images = archive_on(server, "images.zip", zipped(packed(made, "images")), into="ECSSD")
    masks = archive_on(server, "masks.tgz", tarred(packed(made, "ground_truth_mask")), into="ECSSD")
    mini = replace(sources.SOURCES["ecssd"], archives=(images, masks), count=3)
    monkeypatch.setitem(sources.SOURCES, "ecssd", mini)

    server.cut_after = [100] + [0] * ATTEMPTS  # the first run gets no further
    with pytest.raises(DownloadError, match="run again to go on"):
        download("ecssd", root)
    download("ecssd", root)
    assert [sample.name for sample in open_dataset("ecssd", root)] == ["0001", "0002", "0003"]
    assert "bytes=100-" in server.asked

    asked = len(server.asked)
    download("ecssd", root)  # nothing is missing: nothing is asked for
    (root / "ECSSD" / "images" / "0002.jpg").unlink()
    download("ecssd", root)  # the archives are still there
    assert len(server.asked) == asked
    assert (root / "ECSSD" / "images" / "0002.jpg").exists()


def test_every_file_of_the_sets_is_pinned() -> None:
    for name, source in sources.SOURCES.items():
        for archive in source.archives:
            assert archive.checksum or name == "duts"
            assert archive.url.startswith("http")
        assert source.archives or source.instructions


@pytest.mark.parametrize("name", ["set.zip", "set.tgz"])
def test_a_login_page_is_no_archive(server: Server, tmp_path: Path, name: str) -> None:
    """Where no checksum is published, the content itself must tell."""
    page = archive_on(server, name, b"<!doctype html>Please log in", checksum=None, size=None)
    with pytest.raises(DownloadError, match=r"what arrived is no \..* archive .*login"):
        obtain(page, tmp_path)
    assert not list((tmp_path / "archives").iterdir())
    whole = zipped({"a": b"1"}) if name.endswith("zip") else tarred({"a": b"1"})
    obtain(archive_on(server, name, whole, checksum=None, size=None), tmp_path)
    assert (tmp_path / "a").read_bytes() == b"1"
