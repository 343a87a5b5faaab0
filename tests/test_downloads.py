"""Downloads that break off, lie or meet, and archives that are damaged or write where they should not."""

import hashlib
import os
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from deepcut_lib.downloads import ATTEMPTS, DownloadError, fetch, unpack
from tests.served import Server, tarred, zipped

CONTENT = os.urandom(300_000)
RIGHT: dict[str, Any] = {"checksum": hashlib.sha256(CONTENT).hexdigest(), "size": len(CONTENT)}


def test_a_whole_file(server: Server, tmp_path: Path) -> None:
    target = tmp_path / "deep" / "a.bin"
    assert fetch(server.put("a.bin", CONTENT), target) == target
    assert target.read_bytes() == CONTENT
    assert server.asked == [None]
    assert [path.name for path in target.parent.iterdir()] == ["a.bin"]


def test_what_was_there_is_replaced(server: Server, tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"damaged")
    assert fetch(server.put("a.bin", CONTENT), tmp_path / "a.bin").read_bytes() == CONTENT


def test_cut_connections_are_gone_on_with(server: Server, tmp_path: Path) -> None:
    server.cut_after = [100_000, 50_000]
    assert fetch(server.put("a.bin", CONTENT), tmp_path / "a.bin", **RIGHT).read_bytes() == CONTENT
    assert server.asked == [None, "bytes=100000-", "bytes=150000-"]


def test_what_an_earlier_run_left_is_gone_on_with(server: Server, tmp_path: Path) -> None:
    (tmp_path / "a.bin.part").write_bytes(CONTENT[:123_456])
    assert fetch(server.put("a.bin", CONTENT), tmp_path / "a.bin", **RIGHT).read_bytes() == CONTENT
    assert server.asked == ["bytes=123456-"]


@pytest.mark.parametrize("size", [None, len(CONTENT)])
def test_a_part_that_is_all_needs_no_more(server: Server, tmp_path: Path, size: int | None) -> None:
    (tmp_path / "a.bin.part").write_bytes(CONTENT)
    assert fetch(server.put("a.bin", CONTENT), tmp_path / "a.bin", size=size).read_bytes() == CONTENT
    assert len(server.asked) == (size is None)


def test_a_part_of_something_longer_is_begun_anew(server: Server, tmp_path: Path) -> None:
    (tmp_path / "a.bin.part").write_bytes(CONTENT + b"more")
    assert fetch(server.put("a.bin", CONTENT), tmp_path / "a.bin", **RIGHT).read_bytes() == CONTENT


def test_a_server_without_ranges_sends_all_again(server: Server, tmp_path: Path) -> None:
    server.ranges = False
    server.cut_after = [100_000]
    assert fetch(server.put("a.bin", CONTENT), tmp_path / "a.bin", **RIGHT).read_bytes() == CONTENT
    assert server.asked == [None, "bytes=100000-"]


def test_a_wrong_checksum_is_refused(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="another checksum"):
        fetch(server.put("a.bin", CONTENT), tmp_path / "a.bin", checksum="0" * 64)
    assert list(tmp_path.iterdir()) == []


def test_what_fails_the_check_is_refused(server: Server, tmp_path: Path) -> None:
    def check(arrived: Path) -> None:
        assert arrived.read_bytes() == CONTENT
        raise KeyError("no such tensor")

    (tmp_path / "a.bin").write_bytes(b"before")
    with pytest.raises(KeyError):
        fetch(server.put("a.bin", CONTENT), tmp_path / "a.bin", check=check)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"before"]


def test_giving_up_keeps_what_came(server: Server, tmp_path: Path) -> None:
    url, target = server.put("a.bin", CONTENT), tmp_path / "a.bin"
    server.cut_after = [1_000] + [0] * ATTEMPTS
    with pytest.raises(
        DownloadError, match=r"1,000 bytes are kept: run again to go on.* put it at .*a\.bin$"
    ):
        fetch(url, target, **RIGHT)
    assert fetch(url, target, **RIGHT).read_bytes() == CONTENT
    assert server.asked[-1] == "bytes=1000-"


def test_no_server_and_no_file(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="answers 404"):
        fetch(server.put("a.bin", CONTENT) + "x", tmp_path / "a.bin")
    with pytest.raises(DownloadError, match="could not be downloaded"):
        fetch("http://127.0.0.1:9/a.bin", tmp_path / "a.bin")
    assert list(tmp_path.iterdir()) == []


def test_too_large_for_the_disk(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="GB are free"):
        fetch(server.put("a.bin", CONTENT), tmp_path / "a.bin", size=10**18)
    assert server.asked == []


def test_a_folder_that_cannot_be_written(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DownloadError, match="could not be written"):
        fetch(server.put("a.bin", CONTENT), tmp_path / "file" / "a.bin")


def test_a_login_page_does_not_cost_what_has_arrived(server: Server, tmp_path: Path) -> None:
    url = server.put("a.bin", CONTENT)
    (tmp_path / "a.bin.part").write_bytes(CONTENT[:100_000])
    server.page = b"<!doctype html>Please log in"
    with pytest.raises(DownloadError, match=r"a page came instead of the file.*login"):
        fetch(url, tmp_path / "a.bin", **RIGHT)
    server.page = None
    assert fetch(url, tmp_path / "a.bin", **RIGHT).read_bytes() == CONTENT
    assert server.asked == ["bytes=100000-", "bytes=100000-"]


@pytest.mark.parametrize("comes", ["whole", "in part"])
def test_who_comes_second_waits(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, comes: str
) -> None:
    """Two programs fetch the same file: the second takes what the first brought, or goes on from there."""
    fcntl = pytest.importorskip("fcntl")
    flock, waiting = fcntl.flock, threading.Event()

    def watched(file: BinaryIO, operation: int) -> None:
        if not operation & fcntl.LOCK_NB:
            waiting.set()
        flock(file, operation)

    target, partial = tmp_path / "a.bin", tmp_path / "a.bin.part"
    url = server.put("a.bin", CONTENT)
    with ThreadPoolExecutor(1) as second:
        with partial.open("wb") as first:
            flock(first, fcntl.LOCK_EX)
            monkeypatch.setattr(fcntl, "flock", watched)
            coming = second.submit(fetch, url, target)
            assert waiting.wait(30)
            first.write(CONTENT if comes == "whole" else CONTENT[:1_000])
            first.flush()
            if comes == "whole":
                partial.replace(target)
        assert coming.result().read_bytes() == CONTENT
    assert server.asked == ([] if comes == "whole" else ["bytes=1000-"])
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.zip", zipped({"good.txt": b"1", "../evil.txt": b"2"})),
        ("a.zip", zipped({"good.txt": b"1", "/evil.txt": b"2"})),
        ("a.zip", zipped({"good.txt": b"1", "..\\evil.txt": b"2"})),
        ("a.tar", tarred({"../evil.txt": b"2"}, mode="w")),
        ("a.tgz", tarred({"good.txt": b"1", "a/../../evil.txt": b"2"})),
        ("a.tgz", tarred({"link/evil.txt": b"2"}, links={"link": ".."})),
        ("a.tgz", tarred({"link/evil.txt": b"2"}, links={"link": "/"})),
    ],
)
def test_archives_that_write_outside_are_refused(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    before = {path.name for path in tmp_path.iterdir()}
    with pytest.raises(DownloadError, match="delete the file"):
        unpack(path, tmp_path / "inside")
    assert {path.name for path in tmp_path.iterdir()} == before | {"inside"}
    assert not Path("/evil.txt").exists()
    if name == "a.zip":
        assert list((tmp_path / "inside").iterdir()) == []


def test_links_in_zip_archives_are_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(link, "..")
    with pytest.raises(DownloadError, match="'link' would be written outside"):
        unpack(tmp_path / "a.zip", tmp_path / "inside")


def test_damaged_archives_are_named(tmp_path: Path) -> None:
    whole = {"a.zip": zipped({"a": CONTENT}), "b.tgz": tarred({"a": CONTENT}), "c.tar": b"no archive at all"}
    damaged = {name: content[: len(content) // 2] for name, content in whole.items()}
    damaged["d.zip"] = zipped({".": CONTENT})
    damaged["e.zip"] = zipped({"ä": CONTENT}).replace("ä".encode(), b"\xff\xff")
    for name, content in damaged.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DownloadError, match=rf"{name}: the archive is damaged"):
            unpack(tmp_path / name, tmp_path / "out")
