"""Make an nbgrader assignment of the exercises: `python -m tools.assignment [FOLDER]`.

FOLDER (build/assignment) becomes an nbgrader course: `source/` has the exercises with their solutions and points, and
`release/` is what learners get. Collect into `submitted/NAME/pruning/` and run `nbgrader autograde pruning` in FOLDER.
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import nbformat
import typer

from tools.course import QUIET, python_of
from tools.notebooks import BEGIN, NOTEBOOKS, ROOT, STUB, from_cells, save

ASSIGNMENT = "pruning"
SOURCE = NOTEBOOKS / "source/10_exercises.py"
CONFIG = f"""\
c = get_config()
c.CourseDirectory.course_id = "pruning_course"
c.ClearSolutions.code_stub = {{"python": "{STUB}"}}
"""
CHECK = re.compile(r"from pruning_course\.teaching import checks\n\nchecks\.check_(\w+)\(\)")
# Learners see the check; the grade is whether it passes, asked of the package itself.
HIDDEN = """
### BEGIN HIDDEN TESTS
from pruning_course.teaching.checks import check_{name} as graded

assert graded({name}).passed, graded({name}).message
### END HIDDEN TESTS"""


def with_grades(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The exercises with nbgrader's metadata: a point for each ● of an exercise. ValueError for one without any."""
    points = 0
    for cell in notebook.cells:
        check = CHECK.fullmatch(cell.source)
        if cell.cell_type == "markdown":
            points = cell.source.count("●") if cell.source.startswith("### ") else points
        elif BEGIN in cell.source:
            cell.metadata.nbgrader = marks(re.search(r"^def (\w+)", cell.source, re.M)[1], solution=True)
        elif check:
            if not points:
                raise ValueError(f"The exercise {check[1]} has no ● that says what it is worth.")
            cell.metadata.nbgrader = marks(f"check_{check[1]}", grade=True, locked=True, points=points)
            cell.source += HIDDEN.format(name=check[1])
    return notebook


def marks(grade_id: str, **what) -> dict:
    none = {"grade": False, "locked": False, "solution": False, "task": False}
    return {"grade_id": grade_id, "schema_version": 3} | none | what


def make(folder: Path) -> Path:
    """Write the course and let nbgrader make the release; returns the notebook for learners."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "nbgrader_config.py").write_text(CONFIG, encoding="utf-8")
    name = f"{ASSIGNMENT}/{SOURCE.stem}.ipynb"
    save(with_grades(from_cells(SOURCE)), folder / "source" / name)
    nbgrader(folder, "generate_assignment", ASSIGNMENT, "--create", "--force")
    return folder / "release" / name


def nbgrader(folder: Path, *words: str) -> None:
    """Run a command of nbgrader in `folder`; it explains on stderr what it refuses, and then so do we: exit 1."""
    python = python_of(".venv-grading")
    if not python.exists():
        sys.exit("nbgrader has an environment of its own, which is not there: run `make assignment`.")
    path = os.pathsep.join([str(python.parent), os.environ.get("PATH", "")])  # it calls `alembic`
    command = [str(python), "-m", "nbgrader", *words, "--log-level=WARN"]
    if subprocess.run(command, cwd=folder, env=os.environ | QUIET | {"PATH": path}).returncode:
        sys.exit(f"nbgrader {' '.join(words)} failed in {folder}.")


def main(folder: Annotated[Path, typer.Argument()] = ROOT / "build/assignment") -> None:
    print(f"For learners: {make(folder.resolve())}")


if __name__ == "__main__":
    typer.run(main)
