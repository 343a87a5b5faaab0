"""Time and memory over the number of patches, matrix-free: ``python -m benchmarks.memory``.

Each size runs in a process of its own, whose peak memory is compared with that after the imports. Writes
``memory.csv`` and ``memory.png`` beside this file.
"""

import csv
import resource
import subprocess
import sys
import time
from pathlib import Path

import torch
from matplotlib.figure import Figure

from deepcut_lib import DeepCut

HERE = Path(__file__).parent
SIZES = (400, 784, 1225, 2500, 5000, 10_000, 20_000)
DENSE_UP_TO = 10_000


def peak_megabytes() -> float:
    """Largest resident size of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "linux" else 1024**2)


def measure(n: int, memory: str) -> None:
    """Fit once; print seconds and megabytes above the imports."""
    DeepCut(memory=memory).fit(torch.randn(64, 384))  # what the first call alone allocates
    before = peak_megabytes()
    features = torch.randn(n, 384, generator=torch.Generator().manual_seed(0))
    started = time.perf_counter()
    DeepCut(memory=memory, device="cpu").fit(features)
    print(time.perf_counter() - started, peak_megabytes() - before)


def main() -> None:
    """Measure all sizes, one process after another, and draw the curves."""
    rows = []
    for memory in ("matrix-free", "dense"):
        for n in SIZES:
            if memory == "dense" and n > DENSE_UP_TO:
                continue
            command = [sys.executable, "-m", "benchmarks.memory", str(n), memory]
            printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            seconds, megabytes = map(float, printed.split())
            rows.append(
                {"memory": memory, "n": n, "seconds": f"{seconds:.3f}", "megabytes": f"{megabytes:.0f}"}
            )
            print(f"{memory:12} n={n:6} {seconds:8.2f} s {megabytes:8.0f} MB above the imports", flush=True)
    with (HERE / "memory.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    for axis, key, label in zip(
        figure.subplots(1, 2), ("seconds", "megabytes"), ("seconds", "peak MB above the imports"), strict=True
    ):
        for memory, marker in (("matrix-free", "o"), ("dense", "s")):
            chosen = [row for row in rows if row["memory"] == memory]
            axis.plot([r["n"] for r in chosen], [float(r[key]) for r in chosen], marker + "-", label=memory)
        axis.set(
            xlabel="patches n", ylabel=label, xscale="log", yscale="log" if key == "seconds" else "linear"
        )
        axis.legend()
        axis.grid(alpha=0.3)
    figure.suptitle(f"DeepCut, N-cut, d=384, K=2, 10 epochs, {torch.get_num_threads()} CPU threads")
    figure.savefig(HERE / "memory.png", dpi=110)


if __name__ == "__main__":
    if len(sys.argv) == 3:
        measure(int(sys.argv[1]), sys.argv[2])
    else:
        main()
