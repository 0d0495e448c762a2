"""One source: the notebook for learners, the one with solutions and the assignment agree, and nbgrader grades them."""

import csv
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from pruning_course.teaching.checks import CHECKS  # noqa: E402
from tools import assignment, notebooks  # noqa: E402

SOLVED = notebooks.from_source(assignment.SOURCE, solved=True).cells


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    folder = tmp_path_factory.mktemp("course")
    assignment.make(folder)
    return folder


def release(course) -> nbformat.NotebookNode:
    return nbformat.read(course / f"release/pruning/{assignment.SOURCE.stem}.ipynb", as_version=4)


def sources(cells) -> list[tuple[str, str]]:
    return [(cell.cell_type, cell.source) for cell in cells]


def test_learners_and_students_get_the_same_cells(course):
    learners = nbformat.read(ROOT / "notebooks/10_exercises.ipynb", as_version=4)
    assert sources(release(course).cells) == sources(learners.cells)
    assert not any("SOLUTION" in cell.source or "HIDDEN" in cell.source for cell in learners.cells)


def test_only_the_functions_differ_from_the_solutions():
    learners = notebooks.from_source(assignment.SOURCE).cells
    assert len(learners) == len(SOLVED)
    differ = [cell for cell, solved in zip(learners, SOLVED, strict=True) if cell.source != solved.source]
    code = [cell.source for cell in differ if cell.cell_type == "code"]
    assert len(code) == len(CHECKS) and all(notebooks.STUB in source for source in code)
    assert not any(notebooks.STUB in cell.source for cell in SOLVED if cell.cell_type == "code")


def test_the_whole_and_the_empty_submission_are_graded(course):
    for student in ("whole", "empty"):
        notebook = release(course)
        for cell, solved in zip(notebook.cells, SOLVED, strict=True):
            if student == "whole" and cell.metadata.get("nbgrader", {}).get("solution"):
                cell.source = solved.source
        notebooks.save(notebook, course / f"submitted/{student}/pruning/{assignment.SOURCE.stem}.ipynb")
    assignment.nbgrader(course, "autograde", "pruning")
    assignment.nbgrader(course, "export", "--to=grades.csv")
    with open(course / "grades.csv", newline="") as file:
        grades = {row["student_id"]: row for row in csv.DictReader(file)}
    best = float(grades["whole"]["max_score"])
    assert {name: float(row["score"]) for name, row in grades.items()} == {"whole": best, "empty": 0}
    marks = [cell.metadata.get("nbgrader", {}) for cell in release(course).cells]
    assert sorted(m["grade_id"] for m in marks if m.get("grade")) == sorted(f"check_{name}" for name in CHECKS)
    assert best == sum(cell.source.count("●") for cell in SOLVED if cell.source.startswith("### "))


def test_an_exercise_without_points_is_refused():
    check = "from pruning_course.teaching import checks\n\nchecks.check_x()"
    cells = [nbformat.v4.new_markdown_cell("### 1. Free"), nbformat.v4.new_code_cell(check)]
    with pytest.raises(ValueError, match="no ●"):
        assignment.with_grades(nbformat.v4.new_notebook(cells=cells))


def test_a_refusal_of_nbgrader_ends_in_a_sentence(tmp_path):
    with pytest.raises(SystemExit, match="nbgrader autograde nothing failed"):
        assignment.nbgrader(tmp_path, "autograde", "nothing")
