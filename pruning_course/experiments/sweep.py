"""Many runs in one folder; they can be interrupted at any time and resumed later."""

import os
from collections.abc import Iterator
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

from joblib import Parallel, delayed
from tqdm.auto import tqdm

from pruning_course.experiments.data import Source
from pruning_course.experiments.folders import PLAN, RESULT, check_free, check_same, read_json, write_json
from pruning_course.experiments.grid import Experiments
from pruning_course.experiments.records import failed
from pruning_course.experiments.run import execute
from pruning_course.experiments.settings import Settings
from pruning_course.extras import extra

PATIENCE = 60  # seconds to wait for the first worker of a cluster


class Sweep:
    """The runs of `experiments` on one source, with their results in `folder`.

    The folder holds `sweep.json`, the plan of the sweep, and `runs/NAME/result.json` for each run. A run that belongs
    to several experiments is made once. A sweep may grow: if the folder holds a part of its runs, only the others are
    made.

    Raises:
        OSError: if the folder cannot be written, or the files of the source cannot be read.
        ValueError: if the folder holds anything but this sweep or a part of it, or its plan is damaged.
    """

    def __init__(self, experiments: Experiments, source: Source, folder: str | os.PathLike[str]) -> None:
        self.source, self.folder = source, Path(folder)
        self.runs = {run.name: run for runs in experiments.values() for run in runs}
        plan = {
            "source": source.describe(),
            "experiments": {name: [run.name for run in runs] for name, runs in experiments.items()},
            "runs": {name: asdict(run) for name, run in self.runs.items()},
        }
        path = self.folder / PLAN
        if path.exists():
            held = read_json(path)
            both = {"source": held.get("source"), "runs": set(held.get("runs", ())) | set(self.runs)}
            check_same(folder, both, {"source": plan["source"], "runs": set(self.runs)}, "sweep")
        else:
            check_free(folder, "sweep", ignored=(f".{PLAN}.",))  # what a killed process leaves behind
        if not path.exists() or held != plan:
            write_json(path, plan)

    @property
    def done(self) -> set[str]:
        """The names of the runs that are done. Raises ValueError if a result is damaged."""
        paths = {name: self._path(name) for name in self.runs}
        return {name for name, path in paths.items() if path.exists() and read_json(path)["status"] == "done"}

    def run(self, jobs: int = 1, scheduler: str | None = None) -> dict[str, str]:
        """Make the runs that are not done yet, with a progress bar, and write each result as soon as it is there.

        Args:
            jobs: the number of runs at a time, each in a process on this machine.
            scheduler: the address of a Dask scheduler. Its workers then make the runs.

        Returns:
            The errors of the runs that failed, by name; the next call tries these runs again.

        Raises:
            ImportError: if a scheduler is given and Dask is not installed.
            OSError: if a result cannot be written, or the scheduler or its workers do not answer in time.
            ValueError: if a result in the folder is damaged.
        """
        done = self.done
        left = {name: run for name, run in self.runs.items() if name not in done}
        errors = {}
        with tqdm(total=len(self.runs), initial=len(done), desc="Sweep", unit="run") as bar:
            finished = self._on_cluster(left, scheduler) if scheduler else self._here(left, jobs)
            for name, result in finished:
                write_json(self._path(name), result)
                if result["status"] == "failed":
                    errors[name] = result["error"]
                bar.update()
        return errors

    def _here(self, runs: dict[str, Settings], jobs: int) -> Iterator[tuple[str, dict[str, Any]]]:
        if jobs > 1:
            os.environ.setdefault("TQDM_DISABLE", "1")  # for the new processes, whose bars would get mixed up
        parallel = Parallel(n_jobs=jobs, return_as="generator_unordered", batch_size=1)
        yield from parallel(delayed(_named)(name, run, self.source) for name, run in runs.items())

    def _on_cluster(self, runs: dict[str, Settings], scheduler: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield the results of `runs`. If a worker dies, its run goes to another one, and fails after several deaths.

        This does not use the Dask backend of joblib, which would wait for such a run forever.
        """
        with extra("cluster"):
            dask: Any = import_module("distributed")
        with dask.Client(scheduler) as client:
            client.wait_for_workers(1, timeout=PATIENCE)
            futures = {client.submit(execute, run, self.source, pure=False): name for name, run in runs.items()}
            for future in dask.as_completed(futures):
                name = futures[future]
                try:
                    result = future.result()
                except Exception as error:
                    result = failed(runs[name], error, 0.0)
                yield name, result

    def _path(self, name: str) -> Path:
        return self.folder / "runs" / name / RESULT


def _named(name: str, run: Settings, source: Source) -> tuple[str, dict[str, Any]]:
    return name, execute(run, source)
