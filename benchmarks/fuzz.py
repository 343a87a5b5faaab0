"""Damaged files through every reader: ``python -m benchmarks.fuzz [--count N] [--seed S]``.

A reader must give a result or raise one of the library's own errors. Faults are: another exception, more than
`SECONDS` or `MEGABYTES`, a warning or anything else that Python prints, a write outside the file's folder, a
crash. Each kind is read in a process of its own, begun anew when it hangs or dies. Linux; exit code 1 if
there was a fault, which ``python -m benchmarks.fuzz --seed S --one KIND INDEX`` shows again.
"""

import argparse
import io
import multiprocessing as mp
import os
import random
import resource
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

from benchmarks.fuzz_kinds import KINDS, Samples
from deepcut_lib.errors import DeepCutError

SECONDS = 20
MEGABYTES = 1000

EXTREMES = [0, 1, 127, 255, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**64 - 1]
TEXTS = [b"-1", b'"', b"null", b"1e999", b"NaN", b"[" * 100_000, b"{}", *(b"%d" % one for one in EXTREMES)]


def damaged(data: bytes, other: bytes, rng: random.Random) -> bytes:
    """A file with one to four faults, or the beginning of it with the end of another."""
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        size = len(data) or 1
        edge = min(size, 200)  # headers and directories lie at the ends
        at = rng.choice([rng.randrange(size), rng.randrange(edge), size - 1 - rng.randrange(edge)])
        end = at + rng.choice([1, 2, 4, 4, 8, 64, 1000])
        extreme = (rng.choice(EXTREMES) % 2**64).to_bytes(8, "little")[: min(end - at, 8)]
        digits = [i for i, byte in enumerate(data) if 48 <= byte < 58] or [at]
        digit = rng.choice(digits)
        flipped = bytes(byte ^ 1 << rng.randrange(8) for byte in data[at:end])
        data = rng.choice(
            [
                data[:at] + flipped + data[end:],
                data[:at] + extreme + data[at + len(extreme) :],
                data[:at] + extreme[::-1] + data[at + len(extreme) :],
                data[:digit] + rng.choice(TEXTS) + data[digit + 1 :],
                data[:at],
                data[:at] + data[end:],
                data[:end] + data[at:end] * rng.choice([1, 20]) + data[end:],
                data[:at] + rng.randbytes(end - at) + data[at:],
                data[:at] + rng.choice([b"\0", b"\xff"]) * (end - at) + data[end:],
                data[:at] + other[rng.randrange(len(other)) :],
            ]
        )
    return data


class Outcome(NamedTuple):
    """What came of a file: "read", "refused" or "fault"; what it took; and what the fault was."""

    word: str
    seconds: float
    megabytes: float
    fault: str = ""


def place(kind: str, samples: Samples, seed: int, index: int, folder: Path) -> Path:
    """Write a damaged file into a folder of its own; the same each time."""
    rng = random.Random(f"{seed}/{kind}/{index}")
    (ending, data), (_, other) = rng.choice(samples), rng.choice(samples)
    path = folder / str(index) / f"file.{ending}"
    path.parent.mkdir()
    path.write_bytes(damaged(data, other, rng))
    return path


def work(pipe: Connection, kind: str, seed: int, numbers: range, folder: Path) -> None:
    """Read files, and send what came of each; ends early when memory has run high, as peaks stay."""
    make, read, _ = KINDS[kind]
    samples = make()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libtiff writes there by itself
    sys.stdout = sys.stderr = printed = io.StringIO()
    warnings.simplefilter("always")
    written: list[Path] = []
    sys.addaudithook(lambda event, arguments: written.extend(_target(event, arguments)))
    usual = _peak()
    pipe.send(None)
    for index in numbers:
        path = place(kind, samples, seed, index, folder)
        written.clear()
        word, fault, begun = "", "", time.perf_counter()
        try:
            word = "refused" if read(path) is None else "read"
        except DeepCutError:
            word = "refused"
        except BaseException:
            fault = traceback.format_exc()
        seconds = time.perf_counter() - begun
        outside = [target for target in written if not target.is_relative_to(path.parent)]
        if printed.getvalue():
            fault += f"printed: {printed.getvalue()}"
            printed.seek(0)
            printed.truncate()
        if outside:
            fault += f"written outside its folder: {outside}"
        if (megabytes := _peak() - usual) > MEGABYTES:
            fault += f"took {megabytes:.0f} MB"
        pipe.send(Outcome("fault" if fault else word, seconds, megabytes, fault))
        shutil.rmtree(path.parent)
        if megabytes > MEGABYTES:
            return


def _target(event: str, arguments: tuple) -> list[Path]:
    """The file that is about to be written, made or moved, if any, without its links."""
    if event in ("os.symlink", "os.link", "os.rename"):
        target = arguments[1]
    elif event == "os.mkdir" or (event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)):
        target = arguments[0]
    else:
        return []
    return [] if isinstance(target, int) else [Path(os.path.realpath(os.fsdecode(target)))]


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def outcomes(kind: str, seed: int, numbers: range) -> Iterator[Outcome]:
    """What came of files that one process reads, up to the first that it does not survive."""
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs = mp.Pipe(duplex=False)
        arguments = (theirs, kind, seed, numbers, Path(folder).resolve())
        process = mp.get_context("spawn").Process(target=work, args=arguments)
        process.start()
        theirs.close()
        ours.recv()
        try:
            for _ in numbers:
                if not ours.poll(SECONDS):
                    yield Outcome("fault", SECONDS, 0, f"hangs: over {SECONDS} s")
                    return
                outcome = ours.recv()
                yield outcome
                if outcome.megabytes > MEGABYTES:
                    return
        except EOFError:
            process.join()
            yield Outcome("fault", 0, 0, f"crashes the process: {process.exitcode}")
        finally:
            process.join(1)
            process.kill()


def main(count: int, seed: int) -> int:
    """Print a line for each kind and all faults; returns the exit code."""
    print(f"{'kind':12}  files   read  refused  faults  slowest     peak")
    shares = sum(share for _, _, share in KINDS.values())
    faults = 0
    for kind, (_, _, share) in KINDS.items():
        total = -(-count * share // shares)
        found: list[Outcome] = []
        while len(found) < total:
            for outcome in outcomes(kind, seed, range(len(found), total)):
                if outcome.fault:
                    print(f"\nfault: --seed {seed} --one {kind} {len(found)}\n{outcome.fault}", flush=True)
                found.append(outcome)
        words = Counter(outcome.word for outcome in found)
        faults += words["fault"]
        print(
            f"{kind:12} {total:6} {words['read']:6} {words['refused']:8} {words['fault']:7} "
            f"{max(one.seconds for one in found):6.2f} s {max(one.megabytes for one in found):5.0f} MB",
            flush=True,
        )
    return 1 if faults else 0


def show(kind: str, seed: int, index: int) -> None:
    """Read one damaged file again, with nothing between."""
    with tempfile.TemporaryDirectory() as folder:
        make, read, _ = KINDS[kind]
        print(read(place(kind, make(), seed, index, Path(folder))))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--one", nargs=2, metavar=("KIND", "INDEX"))
    options = parser.parse_args()
    if options.one:
        show(options.one[0], options.seed, int(options.one[1]))
    else:
        sys.exit(main(options.count, options.seed))
