"""Many runs in one folder, which can be stopped at any time and go on where they were."""

import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from joblib import Parallel, delayed
from tqdm.auto import tqdm

from pruning_course.experiments.data import Source
from pruning_course.experiments.folders import PLAN, RESULT, check_free, check_same, read_json, write_json
from pruning_course.experiments.grid import Experiments
from pruning_course.experiments.run import execute, failed
from pruning_course.experiments.settings import Settings
from pruning_course.extras import extra

PATIENCE = 60  # seconds for the first worker of a cluster


class Sweep:
    """The runs of `experiments` on one source, and their results in `folder`.

    `folder` gets `sweep.json`, which says what belongs to the sweep, and `runs/NAME/result.json` for each run. The runs
    that two experiments share are made once.

    Raises ValueError if `folder` holds something else than this sweep, OSError if it cannot be written.
    """

    def __init__(self, experiments: Experiments, source: Source, folder: str | os.PathLike):
        self.source, self.folder = source, Path(folder)
        self.runs = {run.name: run for runs in experiments.values() for run in runs}
        plan = {
            "source": source.describe(),
            "experiments": {name: [run.name for run in runs] for name, runs in experiments.items()},
            "runs": {name: asdict(run) for name, run in self.runs.items()},
        }
        path = self.folder / PLAN
        if path.exists():
            check_same(folder, read_json(path), plan, "sweep")
        else:
            check_free(folder, "sweep", ignored=(f".{PLAN}.",))  # what a killed process leaves behind
            write_json(path, plan)

    @property
    def done(self) -> set[str]:
        """The names of the runs that have ended well."""
        paths = {name: self._path(name) for name in self.runs}
        return {name for name, path in paths.items() if path.exists() and read_json(path)["status"] == "done"}

    def run(self, jobs: int = 1, scheduler: str | None = None) -> dict[str, str]:
        """Make the runs that are not done yet, with a progress bar, and write each result when it is there.

        jobs: how many runs at a time, in processes of this machine. scheduler: the address of a Dask scheduler; its
        workers then make the runs, and this process writes the results.

        Gives the errors of the runs that failed, by name; these are made again next time. Raises OSError if a result
        cannot be written.
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

    def _here(self, runs: dict[str, Settings], jobs: int) -> Iterator[tuple[str, dict]]:
        if jobs > 1:
            os.environ.setdefault("TQDM_DISABLE", "1")  # read by the new processes, whose bars would mix
        parallel = Parallel(n_jobs=jobs, return_as="generator_unordered", batch_size=1)
        yield from parallel(delayed(_named)(name, run, self.source) for name, run in runs.items())

    def _on_cluster(self, runs: dict[str, Settings], scheduler: str) -> Iterator[tuple[str, dict]]:
        """A run whose worker dies is made by another one. One whose workers die again and again has failed.

        Not through joblib's Dask backend, which waits for such a run for ever.
        """
        with extra("cluster"):
            from distributed import Client, as_completed
        with Client(scheduler) as client:
            client.wait_for_workers(1, timeout=PATIENCE)
            futures = {client.submit(execute, run, self.source, pure=False): name for name, run in runs.items()}
            for future in as_completed(futures):
                name = futures[future]
                try:
                    result = future.result()
                except Exception as error:
                    result = failed(runs[name], error, 0.0)
                yield name, result

    def _path(self, name: str) -> Path:
        return self.folder / "runs" / name / RESULT


def _named(name: str, run: Settings, source: Source) -> tuple[str, dict]:
    return name, execute(run, source)
