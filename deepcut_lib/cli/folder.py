"""A folder of pictures in, a folder of results out: the one way in which all commands go through pictures."""

import argparse
import contextlib
import hashlib
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

from tqdm import tqdm

from deepcut_lib import __version__
from deepcut_lib.backbones import Backbone
from deepcut_lib.batches import solved
from deepcut_lib.cli.kept import ENDINGS, THUMBNAILS, Row
from deepcut_lib.cli.page import page
from deepcut_lib.errors import DeepCutError, ImageError
from deepcut_lib.files import failure_message, prepare_folder, printable, sha256, write_whole
from deepcut_lib.images import find_images, find_unreadable
from deepcut_lib.masks import find_masks
from deepcut_lib.threads import at_once, side_by_side

Result = TypeVar("Result")

LONGEST_NAME = 180
"""Bytes of a picture's name in those of its results; file systems take 255 for all of it."""


class Job(NamedTuple):
    """A picture whose result is to be made: its name, its file, and what the result is made from."""

    name: str
    path: Path
    made_from: Row


@dataclass
class Folder:
    """The pictures of a command, and where their results go.

    Attributes:
        out: the folder of results.
        pictures: by the names of their results.
        masks: true masks by the same names, of those that have one.
        failures: messages of what could not be done, by picture.
        overwrite: whether results of earlier runs count for nothing.
    """

    out: Path
    pictures: dict[str, Path]
    masks: dict[str, Path]
    failures: dict[Path, str]
    overwrite: bool

    def each(
        self,
        make: Callable[[str, Path, Row], Result],
        *,
        kept: Callable[[str, Row], Result | None] | None = None,
        settings: Row | None = None,
        names: Iterable[str] | None = None,
    ) -> Iterator[tuple[str, Result, float | None]]:
        """Go through the pictures, several at once; those that have failed, or fail now, are passed over.

        Args:
            make: from a picture's name, path, and what its result is made from, to the result, which it has
                written.
            kept: from the name, and what the result is to be made from, to that of an earlier run, or None.
            settings: what else results depend on, see `settings_of`.
            names: of the pictures that are wanted; by default all.

        Yields:
            Name, result, and the seconds that it took beside others, or None if it was kept; in order.

        Raises:
            DeepCutError: something could not be written.
        """
        return self.in_batches(
            lambda jobs: [make(*job) for job in jobs], 1, kept=kept, settings=settings, names=names
        )

    def in_batches(
        self,
        make: Callable[[Sequence[Job]], Sequence[Result]],
        most: int,
        *,
        kept: Callable[[str, Row], Result | None] | None = None,
        settings: Row | None = None,
        names: Iterable[str] | None = None,
    ) -> Iterator[tuple[str, Result, float | None]]:
        """The same for pictures that are made together.

        Args:
            make: from at most `most` pictures to their results, which it has written. Where it fails, it is
                called again for each of them alone.
            most: pictures together.
            kept: as for `each`, like the rest.
            settings: what else results depend on.
            names: of the pictures that are wanted.

        Yields:
            As `each`; the seconds are a picture's share of its batch's.
        """
        wanted = list(self.pictures if names is None else names)
        together = max(min(most, len(wanted) // at_once()), 1)  # a small folder has work for all threads too
        batches = [wanted[start : start + together] for start in range(0, len(wanted), together)]

        def outcomes(batch: list[str]) -> dict[str, tuple[Result, float | None]]:
            found: dict[str, tuple[Result, float | None]] = {}
            jobs = []
            for name in batch:
                path = self.pictures[name]
                if path in self.failures:
                    continue
                with self._own_failure(path):
                    made_from = {
                        "picture": printable(path.name),
                        "sha256": sha256(path),
                        "mask_sha256": sha256(self.masks[name]) if name in self.masks else None,
                        "settings": settings,
                    }
                    result = kept(name, made_from) if kept and not self.overwrite else None
                    if result is None:
                        jobs.append(Job(name, path, made_from))
                    else:
                        found[name] = result, None
            started = time.perf_counter()
            made = list(solved(make, jobs)) if jobs else []
            share = (time.perf_counter() - started) / max(len(jobs), 1)
            for job, outcome in made:
                with self._own_failure(job.path):
                    if isinstance(outcome, Exception):
                        raise outcome
                    found[job.name] = outcome, share
            return found

        with tqdm(total=len(wanted), unit="picture", disable=not sys.stderr.isatty()) as progress:
            for batch, found in zip(batches, side_by_side(outcomes, batches), strict=True):
                for name in batch:
                    if name in found:
                        yield name, *found[name]
                    progress.update()

    @contextlib.contextmanager
    def _own_failure(self, path: Path) -> Iterator[None]:
        """Whatever goes wrong inside is this picture's failure; only what cannot be written ends the run."""
        try:
            yield
        except Exception as error:
            if isinstance(error, DeepCutError) and not isinstance(error, ValueError):
                raise
            self.failures[path] = failure_message(path, error)

    def write_page(self, title: str, summary: str, content: str) -> None:
        """Write the page to look through results.

        Raises:
            DeepCutError: it cannot be written.
        """
        write_whole(self.out / "index.html", page(title, summary, content, self.failures.values()))

    def report(self, summary: str) -> int:
        """Print what a run has come to; returns the exit code, 1 if anything was not done."""
        place = self.out / "index.html"
        print(f"\n{summary}" + (f"\nLook through them: {printable(place)}" if place.exists() else ""))
        for message in self.failures.values():
            print(f"not done: {message}", file=sys.stderr)
        return 1 if self.failures else 0


def settings_of(options: argparse.Namespace, backbone: Backbone, **more: object) -> Row:
    """What all results of a command depend on besides pictures."""
    return {
        "command": options.command,
        "backbone": backbone.name,
        "weights": backbone.fingerprint,
        "stride": backbone.stride,
        "version": __version__,
        **more,
    }


def open_folder(
    paths: Sequence[Path], out: Path, *, masks: Path | None = None, overwrite: bool = False
) -> Folder:
    """Find what a command works on.

    Results are no pictures: what lies below ``out`` inside a given folder, and what earlier runs wrote.

    Args:
        paths: the pictures and folders that were named.
        out: where results go; it is made, and what a killed run left is cleared away.
        masks: a folder of true masks, named as the pictures.
        overwrite: whether results of earlier runs count for nothing.

    Returns:
        The pictures; its failures are the files that look like pictures but cannot be read.

    Raises:
        ImageError: nothing is there, results would overwrite a picture, or no mask belongs to one.
        DeepCutError: `out` cannot be written.
    """
    whole = out.resolve()
    folders = {path.resolve() for path in paths if path.is_dir()}

    def passed_over(path: Path) -> bool:
        place = path.resolve()
        # A folder that was named is read, though results go into it or into one above it
        meant = any(place.is_relative_to(inner) for inner in folders if inner.is_relative_to(whole))
        return _is_result(path) or (place.is_relative_to(whole) and not meant)

    given = [path for path in paths if not (path.parent.resolve() == whole and _is_result(path))]
    if not given:
        raise ImageError(f"{paths[0]}: is a result of an earlier run into {out}; choose another --out")
    pictures = named(find_images(*given, passed_over=passed_over))
    places = {path.resolve(): path for path in pictures.values()}
    for name in pictures:
        for ending in ENDINGS:
            if (place := whole / f"{name}{ending}") in places:
                raise ImageError(
                    f"{places[place]}: would be overwritten by the results of {name}; choose another --out, "
                    "or delete it if an earlier run left it"
                )
    prepare_folder(out)
    unreadable = {
        path: printable(message) for path, message in find_unreadable(*given).items() if not passed_over(path)
    }
    return Folder(out, pictures, {} if masks is None else _masks_of(masks, pictures), unreadable, overwrite)


def _masks_of(folder: Path, pictures: dict[str, Path]) -> dict[str, Path]:
    """The masks of pictures, by the names of their results.

    Raises:
        ImageError: there is none.
    """
    there = find_masks(folder)
    masks = {name: there[path.stem] for name, path in pictures.items() if path.stem in there}
    if not masks:
        wanted = next(iter(pictures.values())).with_suffix(".png").name
        raise ImageError(f"{folder}: none of its {len(there)} masks is named as a picture, such as {wanted}")
    return masks


def _is_result(path: Path) -> bool:
    """Whether a file was written by an earlier run."""
    if path.parent.name == THUMBNAILS:
        return (path.parent.parent / "clusters.csv").exists()
    for ending in ENDINGS:
        if path.name.endswith(ending):
            row = path.with_name(f"{path.name.removesuffix(ending)}.json")
            with contextlib.suppress(OSError):
                return b'"seal"' in row.read_bytes()  # others keep annotations in files of such names
    return False


def named(paths: Iterable[Path]) -> dict[str, Path]:
    """A name for each picture's results: its own without the ending, numbered where two pictures share one.

    Names can be written anywhere: what is no character becomes �, long ones are shortened, and names that
    differ in nothing but capitals count as one.
    """
    encoding = sys.getfilesystemencoding()
    files_by_name: dict[str, Path] = {}
    taken: set[str] = set()
    for path in paths:
        # In an ASCII locale not even � can be part of a file's name: it becomes a question mark
        stem = printable(path.stem).encode(encoding, "replace").decode(encoding)
        stem = _shortened(stem)
        name, number = stem, 2
        while name.casefold() in taken:
            name, number = f"{stem}-{number}", number + 1
        files_by_name[name] = path
        taken.add(name.casefold())
    return files_by_name


def _shortened(name: str) -> str:
    raw = name.encode()
    if len(raw) <= LONGEST_NAME:
        return name
    mark = hashlib.sha256(raw).hexdigest()[:12]  # tells names apart that begin alike
    return f"{raw[: LONGEST_NAME - 13].decode('utf-8', 'ignore')}~{mark}"
