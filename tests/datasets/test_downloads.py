"""Downloads from a server on this machine that breaks off, lies, or sends what it should not."""

import hashlib
import io
import os
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from deepcut_lib.datasets import DownloadError, archives, download, open_dataset, sources
from deepcut_lib.datasets.archives import Archive, fetch, obtain, unfinished, unpack
from tests.datasets import miniature

CONTENT = os.urandom(300_000)


class Server:
    """Files on the loopback interface.

    Attributes:
        files: by path.
        cut_after: hang up after so many bytes of an answer, once for each entry.
        ranges: whether parts of a file can be asked for.
        asked: the Range header of each request, or None.
        page: what a captive portal answers to everything, or None.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.cut_after: list[int] = []
        self.ranges = True
        self.asked: list[str | None] = []
        self.page: bytes | None = None
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked = self.headers.get("Range")
                owner.asked.append(asked)
                if owner.page is not None:
                    self.send_response(200)
                    self.send_header("Content-Type", "text/html; charset=utf-8")
                    self.send_header("Content-Length", str(len(owner.page)))
                    self.end_headers()
                    self.wfile.write(owner.page)
                    return
                content = owner.files.get(self.path)
                if content is None:
                    self.send_error(404)
                    return
                start = int(asked.split("=")[1].rstrip("-")) if asked and owner.ranges else 0
                if start >= len(content) > 0 and start:
                    self.send_response(416)
                    self.send_header("Content-Range", f"bytes */{len(content)}")
                    self.end_headers()
                    return
                self.send_response(206 if start else 200)
                if start:
                    self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
                self.send_header("Content-Length", str(len(content) - start))
                self.end_headers()
                stop = start + owner.cut_after.pop(0) if owner.cut_after else len(content)
                self.wfile.write(content[start:stop])

            def log_message(self, *arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def archive(self, name: str, content: bytes, **fields: Any) -> Archive:
        """Put a file up; its checksum and size are right unless given."""
        self.files[f"/{name}"] = content
        right = {"checksum": f"sha256:{hashlib.sha256(content).hexdigest()}", "size": len(content)}
        return Archive(f"http://127.0.0.1:{self._server.server_port}/{name}", name, **{**right, **fields})

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(archives, "PAUSE", 0.0)
    one = Server()
    yield one
    one.close()


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def tarred(files: dict[str, bytes], links: dict[str, str] | None = None, mode: str = "w:gz") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            archive.addfile(member)
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def test_a_whole_file(server: Server, tmp_path: Path) -> None:
    archive = server.archive("a.bin", CONTENT)
    assert fetch(archive, tmp_path).read_bytes() == CONTENT
    assert fetch(archive, tmp_path).read_bytes() == CONTENT
    assert server.asked == [None]
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin"]


def test_cut_connections_are_gone_on_with(server: Server, tmp_path: Path) -> None:
    server.cut_after = [100_000, 50_000]
    assert fetch(server.archive("a.bin", CONTENT), tmp_path).read_bytes() == CONTENT
    assert server.asked == [None, "bytes=100000-", "bytes=150000-"]


def test_what_an_earlier_run_left_is_gone_on_with(server: Server, tmp_path: Path) -> None:
    (tmp_path / "a.bin.part").write_bytes(CONTENT[:123_456])
    assert fetch(server.archive("a.bin", CONTENT), tmp_path).read_bytes() == CONTENT
    assert server.asked == ["bytes=123456-"]


@pytest.mark.parametrize("size", [None, len(CONTENT)])
def test_a_part_that_is_all_needs_no_more(server: Server, tmp_path: Path, size: int | None) -> None:
    (tmp_path / "a.bin.part").write_bytes(CONTENT)
    assert fetch(server.archive("a.bin", CONTENT, size=size), tmp_path).read_bytes() == CONTENT
    assert len(server.asked) == (size is None)


def test_a_part_of_something_longer_is_begun_anew(server: Server, tmp_path: Path) -> None:
    (tmp_path / "a.bin.part").write_bytes(CONTENT + b"more")
    assert fetch(server.archive("a.bin", CONTENT), tmp_path).read_bytes() == CONTENT


def test_a_server_without_ranges_sends_all_again(server: Server, tmp_path: Path) -> None:
    server.ranges = False
    server.cut_after = [100_000]
    assert fetch(server.archive("a.bin", CONTENT), tmp_path).read_bytes() == CONTENT
    assert server.asked == [None, "bytes=100000-"]


def test_a_wrong_checksum_is_refused(server: Server, tmp_path: Path) -> None:
    archive = server.archive("a.bin", CONTENT, checksum="md5:" + "0" * 32)
    with pytest.raises(DownloadError, match="another checksum"):
        fetch(archive, tmp_path)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "a.bin").write_bytes(b"something else")
    with pytest.raises(DownloadError, match="delete it and run again"):
        fetch(archive, tmp_path)
    assert (tmp_path / "a.bin").read_bytes() == b"something else"


def test_giving_up_keeps_what_came(server: Server, tmp_path: Path) -> None:
    archive = server.archive("a.bin", CONTENT)
    server.cut_after = [1_000] + [0] * archives.ATTEMPTS
    with pytest.raises(DownloadError, match="1,000 bytes are kept: run again to go on"):
        fetch(archive, tmp_path)
    assert fetch(archive, tmp_path).read_bytes() == CONTENT
    assert server.asked[-1] == "bytes=1000-"


def test_no_server_and_no_file(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="answers 404"):
        fetch(replace(server.archive("a.bin", CONTENT), url=server.archive("b", b"").url + "x"), tmp_path)
    with pytest.raises(DownloadError, match="could not be downloaded"):
        fetch(Archive("http://127.0.0.1:9/a.bin", "a.bin"), tmp_path)


def test_too_large_for_the_disk(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="GB are free"):
        fetch(server.archive("a.bin", CONTENT, size=10**18), tmp_path)
    assert server.asked == []


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


def test_an_unpacking_that_stopped_is_known(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = server.archive("a.zip", zipped({"one.txt": b"1"}), into="there")

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
    images = server.archive("images.zip", zipped(packed(made, "images")), into="ECSSD")
    masks = server.archive("masks.tgz", tarred(packed(made, "ground_truth_mask")), into="ECSSD")
    mini = replace(sources.SOURCES["ecssd"], archives=(images, masks), count=3)
    monkeypatch.setitem(sources.SOURCES, "ecssd", mini)

    server.cut_after = [100] + [0] * archives.ATTEMPTS  # the first run gets no further
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
    page = server.archive(name, b"<!doctype html>Please log in", checksum=None, size=None)
    with pytest.raises(DownloadError, match=r"what arrived is no \..* archive .*login"):
        fetch(page, tmp_path)
    assert not list(tmp_path.iterdir())
    whole = zipped({"a": b"1"}) if name.endswith("zip") else tarred({"a": b"1"})
    assert fetch(server.archive(name, whole, checksum=None, size=None), tmp_path).name == name


def test_a_login_page_does_not_cost_what_has_arrived(server: Server, tmp_path: Path) -> None:
    archive = server.archive("a.bin", CONTENT)
    (tmp_path / "a.bin.part").write_bytes(CONTENT[:100_000])
    server.page = b"<!doctype html>Please log in"
    with pytest.raises(DownloadError, match=r"a page came instead of the file.*login"):
        fetch(archive, tmp_path)
    server.page = None
    assert fetch(archive, tmp_path).read_bytes() == CONTENT
    assert server.asked == ["bytes=100000-", "bytes=100000-"]
