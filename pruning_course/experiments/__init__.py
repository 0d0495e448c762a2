"""Experiments: single runs, sweeps of runs that can be interrupted and resumed, their reports, and the command line.

Importing it is cheap; each name below is loaded when it is first used.
"""

from importlib import import_module
from typing import Any

from pruning_course.extras import extra

_HOME = {
    "Settings": "settings",
    "Source": "data",
    "Sweep": "sweep",
    "check_run": "save",
    "choose_runs": "grid",
    "combinations": "grid",
    "execute": "run",
    "find_run": "save",
    "load_task": "data",
    "prune_and_score": "run",
    "read_grid": "grid",
    "read_results": "results",
    "run_into": "save",
    "write_report": "results",
}
__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"pruning_course.experiments has no {name!r}, only {', '.join(_HOME)}.")
    with extra("course"):
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
