"""The public files that make up a data set: fetched once, checked, and unpacked into its folder."""

import contextlib
import shutil
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from deepcut_lib.downloads import DownloadError, fetch, unpack
from deepcut_lib.files import sha256


@dataclass(frozen=True)
class Archive:
    """A public file that belongs to a data set.

    Attributes:
        url: where it is.
        file: what it is called on disk.
        into: folder below the root that it is unpacked (or, if it is no archive, put) into.
        checksum: its SHA-256 in hexadecimal, or None where none is published.
        size: in bytes, if known.
    """

    url: str
    file: str
    into: str = "."
    checksum: str | None = None
    size: int | None = None


def obtain(archive: Archive, root: Path) -> None:
    """Fetch a file into ``root/archives`` and unpack it, or copy it if it is no archive.

    An unfinished unpacking is marked (see `unfinished`), so that no half-written picture passes for one.

    Raises:
        DownloadError: see `fetch` and `unpack`; or a file that lies there already is another one.
    """
    path = _fetched(archive, root / "archives" / archive.file)
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


def _fetched(archive: Archive, target: Path) -> Path:
    """The file under its name, downloaded unless it is there; without a checksum its kind must do."""
    if not target.exists():

        def check(arrived: Path) -> None:
            if archive.checksum is None and not _is_archive(arrived, target.suffix):
                raise DownloadError(
                    f"{archive.url}: what arrived is no {target.suffix} archive (a page that asks for a "
                    f"login?), and was deleted; get the file elsewhere and put it at {target}"
                )

        return fetch(archive.url, target, size=archive.size, checksum=archive.checksum, check=check)
    if archive.checksum is None:
        fits = archive.size is None or target.stat().st_size == archive.size
    else:
        fits = sha256(target) == archive.checksum
    if not fits:
        raise DownloadError(
            f"{target}: is not the file that was published (checksum); delete it and run again"
        )
    return target


def _is_archive(path: Path, suffix: str) -> bool:
    """Whether a file is of the kind that an ending promises; others than archives may be anything."""
    if suffix == ".zip":
        return zipfile.is_zipfile(path)
    return suffix not in (".tar", ".tgz") or tarfile.is_tarfile(path)


def _marker(archive: Archive, root: Path) -> Path:
    return root / "archives" / f"{archive.file}.unpacking"
