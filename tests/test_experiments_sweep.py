import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from helpers.classifier import save_classifier, save_csv
from helpers.processes import PATIENCE, started
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from pruning_course.experiments import Settings, Source, Sweep, combinations
from pruning_course.experiments import run as one_run
from pruning_course.experiments import sweep as many_runs
from pruning_course.experiments.commands import app

GRID = {"prune_sparsity": [0.3, 0.5, 0.7], "seed": [0, 1], "fine_tune_epochs": [1, 2], "train_texts": 32}
FOUR = GRID | {"prune_sparsity": [0.3]}
TWO = FOUR | {"seed": [0]}


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    return Source(save_classifier(folder / "model"), save_csv(folder / "texts.csv"))


def experiments() -> dict[str, list[Settings]]:
    return {"sweep": combinations(GRID)}


@pytest.fixture(scope="module")
def whole(own, tmp_path_factory):
    """The results of the sweep, never stopped."""
    folder = tmp_path_factory.mktemp("sweep") / "whole"
    assert Sweep(experiments(), own, folder).run() == {}
    return results(folder)


def results(folder: Path) -> dict[str, dict]:
    found = {path.parent.name: json.loads(path.read_text()) for path in folder.glob("runs/*/result.json")}
    return {name: {key: value for key, value in result.items() if key != "seconds"} for name, result in found.items()}


def arguments(own: Source, folder: Path, grid: dict = GRID) -> list[str]:
    """The same sweep, or a part of it, from the command line."""
    lists = {name: value if isinstance(value, list) else [value] for name, value in grid.items()}
    options = [f"--{name.replace('_', '-')}={value}" for name, values in lists.items() for value in values]
    return ["sweep", *options, f"--model={own.model}", f"--data={own.data}", f"--output-dir={folder}"]


def when_done(folder: Path, count: int, act) -> threading.Thread:
    """Call `act` as soon as so many results are in the folder."""

    def wait():
        for _ in range(6000):
            if len(list(folder.glob("runs/*/result.json"))) >= count:
                return act()
            time.sleep(0.01)

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


def test_a_killed_sweep_ends_as_one_that_was_not(own, whole, tmp_path):
    folder = tmp_path / "killed"
    command = [sys.executable, "-m", "pruning_course", *arguments(own, folder)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1"}
    with started(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        when_done(folder, 2, process.kill).join()
        assert process.wait(PATIENCE) == (1 if os.name == "nt" else -signal.SIGKILL)
    before = {path: path.stat().st_mtime_ns for path in folder.glob("runs/*/result.json")}
    assert 2 <= len(before) < len(whole)
    assert CliRunner().invoke(app, arguments(own, folder)).exit_code == 0
    assert results(folder) == whole and len(whole) == 12
    assert {path: path.stat().st_mtime_ns for path in before} == before  # none of them was made again


def test_a_sweep_that_is_done_makes_no_run(own, tmp_path, monkeypatch):
    some = {"a": [Settings()], "b": [Settings(), Settings(prune_sparsity=0.1)]}
    sweep = Sweep(some, own, tmp_path)
    assert len(sweep.runs) == 2 and sweep.run() == {} and sweep.done == set(sweep.runs)
    monkeypatch.setattr(many_runs, "execute", None)
    assert Sweep(some, own, tmp_path).run() == {}


@pytest.fixture
def obeyed_control_c():
    """A job in the background of a shell inherits an ignored Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_control_c_keeps_what_is_done(own, whole, tmp_path, monkeypatch, obeyed_control_c):
    begun = []

    def interrupted(run, source):
        begun.append(run)
        if len(begun) == 4:
            signal.raise_signal(signal.SIGINT)
        return one_run.execute(run, source)

    monkeypatch.setattr(many_runs, "execute", interrupted)
    result = CliRunner().invoke(app, arguments(own, tmp_path))
    assert result.exit_code == 130
    assert result.stderr.splitlines()[-1] == "Stopped: 3 of 12 runs are done; the same command makes the others."
    assert "Traceback" not in result.output
    assert len(results(tmp_path)) == 3 and results(tmp_path).items() <= whole.items()


def test_a_failed_run_is_recorded_and_does_not_stop_the_rest(own, tmp_path, monkeypatch):
    options = ["--prune-method=structured", "--prune-method=magnitude", "--prune-layers=attention"]
    command = ["sweep", *options, f"--model={own.model}", f"--data={own.data}", f"--output-dir={tmp_path}"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 1 and "1 of 2 runs are done" in result.stdout
    assert (
        "failed: ValueError: prune_layers for neurons is 'attention'" in result.stderr
        and "Traceback" not in result.output
    )
    assert sorted(found["status"] for found in results(tmp_path).values()) == ["done", "failed"]
    report = CliRunner().invoke(app, ["report", str(tmp_path)])
    assert report.exit_code == 0 and "## Failed" in (tmp_path / "report.md").read_text()
    monkeypatch.setattr(many_runs, "execute", lambda run, source: one_run.execute(Settings(), source))
    assert CliRunner().invoke(app, command).exit_code == 0  # the failed run, and only that, is tried again
    assert [found["status"] for found in results(tmp_path).values()] == ["done", "done"]


def test_a_full_disk_leaves_nothing_half_written(own, tmp_path, monkeypatch):
    folder = tmp_path / "full"
    write = Path.write_text

    def full(path, text, **options):
        if path.name == "result.json" and list(folder.glob("runs/*/result.json")):
            write(path, text[:20])
            raise OSError(28, "No space left on device", str(path))
        return write(path, text, **options)

    monkeypatch.setattr(Path, "write_text", full)
    result = CliRunner().invoke(app, arguments(own, folder, TWO))
    assert result.exit_code == 1 and result.stderr.splitlines()[-1].endswith("No space left on device.")
    assert "Traceback" not in result.output
    assert len(results(folder)) == 1 and [path.name for path in folder.rglob(".*")] == []
    monkeypatch.undo()
    assert CliRunner().invoke(app, arguments(own, folder, TWO)).exit_code == 0 and len(results(folder)) == 2


def test_the_folder_of_another_grid_is_refused(own, tmp_path):
    sweep = {"sweep": [Settings()]}
    (tmp_path / "sweep" / ".sweep.json.killed").mkdir(parents=True)  # while it was written
    Sweep(sweep, own, tmp_path / "sweep")
    with pytest.raises(ValueError, match="holds another sweep"):
        Sweep({"sweep": [Settings(seed=1)]}, own, tmp_path / "sweep")
    with pytest.raises(ValueError, match="holds something that is not a sweep"):
        Sweep(sweep, own, tmp_path)
    copy = shutil.copytree(own.model, tmp_path / "copy")
    Sweep(sweep, Source(str(copy), own.data), tmp_path / "model")
    weights = load_file(copy / "model.safetensors")
    save_file({name: -tensor for name, tensor in weights.items()}, copy / "model.safetensors", {"format": "pt"})
    with pytest.raises(ValueError, match="with other settings, model or data"):
        Sweep(sweep, Source(str(copy), own.data), tmp_path / "model")
    changed = tmp_path / "changed.csv"
    changed.write_text(Path(own.data).read_text())
    Sweep(sweep, Source(own.model, str(changed)), tmp_path / "changed")
    changed.write_text(Path(own.data).read_text().replace("pain", "red"))
    with pytest.raises(ValueError, match="with other settings, model or data"):
        Sweep(sweep, Source(own.model, str(changed)), tmp_path / "changed")


def test_a_sweep_may_grow_and_makes_only_the_new_runs(own, tmp_path):
    small, large = [Settings()], [Settings(seed=1), Settings()]
    assert Sweep({"first": small}, own, tmp_path).run() == {}
    [path] = tmp_path.glob("runs/*/result.json")
    before = path.stat().st_mtime_ns
    sweep = Sweep({"second": large}, own, tmp_path)
    assert sweep.done == {small[0].name} and sweep.run() == {} and sweep.done == set(sweep.runs)
    assert path.stat().st_mtime_ns == before
    assert list(json.loads((tmp_path / "sweep.json").read_text())["experiments"]) == ["second"]
    with pytest.raises(ValueError, match="holds another sweep"):
        Sweep({"first": small}, own, tmp_path)


def test_a_damaged_result_is_named(own, tmp_path):
    sweep = Sweep({"sweep": [Settings()]}, own, tmp_path)
    assert sweep.run() == {}
    [path] = tmp_path.glob("runs/*/result.json")
    path.write_text("{")
    with pytest.raises(ValueError, match=r"result.json is damaged; delete it"):
        sweep.run()


def test_two_processes_give_what_one_gives(own, whole, tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    sweep = Sweep({"sweep": combinations(GRID)[:4]}, own, tmp_path)
    assert sweep.run(jobs=2) == {}
    assert results(tmp_path).items() <= whole.items() and len(results(tmp_path)) == 4


def test_a_missing_package_is_named_with_its_extra(own, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "joblib", None)
    monkeypatch.delitem(sys.modules, "pruning_course.experiments.sweep")
    result = CliRunner().invoke(app, arguments(own, tmp_path))
    assert result.exit_code == 1 and result.stderr == (
        "joblib is not installed; it comes with the extra 'course': run `pip install 'pruning-course[course]'`.\n"
    )


def test_a_cluster_needs_dask(own, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    command = [*arguments(own, tmp_path), "--backend=dask", "--scheduler=tcp://127.0.0.1:1"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 1 and "run `pip install 'pruning-course[cluster]'`." in result.stderr


def test_a_cluster_without_a_worker_is_not_waited_for_forever(own, tmp_path, monkeypatch):
    from distributed import LocalCluster

    monkeypatch.setattr(many_runs, "PATIENCE", 0.5)
    sweep, errors = Sweep({"sweep": [Settings()]}, own, tmp_path), []

    def run():
        with pytest.raises(OSError) as error:
            sweep.run(scheduler=cluster.scheduler_address)
        errors.append(str(error.value))

    with LocalCluster(n_workers=0, host="127.0.0.1", dashboard_address=None) as cluster:
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        thread.join(30)
        assert errors == ["Only 0/1 workers arrived after 0.5"]


def deadly(run: Settings, source: Source) -> None:
    psutil.Process().kill()


def test_a_cluster_that_loses_a_worker_loses_no_run(own, whole, tmp_path, monkeypatch):
    from distributed import Client, LocalCluster

    folder = tmp_path / "cluster"
    options = {"n_workers": 2, "threads_per_worker": 1, "host": "127.0.0.1", "dashboard_address": None}
    with LocalCluster(**options) as cluster, Client(cluster) as client:
        pids = client.run(os.getpid)
        assert len(pids) == 2
        killer = when_done(folder, 1, lambda: psutil.Process(next(iter(pids.values()))).kill())
        command = [*arguments(own, folder, FOUR), "--backend=dask", f"--scheduler={cluster.scheduler_address}"]
        result = CliRunner().invoke(app, command)
        killer.join()
        assert result.exit_code == 0 and "4 of 4 runs are done" in result.stdout
        assert set(client.run(os.getpid).values()) != set(pids.values())
        assert results(folder).items() <= whole.items() and len(results(folder)) == 4

        # A run that kills whatever worker takes it has failed, and the sweep ends.
        cluster.scheduler.allowed_failures = 0
        monkeypatch.setattr(many_runs, "execute", deadly)
        sweep = Sweep({"sweep": [Settings()]}, own, tmp_path / "deadly")
        [error] = sweep.run(scheduler=cluster.scheduler_address).values()
        assert error.startswith("KilledWorker") and sweep.done == set()
        assert [result["status"] for result in results(tmp_path / "deadly").values()] == ["failed"]
