"""Experiments: one run, sweeps of runs that can be stopped and go on, and their reports."""

from pruning_course.experiments.data import Source, load_task
from pruning_course.experiments.grid import choose_runs, combinations, read_grid
from pruning_course.experiments.results import read_results, write_report
from pruning_course.experiments.run import execute, prune_and_score
from pruning_course.experiments.save import check_run, find_run, run_into
from pruning_course.experiments.settings import Settings
from pruning_course.experiments.sweep import Sweep

__all__ = [
    "Settings",
    "Source",
    "Sweep",
    "check_run",
    "choose_runs",
    "combinations",
    "execute",
    "find_run",
    "load_task",
    "prune_and_score",
    "read_grid",
    "read_results",
    "run_into",
    "write_report",
]
