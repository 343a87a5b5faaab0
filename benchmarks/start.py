"""How long the package takes to start, beside torch alone: ``python -m benchmarks.start``.

CPU seconds of whole processes, which other work on the machine changes less than the clock, and their peak
memory; then the modules that weigh most, by ``-X importtime``.
"""

import os
import statistics
import subprocess
import sys

REPEATS = 5

STARTS = {
    "python alone": ["-c", ""],
    "import torch": ["-c", "import torch"],
    "import deepcut_lib": ["-c", "import deepcut_lib"],
    "python -m deepcut_lib --help": ["-m", "deepcut_lib", "--help"],
    "python -m deepcut_lib segment --help": ["-m", "deepcut_lib", "segment", "--help"],
    "from deepcut_lib import DeepCut": ["-c", "from deepcut_lib import DeepCut"],
    "from deepcut_lib import segment": ["-c", "from deepcut_lib import segment"],
    "load_backbone('effnet_lite0')": ["-c", "import deepcut_lib; deepcut_lib.load_backbone('effnet_lite0')"],
}

WEIGHED = "from deepcut_lib import segment"


def cost(arguments: list[str]) -> tuple[float, float]:
    """CPU seconds and peak megabytes of one process."""
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, arguments)
    return used.ru_utime + used.ru_stime, used.ru_maxrss / (1024 if sys.platform == "linux" else 1024**2)


def main() -> None:
    """Print the table, and the heaviest imports."""
    # In turn, so that what else the machine does weighs on all alike
    costs: dict[str, list[tuple[float, float]]] = {name: [] for name in STARTS}
    for _ in range(REPEATS):
        for name, arguments in STARTS.items():
            costs[name].append(cost(arguments))
    torch = statistics.median(seconds for seconds, _ in costs["import torch"])
    print(f"{'':38} {'CPU s':>6} {'beyond torch':>13} {'MB':>5}   median of {REPEATS}")
    for name, each in costs.items():
        seconds, megabytes = (statistics.median(column) for column in zip(*each, strict=True))
        print(f"{name:38} {seconds:6.2f} {seconds - torch:13.2f} {megabytes:5.0f}")

    command = [sys.executable, "-X", "importtime", "-c", WEIGHED]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stderr.splitlines()[1:]
    rows = [line.removeprefix("import time:").split("|") for line in lines]
    # A package's own modules together, without what they import of others
    own: dict[str, int] = {}
    for microseconds, _, module in rows:
        package = module.strip().partition(".")[0]
        own[package] = own.get(package, 0) + int(microseconds)
    print(f"\n{WEIGHED}: the packages whose modules take longest to load")
    for package, microseconds in sorted(own.items(), key=lambda item: -item[1])[:8]:
        print(f"{package:38} {microseconds / 1e6:6.2f} s")


if __name__ == "__main__":
    main()
