"""Archives from the net: resumed where a connection broke, checked, and unpacked inside their folder."""

import contextlib
import hashlib
import http.client
import re
import shutil
import stat
import tarfile
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from ssl import SSLError
from typing import BinaryIO
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from tqdm import tqdm

from deepcut_lib.errors import DeepCutError

ATTEMPTS = 5
"""How often in a row a connection may fail without a byte before a download is given up."""

PAUSE = 1.0
"""Seconds before the second attempt; each further pause is twice as long."""

CHUNK = 2**20


class DownloadError(DeepCutError, RuntimeError):
    """A file could not be downloaded, is not what it should be, or must not be unpacked."""


@dataclass(frozen=True)
class Archive:
    """A public file that belongs to a data set.

    Attributes:
        url: where it is.
        file: what it is called on disk.
        into: folder below the root that it is unpacked (or, if it is no archive, put) into.
        checksum: "sha256:…" or "md5:…", or None where none is published.
        size: in bytes, if known.
    """

    url: str
    file: str
    into: str = "."
    checksum: str | None = None
    size: int | None = None


def fetch(archive: Archive, folder: Path) -> Path:
    """Download a file, going on where an earlier attempt stopped; a complete one is only checked.

    What has arrived is kept in ``NAME.part``; the file gets its name when its checksum is right.

    Args:
        archive: what to get.
        folder: where to put it.

    Returns:
        The file's path.

    Raises:
        DownloadError: it cannot be reached, the disk is full, or its checksum is wrong.
    """
    target = folder / archive.file
    if target.exists():
        if _fits(target, archive):
            return target
        raise DownloadError(
            f"{target}: is not the file that was published (checksum); delete it and run again"
        )
    partial = folder / f"{archive.file}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _check_space(archive, partial)
        _receive(archive, partial)
        if not _fits(partial, archive):
            partial.unlink()
            raise DownloadError(
                f"{archive.url}: what arrived has another checksum than what was published, and was deleted; "
                "run again, or get the file elsewhere and put it at "
                f"{target}"
            )
        if archive.checksum is None and not _is_archive(partial, target.suffix):
            partial.unlink()
            raise DownloadError(
                f"{archive.url}: what arrived is no {target.suffix} archive (a page that asks for a login?), "
                f"and was deleted; get the file elsewhere and put it at {target}"
            )
        partial.replace(target)
    except OSError as error:
        raise DownloadError(
            f"{partial}: could not be written ({error.strerror or error}); what has arrived is kept: free "
            "some space or choose another folder, and run again"
        ) from error
    return target


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


def _fits(path: Path, archive: Archive) -> bool:
    if archive.checksum is None:
        return archive.size is None or path.stat().st_size == archive.size
    algorithm, _, wanted = archive.checksum.partition(":")
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest() == wanted


def _is_archive(path: Path, suffix: str) -> bool:
    """Whether a file is of the kind that its ending promises; others than archives may be anything."""
    if suffix == ".zip":
        return zipfile.is_zipfile(path)
    return suffix not in (".tar", ".tgz") or tarfile.is_tarfile(path)


def _check_space(archive: Archive, partial: Path) -> None:
    missing = (archive.size or 0) - (partial.stat().st_size if partial.exists() else 0)
    free = shutil.disk_usage(partial.parent).free
    if missing > free:
        raise DownloadError(
            f"{partial.parent}: {missing / 1e9:.1f} GB are still to come, but {free / 1e9:.1f} GB are free; "
            "choose another folder"
        )


def _receive(archive: Archive, partial: Path) -> None:
    """Append to the partial file until it is whole, over as many connections as it takes."""
    failed = 0
    reason = ""
    while failed < ATTEMPTS:
        before = partial.stat().st_size if partial.exists() else 0
        if archive.size is not None and before == archive.size:
            return
        if failed:
            time.sleep(PAUSE * 2 ** (failed - 1))
        try:
            if _continue(archive, partial, before):
                return
            reason = "the connection broke off"
        except HTTPError as error:
            if error.code == 416 and before:
                if error.headers.get("Content-Range") == f"bytes */{before}":
                    return
                partial.unlink()  # there is more of it than of the file: it is part of another
            elif error.code < 500:
                raise DownloadError(
                    f"{archive.url}: the server answers {error.code} {error.reason}; get the file elsewhere "
                    f"and put it at {partial.with_suffix('')}"
                ) from error
            reason = f"{error.code} {error.reason}"
        except (URLError, http.client.HTTPException, ConnectionError, TimeoutError, SSLError) as error:
            reason = str(error) or type(error).__name__
        arrived = partial.stat().st_size if partial.exists() else 0
        failed = 0 if arrived > before else failed + 1
    kept = partial.stat().st_size if partial.exists() else 0
    raise DownloadError(
        f"{archive.url}: could not be downloaded ({reason}); {kept:,} bytes are kept: run again to go on, or "
        f"get the file elsewhere and put it at {partial.with_suffix('')}"
    )


def _continue(archive: Archive, partial: Path, start: int) -> bool:
    """One connection: ask for the bytes from `start` on; True if all of them came."""
    headers = {"User-Agent": "deepcut-lib", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    with urlopen(Request(archive.url, headers=headers), timeout=60) as response:
        if response.headers.get_content_type() == "text/html":  # it must not replace what has arrived
            raise DownloadError(
                f"{archive.url}: a page came instead of the file; does the network, or the site, ask for a "
                "login? What arrived before is kept: run again to go on, or get the file elsewhere and put "
                f"it at {partial.with_suffix('')}"
            )
        position = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
        if response.status != 206 or position is None or int(position[1]) != start:
            start = 0  # the server sends all of it
        length = response.headers.get("Content-Length")
        total = archive.size if length is None else start + int(length)
        with (
            partial.open("r+b" if start else "wb") as file,
            tqdm(
                total=total, initial=start, desc=archive.file, unit="B", unit_scale=True, disable=None
            ) as progress,
        ):
            file.seek(start)
            return _copy(response, file, progress) + start == total or total is None


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


def obtain(archive: Archive, root: Path) -> None:
    """Fetch a file into ``root/archives`` and unpack it, or copy it if it is no archive.

    An unfinished unpacking is marked (see `unfinished`), so that no half-written picture passes for one.

    Raises:
        DownloadError: see `fetch` and `unpack`.
    """
    path = fetch(archive, root / "archives")
    folder = root / archive.into
    marker = _marker(archive, root)
    marker.touch()
    if path.suffix in {".zip", ".tar", ".tgz"}:
        unpack(path, folder)
    else:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, folder / archive.file)
    marker.unlink()


def unfinished(archive: Archive, root: Path) -> bool:
    """Whether unpacking was begun and not ended."""
    with contextlib.suppress(OSError):
        return _marker(archive, root).exists()
    return False


def _marker(archive: Archive, root: Path) -> Path:
    return root / "archives" / f"{archive.file}.unpacking"
