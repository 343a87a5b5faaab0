"""Files from the net: resumed where a connection broke, checked, and unpacked inside their folder."""

import contextlib
import http.client
import os
import re
import shutil
import stat
import sys
import tarfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from ssl import SSLError
from typing import BinaryIO
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from tqdm import tqdm

from deepcut_lib.errors import DeepCutError
from deepcut_lib.files import sha256

try:
    import fcntl
except ImportError:  # Windows: two programs that fetch the same file are not kept apart
    fcntl = None  # type: ignore[assignment]

ATTEMPTS = 5
"""How often in a row a connection may fail without a byte before a download is given up."""

PAUSE = 1.0
"""Seconds before the second attempt; each further pause is twice as long."""

TIMEOUT = 30.0
"""Seconds without a byte after which a connection has failed."""

CHUNK = 2**20


class DownloadError(DeepCutError, RuntimeError):
    """A file could not be downloaded, is not what it should be, or must not be unpacked."""


def fetch(
    url: str,
    target: Path,
    *,
    size: int | None = None,
    checksum: str | None = None,
    check: Callable[[Path], None] | None = None,
) -> Path:
    """Download a file, going on where an earlier attempt stopped.

    What has arrived is kept in ``NAME.part``; the file gets its name when it is whole and passes the checks,
    and replaces what was there. Programs that fetch the same file at once wait for each other.

    Args:
        url: where it is.
        target: where to put it.
        size: in bytes, if known.
        checksum: its SHA-256 in hexadecimal, if known.
        check: raises an error if the file at a path is not what was asked for; it is deleted then.

    Returns:
        `target`.

    Raises:
        DownloadError: it cannot be reached, the disk is full, or its checksum is wrong.
    """
    partial = target.with_name(f"{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        before = _version(target)
        with _alone(partial):
            if _version(target) != before:  # another program has brought it meanwhile
                partial.unlink(missing_ok=True)
                return target
            _check_space(partial, size)
            _receive(url, partial, size)
            _check_arrived(url, partial, checksum, check)
            partial.replace(target)
    except OSError as error:
        raise DownloadError(
            f"{partial}: could not be written ({error.strerror or error}); what has arrived is kept: free "
            "some space or choose another folder, and run again"
        ) from error
    return target


def unreachable(urls: list[str], timeout: float) -> dict[str, str]:
    """Those of the addresses that do not answer in `timeout` seconds, each with the reason; all are asked at
    once.
    """
    failures = dict.fromkeys(urls, f"no answer within {timeout:g} s")

    def ask(url: str) -> None:
        try:
            with urlopen(_request(url, "HEAD"), timeout=timeout):
                del failures[url]
        except (OSError, ValueError, http.client.HTTPException) as error:
            failures[url] = reason_of(error)

    # Threads, because looking up a name heeds no timeout; daemons, so that none delays the exit
    threads = [threading.Thread(target=ask, args=(url,), daemon=True) for url in urls]
    end = time.monotonic() + timeout
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(end - time.monotonic(), 0))
    return dict(failures)


def reason_of(error: Exception) -> str:
    """An error's first line, or its kind if it says nothing."""
    return (str(error).splitlines() or [""])[0] or type(error).__name__


def unpack(path: Path, folder: Path) -> None:
    """Unpack a .zip or .tar archive, of any compression, below a folder.

    Raises:
        DownloadError: the archive is damaged, or would write outside the folder; of a zip archive nothing
            has been written then, of a tar archive at most what came before.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        if path.suffix == ".zip":
            _unzip(path, folder)
        else:
            _untar(path, folder)
    except tarfile.FilterError as error:
        raise DownloadError(f"{path}: {error}; nothing like it was published: delete the file") from error
    except DownloadError:
        raise
    except Exception as error:  # on damaged archives their readers raise nearly anything
        if isinstance(error, OSError) and error.errno is not None:  # the system's; the readers' have none
            raise DownloadError(
                f"{path}: could not be unpacked into {folder} ({error.strerror or error}); free some space "
                "or choose another folder, and run again"
            ) from error
        reason = str(error) or type(error).__name__
        raise DownloadError(f"{path}: the archive is damaged ({reason}); delete it and run again") from error


def _version(path: Path) -> tuple[int, int, int] | None:
    """What changes when another file is put there."""
    try:
        facts = path.stat()
    except FileNotFoundError:
        return None
    return facts.st_ino, facts.st_size, facts.st_mtime_ns


@contextlib.contextmanager
def _alone(partial: Path) -> Iterator[None]:
    """Keep the partial file for this program: others wait here until it has its name, or was given up."""
    lock = _lock(partial)
    try:
        yield
    except BaseException:
        if _size(partial) == 0:
            partial.unlink(missing_ok=True)
        raise
    finally:
        if lock is not None:
            lock.close()


def _lock(partial: Path) -> BinaryIO | None:
    """The partial file, locked for as long as it is open; None where the system has no such locks."""
    while fcntl is not None:
        file = partial.open("ab")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"{partial}: another program is downloading it; waiting for that", file=sys.stderr)
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError:  # a disk without locks keeps nobody out
            pass
        with contextlib.suppress(FileNotFoundError):
            if os.path.samefile(file.fileno(), partial):
                return file
        file.close()  # what was waited for has its name now, or was deleted
    return None


def _size(partial: Path) -> int:
    return partial.stat().st_size if partial.exists() else 0


def _check_space(partial: Path, size: int | None) -> None:
    missing = (size or 0) - _size(partial)
    free = shutil.disk_usage(partial.parent).free
    if missing > free:
        raise DownloadError(
            f"{partial.parent}: {missing / 1e9:.1f} GB are still to come, but {free / 1e9:.1f} GB are free; "
            "choose another folder"
        )


def _check_arrived(
    url: str, partial: Path, checksum: str | None, check: Callable[[Path], None] | None
) -> None:
    try:
        if checksum is not None and sha256(partial) != checksum:
            raise DownloadError(
                f"{url}: what arrived has another checksum than what was published, and was deleted; "
                f"run again, or get the file elsewhere and put it at {partial.with_suffix('')}"
            )
        if check is not None:
            check(partial)
    except Exception:  # whatever is wrong with it, it must not be gone on with
        partial.unlink()
        raise


def _receive(url: str, partial: Path, size: int | None) -> None:
    """Append to the partial file until it is whole, over as many connections as it takes."""
    failed = 0
    reason = ""
    while failed < ATTEMPTS:
        before = _size(partial)
        if size is not None and before == size:
            return
        if failed:
            time.sleep(PAUSE * 2 ** (failed - 1))
        try:
            if _continue(url, partial, before, size):
                return
            reason = "the connection broke off"
        except HTTPError as error:
            if error.code == 416 and before:
                if error.headers.get("Content-Range") == f"bytes */{before}":
                    return
                os.truncate(partial, 0)  # there is more of it than of the file: it is part of another
            elif error.code < 500:
                raise DownloadError(
                    f"{url}: the server answers {error.code} {error.reason}; get the file elsewhere "
                    f"and put it at {partial.with_suffix('')}"
                ) from error
            reason = f"{error.code} {error.reason}"
        except (URLError, http.client.HTTPException, ConnectionError, TimeoutError, SSLError) as error:
            reason = str(error) or type(error).__name__
        failed = 0 if _size(partial) > before else failed + 1
    raise DownloadError(
        f"{url}: could not be downloaded ({reason}); {_size(partial):,} bytes are kept: run again to go on, "
        f"or get the file elsewhere and put it at {partial.with_suffix('')}"
    )


def _continue(url: str, partial: Path, start: int, size: int | None) -> bool:
    """One connection: ask for the bytes from `start` on; True if all of them came."""
    request = _request(url, "GET")
    request.add_header("Accept-Encoding", "identity")
    if start:
        request.add_header("Range", f"bytes={start}-")
    with urlopen(request, timeout=TIMEOUT) as response:
        if response.headers.get_content_type() == "text/html":  # it must not replace what has arrived
            raise DownloadError(
                f"{url}: a page came instead of the file; does the network, or the site, ask for a "
                "login? What arrived before is kept: run again to go on, or get the file elsewhere and put "
                f"it at {partial.with_suffix('')}"
            )
        position = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
        if response.status != 206 or position is None or int(position[1]) != start:
            start = 0  # the server sends all of it
        length = response.headers.get("Content-Length")
        total = size if length is None else start + int(length)
        name = partial.with_suffix("").name
        with (
            partial.open("r+b" if start else "wb") as file,
            tqdm(total=total, initial=start, desc=name, unit="B", unit_scale=True, disable=None) as progress,
        ):
            file.seek(start)
            return _copy(response, file, progress) + start == total or total is None


def _request(url: str, method: str) -> Request:
    return Request(url, method=method, headers={"User-Agent": "deepcut-lib"})


def _copy(response: http.client.HTTPResponse, file: BinaryIO, progress: tqdm) -> int:
    copied = 0
    while piece := response.read1(CHUNK):
        file.write(piece)
        progress.update(len(piece))
        copied += len(piece)
    return copied


def _untar(path: Path, folder: Path) -> None:
    with tarfile.open(path) as archive:
        for member in tqdm(archive, desc=f"unpacking {path.name}", unit="file", disable=None):
            archive.extract(member, folder, filter="data")


def _unzip(path: Path, folder: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        root = folder.resolve()
        for member in members:
            name = PurePosixPath(member.filename.replace("\\", "/"))
            inside = not name.is_absolute() and ".." not in name.parts and ":" not in name.parts[0]
            link = stat.S_ISLNK(member.external_attr >> 16)
            if link or not inside or not (root / name).resolve().is_relative_to(root):
                raise DownloadError(
                    f"{path}: {member.filename!r} would be written outside {folder}; nothing like it was "
                    "published: delete the file"
                )
        for member in tqdm(members, desc=f"unpacking {path.name}", unit="file", disable=None):
            archive.extract(member, folder)
