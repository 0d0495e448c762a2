"""What is installed where must agree: pyproject.toml, constraints.txt, environment.yml, the Makefile, Colab."""

import ast
import os
import re
import shutil
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from helpers.processes import run
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tools import course  # noqa: E402

PACKAGE = ROOT / "pruning_course"
# Low to high: a module imports only from the left of itself.
FLOORS = [
    *(
        "counts",
        "extras",
        "files",
        "tensors",
        "models",
        "scores",
        "selection",
        "masks",
        "schedules",
        "calibration",
        "shrink",
        "report",
        "checkpoint",
    ),
    *("pruners", "finetune", "tickets", "experiments", "__main__"),
]
CONDA_NAMES = {"torch": "pytorch-cpu", "matplotlib": "matplotlib-base"}
# Not on conda-forge; postBuild installs it without its own requirements.
FROM_PIP = {"obonet": {"networkx"}}
# What Colab had in 2026-08 and will not change for us; its other packages have no version that we care about.
COLAB = {
    "torch": "2.11.0",
    "transformers": "5.15.0",
    "ipywidgets": "7.7.1",
    "numpy": "2.1.3",
    "matplotlib": "3.10.0",
    "jupytext": "1.19.5",
}


def requirements(*extras: str) -> dict[str, Requirement]:
    """Name -> requirement, of the package and of these extras, as pyproject.toml writes them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lists = [project["dependencies"], *(project["optional-dependencies"][extra] for extra in extras)]
    return {(one := Requirement(line)).name: one for lines in lists for line in lines}


def constraints(name: str = "constraints.txt") -> dict[str, Requirement]:
    lines = (ROOT / name).read_text().splitlines()
    found = [Requirement(line) for line in lines if line.strip() and not line.startswith("#")]
    return {requirement.name.lower(): requirement for requirement in found}


def test_the_conda_environment_has_what_the_package_asks_for():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    given = {
        re.split(r"[<>=]", line)[0]: line for line in environment["dependencies"]
    }  # a pip section would not be text
    wanted = requirements("course")
    names = {CONDA_NAMES.get(name, name) for name in wanted if name not in FROM_PIP}
    assert set(given) - {"python", "pip"} == names.union(*FROM_PIP.values())
    assert given["python"] == "python=3.12"
    assert environment["channels"] == ["conda-forge", "nodefaults"]
    for name, requirement in wanted.items():
        if name not in FROM_PIP:
            conda_name = CONDA_NAMES.get(name, name)
            assert given[conda_name] == f"{conda_name}{requirement.specifier}"


def test_binder_installs_what_conda_forge_lacks():
    script = (ROOT / "postBuild").read_text()
    assert "set -euo pipefail" in script
    assert all(name in script for name in FROM_PIP)
    assert os.name == "nt" or all((ROOT / name).stat().st_mode & 0o100 for name in ("postBuild", "start", ".ci/run"))


def test_the_library_itself_needs_six_packages():
    assert set(requirements()) == {"accelerate", "numpy", "safetensors", "torch", "tqdm", "transformers"}


def test_every_direct_dependency_has_an_exact_version():
    exact = constraints()
    assert str(exact["torch"]) == "torch==2.13.0"
    for name, requirement in requirements("cluster", "course", "test").items():
        [pin] = exact[name.lower()].specifier
        assert pin.operator == "=="
        assert pin.version in requirement.specifier


def test_the_oldest_versions_are_those_that_the_package_allows():
    oldest = constraints("constraints-oldest.txt")
    wanted = requirements("cluster", "course", "test")
    del wanted["torch"]  # its old builds come with CUDA, so only an index of PyTorch's own wheels is asked for one
    assert "torch" not in oldest
    for name, requirement in wanted.items():
        [bound], [pin] = requirement.specifier, oldest[name.lower()].specifier
        assert (bound.operator, pin.operator) == (">=", "==")
        assert Version(pin.version) == Version(bound.version), name


def test_the_pythons_are_the_same_everywhere():
    oldest, newest = (".".join(map(str, version)) for version in (course.OLDEST_PYTHON, course.NEWEST_PYTHON))
    assert f'requires-python = ">={oldest}"' in (ROOT / "pyproject.toml").read_text()
    assert f"Python {oldest} to {newest}" in (ROOT / "README.md").read_text()
    assert f"Python {oldest} to {newest}" in (ROOT / "CONTRIBUTING.md").read_text()
    assert f"install Python {oldest}-{newest}" in (ROOT / "Makefile").read_text()


def test_make_and_the_script_have_the_same_commands():
    called = re.findall(r"^\t\$\(COURSE\) ([\w-]+)", (ROOT / "Makefile").read_text(), re.M)
    assert set(called) == set(course.COMMANDS)


@pytest.mark.parametrize(("name", "version"), COLAB.items())
def test_colab_keeps_its_own(name, version):
    assert version in requirements("course")[name].specifier


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make, as on Windows")
def test_make_help_lists_every_target():
    targets = re.findall(r"^([a-z][\w-]*):(?!=)", (ROOT / "Makefile").read_text(), re.M)
    assert {"help", "course", "test", "notebooks", "lab", "badges", "bench", "timings", "lint"} <= set(targets)
    shown = run(["make", "help"], cwd=ROOT, check=True).stdout
    assert re.findall(r"^make ([\w-]+) +\S", shown, re.M) == targets


def imported_from(path: Path) -> set[str]:
    """The modules of this package that a file imports, by the first name below `pruning_course`."""
    found = set()
    folder = path.relative_to(PACKAGE).parent.parts
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level:
            base = ["pruning_course", *folder][: len(folder) + 2 - node.level]
            names = [".".join([*base, node.module])] if node.module else [".".join([*base, a.name]) for a in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
            if node.module == "pruning_course":
                names = [f"{node.module}.{alias.name}" for alias in node.names]
        found |= {name.split(".")[1] for name in names if name.startswith("pruning_course.")}
    return found & {p.stem for p in PACKAGE.iterdir()}  # `from pruning_course import Masks` names no module


def files_of(floor: str) -> list[Path]:
    """The file of a floor, or all files of the folder of that name."""
    return [*PACKAGE.glob(f"{floor}.py"), *(PACKAGE / floor).rglob("*.py")]


@pytest.mark.parametrize("floor", [name for name in FLOORS if files_of(name)])
def test_imports_go_down(floor):
    allowed = {"__init__", floor, *FLOORS[: FLOORS.index(floor)]}
    if floor in ("experiments", "__main__"):
        allowed |= {"lab"}
    assert set().union(*map(imported_from, files_of(floor))) <= allowed


def test_every_library_module_has_a_floor():
    found = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert found - {"__init__", "lab", "teaching"} <= set(FLOORS)


def test_the_laboratory_does_not_need_the_lessons():
    assert not any("teaching" in imported_from(path) for path in (PACKAGE / "lab").rglob("*.py"))


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_file_is_long(path):
    assert len(path.read_text().splitlines()) <= 220
