"""Commands that are killed at random moments: ``python -m benchmarks.kill [--kills N] [--seed S]``.

Each command gets SIGKILL at a moment drawn uniformly from the time that it takes undisturbed, and is run
again into the same folder, to be killed again, until a run ends first. Then the folder must be, byte for
byte, that of the undisturbed run, but for what an evaluation says of its times. Exit code 1 if it is not.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.evaluation import generate

PICTURES = 40

FEATURES = ["--backbone", "pixels", "--size", "224"]


def commands(data: Path) -> dict[str, list[str]]:
    """What is run, but for ``--out``."""
    images, masks = data / "horses" / "images", data / "horses" / "masks"
    return {
        "segment": ["segment", f"{images}", "--masks", f"{masks}", "--refine", *FEATURES],
        "parts": ["parts", f"{images}", *FEATURES],
        "cluster": ["cluster", f"{images}", *FEATURES],
        "evaluate": ["evaluate", "horses", "--data", f"{data}", "--methods", "ncut", "tokencut", *FEATURES],
    }


def run(command: list[str], out: Path, kill_after: float | None = None) -> bool:
    """Run a command, and kill it after so many seconds; whether it ended by itself."""
    process = subprocess.Popen(
        [sys.executable, "-m", "deepcut_lib", *command, "--out", out],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        _, said = process.communicate(timeout=kill_after)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return False
    if process.returncode != 0 or "Traceback" in said:
        raise RuntimeError(f"{' '.join(command)}: exit code {process.returncode}\n{said}")
    return True


def contents(out: Path) -> dict[str, object]:
    """All files of a folder by name, hidden ones too; of an evaluation, what does not depend on the time."""
    return {f"{path.relative_to(out)}": _timeless(path) for path in out.rglob("*") if path.is_file()}


def _timeless(path: Path) -> object:
    if path.suffix == ".jsonl":  # rows may come in another order
        rows = [{**json.loads(line), "seconds": 0} for line in path.read_text().splitlines()]
        return sorted(json.dumps(row, sort_keys=True) for row in rows)
    if path.name == "report.md":
        return path.read_text().partition("Images a second")[0]
    return path.read_bytes()


def main(kills: int, seed: int) -> int:
    """Kill the commands in turn, print a line for each, and return the exit code."""
    rng = random.Random(seed)
    faults = 0
    print("command   undisturbed  kills  before the first result  after it  ended  faults")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        generate(root / "data" / "horses", PICTURES)
        for number, (name, command) in enumerate(commands(root / "data").items()):
            begun = time.perf_counter()
            run(command, root / f"{name}-undisturbed")
            seconds = time.perf_counter() - begun
            wanted = contents(root / f"{name}-undisturbed")
            before = after = ended = wrong = 0
            while before + after < (kills + 3 - number) // 4:
                out = root / f"{name}-{ended}"
                while not run(command, out, rng.uniform(0, seconds)):
                    empty = not contents(out) if out.exists() else True
                    before, after = before + empty, after + (not empty)
                ended += 1
                found = contents(out)
                other = sorted(key for key in {*wanted, *found} if wanted.get(key) != found.get(key))
                wrong += bool(other)
                if other:
                    print(f"fault: {out.name} differs in {', '.join(other)}")
            print(
                f"{name:9} {seconds:9.1f} s {before + after:6} {before:24} {after:9} {ended:6} {wrong:7}",
                flush=True,
            )
            faults += wrong
    return 1 if faults else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    sys.exit(main(options.kills, options.seed))
