"""Experiments: single runs, sweeps of runs that can be interrupted and resumed, their reports, and the command line.

Importing it is cheap; each name below is loaded when it is first used.
"""

from pruning_course.extras import load_lazily

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
    "measure_claims": "verify",
    "measure_shapes": "shapes",
    "prune_and_score": "run",
    "read_grid": "grid",
    "read_results": "results",
    "read_shapes": "shapes",
    "run_into": "save",
    "write_report": "results",
}
__all__ = list(_HOME)
__getattr__ = load_lazily(__name__, _HOME)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
