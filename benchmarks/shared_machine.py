"""What processes at once cut together, against one alone: ``python -m benchmarks.shared_machine``.

One, two and four processes cut the same picture over and over: with libgomp's own waiting, with short spins,
and with the package's watch, imported before torch and after. Each loads and warms up, then all start at a
signal.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

# Neither torch nor the package is imported up here: a worker chooses which comes first
PICTURE = Path(__file__).parent.parent / "data" / "images" / "photo_cat.jpg"
LIBGOMPS, TORCH_FIRST = "libgomp's own", "watched, torch first"
SPINS = {LIBGOMPS: "300000", "3,000 spins": "3000"}
SETTINGS = (*SPINS, "watched", TORCH_FIRST)
PROCESSES = (1, 2, 4)
UNCOUNTED = 2.0
"""Seconds after the signal: all run at once, and waiting settles."""


def work(setting: str, seconds: float) -> None:
    """What one process does: cut pictures from the signal on, and print how many a second."""
    if setting == TORCH_FIRST:
        import torch  # noqa: F401
    from deepcut_lib import load_backbone, segment

    backbone = load_backbone("effnet_lite0", device="cpu")
    for _ in range(3):
        segment(PICTURE, backbone=backbone)
    print("ready", flush=True)
    sys.stdin.readline()
    end = time.perf_counter() + UNCOUNTED
    while time.perf_counter() < end:
        segment(PICTURE, backbone=backbone)
    cut, started = 0, time.perf_counter()
    while time.perf_counter() < started + seconds:
        segment(PICTURE, backbone=backbone)
        cut += 1
    print(cut / (time.perf_counter() - started))


def together(setting: str, processes: int, seconds: float) -> float:
    """Pictures per second of several processes at once."""
    environment = {
        name: value for name, value in os.environ.items() if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
    }
    if setting in SPINS:
        environment["GOMP_SPINCOUNT"] = SPINS[setting]
    command = [
        sys.executable,
        "-m",
        "benchmarks.shared_machine",
        "--work",
        setting,
        "--seconds",
        str(seconds),
    ]
    workers = [
        subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        for _ in range(processes)
    ]
    for worker in workers:
        worker.stdout.readline()
    for worker in workers:
        worker.stdin.write("go\n")
    return sum(float(worker.communicate()[0]) for worker in workers)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--seconds", type=float, default=6.0, metavar="S", help="counted in a run (default: 6)"
    )
    parser.add_argument(
        "--repeats", type=int, default=3, metavar="N", help="runs, of which the median (default: 3)"
    )
    parser.add_argument("--work", choices=SETTINGS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(options.work, options.seconds)
        return
    runs = {(setting, count): [] for setting in SETTINGS for count in PROCESSES}
    for _ in range(options.repeats):  # one after the other, so that what else the machine does meets all
        for (setting, count), rates in runs.items():
            rates.append(together(setting, count, options.seconds))
    median = {key: statistics.median(rates) for key, rates in runs.items()}
    print(f"pictures/s together, {os.cpu_count()} cores, effnet_lite0, 448 px; median of {options.repeats}")
    print(f"{'waiting':20}{'one':>8}{'two':>8}{'four':>8}{'four/one':>11}{'one, against libgomp’s':>25}")
    for setting in SETTINGS:
        one, two, four = (median[setting, count] for count in PROCESSES)
        print(
            f"{setting:20}{one:8.2f}{two:8.2f}{four:8.2f}{four / one:11.2f}{one / median[LIBGOMPS, 1]:25.2f}"
        )


if __name__ == "__main__":
    main()
