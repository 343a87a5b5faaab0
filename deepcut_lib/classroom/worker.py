"""Runs the answers of one submission: reads a job from standard input, prints one verdict a line.

Each answer runs in a process of its own, forked after the definitions of the lesson were made, within limits
of time, memory and file size. This bounds harm by accident; it is no sandbox (see `docs/marking.md`).
"""

import ast
import contextlib
import json
import os
import resource
import select
import signal
import sys
import time
from pathlib import Path
from typing import Any

LONGEST_MESSAGE = 500
LARGEST_FILE = 50 * 2**20
KEPT = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)


def definitions(sources: list[str], name: str, namespace: dict[str, Any]) -> None:
    """Run imports, functions and classes of cells, and nothing else; what cannot be read is left out."""
    for source in sources:
        with contextlib.suppress(SyntaxError, ValueError):
            lines = [line for line in source.splitlines() if not line.startswith(("%", "!"))]
            body = [node for node in ast.parse("\n".join(lines)).body if isinstance(node, KEPT)]
            for node in body:
                with contextlib.suppress(Exception):  # one import that fails leaves the others alone
                    exec(compile(ast.Module([node], []), name, "exec"), namespace)


def _answer(job: dict[str, Any], namespace: dict[str, Any], exercise: dict[str, str]) -> tuple[bool, str]:
    check = getattr(namespace["checks"], exercise["check"])  # before the student's code can put another there
    try:
        definitions(job["own"], "submission", namespace)
        exec(compile(exercise["source"], exercise["title"], "exec"), namespace)
        trusted = {**namespace, "checks": type("Checks", (), {exercise["check"]: staticmethod(check)})}
        verdict = eval(exercise["call"], trusted)
        return bool(verdict), str(verdict)
    except BaseException as error:  # exits and interrupts are answers, too
        return False, f"Your cell stops with {type(error).__name__}: {str(error) or 'no message'}."


def _limit(seconds: float, megabytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (int(seconds) + 1, int(seconds) + 2))
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE, LARGEST_FILE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError, ValueError):  # macOS knows no limit of memory
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + megabytes * 2**20
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def judge(job: dict[str, Any], namespace: dict[str, Any], exercise: dict[str, str]) -> tuple[bool, str]:
    """One answer, in a process of its own."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            os.setsid()
            nowhere = os.open(os.devnull, os.O_RDWR)
            for stream in (0, 1, 2):
                os.dup2(nowhere, stream)
            _limit(job["seconds"], job["megabytes"])
            passed, message = _answer(job, namespace, exercise)
            os.write(writing, json.dumps([passed, message[:LONGEST_MESSAGE]]).encode())
        finally:
            os._exit(0)
    os.close(writing)
    until, said = time.monotonic() + job["seconds"], b""
    late = False
    while len(said) < 2**16:
        late = not select.select([reading], [], [], max(0.0, until - time.monotonic()))[0]
        piece = b"" if late else os.read(reading, 2**12)
        if not piece:
            break
        said += piece
        with contextlib.suppress(ValueError):
            json.loads(said)
            break
    os.close(reading)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    try:
        passed, message = json.loads(said)
    except ValueError:
        end = f"was still running after {job['seconds']:g} seconds" if late else "ended before its check did"
        return False, f"Your cell {end}."
    return passed is True, str(message)


def main() -> None:
    """Do the job that standard input describes."""
    job = json.load(sys.stdin)
    namespace: dict[str, Any] = {"__name__": "submission"}
    definitions(job["lesson"], "lesson", namespace)
    for exercise in job["exercises"]:
        print(json.dumps(judge(job, namespace, exercise)), flush=True)


if __name__ == "__main__":
    main()
