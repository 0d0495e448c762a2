"""Measure kinds of work in turn, each time in a process of its own: a busy moment of the machine hits all of them."""

import json
import os
import runpy
import statistics
import subprocess
import sys
import venv
from pathlib import Path

from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build"
# From the file: other libraries' environments lack the package, and importing it would load more than they need.
peak_mebibytes = runpy.run_path(str(ROOT / "pruning_course/lab/memory.py"))["peak_mebibytes"]
QUIET = {
    "HF_HUB_OFFLINE": "1",
    "TQDM_DISABLE": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "TOKENIZERS_PARALLELISM": "false",
}
Runs = dict[str, list[dict]]


def environment_with(requirement: str, *more: str) -> str:
    """The python of an environment that holds torch 2.13.0 and other libraries, made once under build/.

    RuntimeError with pip's own last words if it cannot be made.
    """
    folder = BUILD / f"{requirement.split('=')[0]}-venv"
    python = str(folder / "bin/python")
    if (folder / "done").exists():
        return python
    venv.create(folder, with_pip=True, clear=True)
    (folder / "constraint.txt").write_text("torch==2.13.0\n")
    # torch first, and held: else pip might fetch gigabytes of CUDA libraries with another one.
    for wanted in (["torch==2.13.0"], ["-c", str(folder / "constraint.txt"), requirement, *more]):
        _run(python, "-m", "pip", "install", "-q", *wanted)
    (folder / "done").touch()
    return python


def in_turn(pythons: dict[str, str], script: str, rounds: int, *arguments: str) -> Runs:
    """Run `python script *arguments kind` for every kind, `rounds` times, in turn; each prints its result as JSON.

    A kind that fails is named with its error, and left out.
    """
    runs = {kind: [] for kind in pythons}
    for _ in tqdm(range(rounds), desc="Rounds"):
        for kind in list(runs):
            try:
                runs[kind].append(json.loads(_run(pythons[kind], script, *arguments, kind).splitlines()[-1]))
            except RuntimeError as error:
                del runs[kind]
                print(f"{kind} does not run:\n{error}\n")
    return runs


def print_medians(runs: Runs, columns: dict[str, str]) -> None:
    """A line for each kind; `columns` maps what was measured to the format of a number."""
    width = max(map(len, runs)) + 2
    print(" " * width + "".join(f"{name:>16}" for name in columns))
    for kind, found in runs.items():
        medians = {name: statistics.median(run[name] for run in found) for name in columns}
        print(f"{kind:{width}}" + "".join(f"{medians[name]:>16{form}}" for name, form in columns.items()))


def print_ratio(runs: Runs, ours: str, other: str, *columns: str) -> None:
    """How many times as much the other needs, by the medians."""
    for name in columns if ours in runs and other in runs else ():
        a, b = (statistics.median(run[name] for run in runs[kind]) for kind in (ours, other))
        print(f"{ours} needs {a / b:.3f} of the {name} of {other}, which needs {b / a:.1f} times as much")


def peak() -> float:
    """The most memory that this process has held so far, in MB."""
    return peak_mebibytes() * 2**20 / 1e6


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | QUIET)
    if done.returncode:
        raise RuntimeError("\n".join(done.stderr.strip().splitlines()[-12:]))
    return done.stdout


def here(kinds) -> dict[str, str]:
    """Every kind in the environment that runs this."""
    return dict.fromkeys(kinds, sys.executable)
