"""The learner's copy: no answers in it, found again by its slug, never overwritten once somebody has worked in it."""

import shutil
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from typer.testing import CliRunner

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tools import badges, my_course  # noqa: E402


def publish(root: Path, name: str, *codes: str) -> None:
    """A release of one lesson: executed, with an output below each cell."""
    cells = [
        new_markdown_cell(f"# {name}\n\n{badges.badge_line(name)}\n\nA **lesson**."),
        new_code_cell(badges.first_cell()),
    ]
    cells += [new_code_cell(code, outputs=[new_output("stream", text="42")], execution_count=2) for code in codes]
    path = root / "notebooks" / f"{name}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(new_notebook(cells=cells), path)


def learn(root: Path, name: str, source: str | None = None, output: str | None = None) -> Path:
    """What a learner does in the last cell of a lesson."""
    path = root / "my_course" / f"{name}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    if source is not None:
        notebook.cells[-1].source = source
    if output is not None:
        notebook.cells[-1].outputs = [new_output("stream", text=output)]
        notebook.cells[-1].execution_count = 1
    nbformat.write(notebook, path)
    return path


def renew(root: Path) -> list[str]:
    return list(my_course.renew(root))


def files(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root / "my_course")) for path in (root / "my_course").rglob("*.ipynb"))


def last(path: Path) -> str:
    return nbformat.read(path, as_version=4).cells[-1].source


@pytest.fixture
def root(tmp_path):
    publish(tmp_path, "05_wanda", "old")
    publish(tmp_path, "10_exercises", "to do")
    publish(tmp_path, "solutions/10_exercises", "done")
    assert renew(tmp_path) == []
    return tmp_path


def test_the_copy_spoils_nothing_and_carries_no_machinery(root):
    assert files(root) == ["05_wanda.ipynb", "10_exercises.ipynb", "solutions/10_exercises.ipynb"]
    notebook = nbformat.read(root / "my_course/05_wanda.ipynb", as_version=4)
    text, install, code = notebook.cells
    assert text.source == "# 05_wanda\n\nA **lesson**."
    assert install.source == badges.first_cell() and install.metadata.jupyter.source_hidden
    assert (code.source, code.outputs, code.execution_count) == ("old", [], None)
    assert nbformat.read(root / "notebooks/05_wanda.ipynb", as_version=4).cells[-1].outputs  # stays, for reading


def test_a_new_release_replaces_what_nobody_has_touched(root):
    publish(root, "05_wanda", "new")
    publish(root, "06_added", "one more")
    assert renew(root) == []
    assert last(root / "my_course/05_wanda.ipynb") == "new" and last(root / "my_course/06_added.ipynb") == "one more"


@pytest.mark.parametrize("work", [{"source": "mine"}, {"output": "0.7"}])
def test_what_a_learner_did_is_never_overwritten(root, work):
    path = learn(root, "05_wanda", **work)
    before = path.read_bytes()
    assert renew(root) == [] and path.read_bytes() == before  # the same release: nothing to say
    publish(root, "05_wanda", "new")
    [remark] = renew(root)
    assert remark.startswith(
        "my_course/05_wanda.ipynb is your copy of an older release and stays; `make lab RESET=wanda`"
    )
    assert path.read_bytes() == before


def test_lessons_that_are_numbered_anew_are_found_by_their_slug(root):
    learn(root, "05_wanda", source="mine")
    (root / "notebooks/05_wanda.ipynb").rename(root / "notebooks/06_wanda.ipynb")
    (root / "notebooks/10_exercises.ipynb").rename(root / "notebooks/12_exercises.ipynb")
    (root / "notebooks/solutions/10_exercises.ipynb").rename(root / "notebooks/solutions/12_exercises.ipynb")
    assert renew(root) == ["my_course/05_wanda.ipynb is now called 06_wanda.ipynb."]
    assert files(root) == ["06_wanda.ipynb", "12_exercises.ipynb", "solutions/12_exercises.ipynb"]
    assert last(root / "my_course/06_wanda.ipynb") == "mine"


@pytest.mark.parametrize("name", ["wanda", "05", "05_wanda", "05_wanda.ipynb"])
def test_reset_gives_a_fresh_copy_and_keeps_the_old_one(root, name):
    learn(root, "05_wanda", source="mine")
    assert list(my_course.reset(name, root)) == [
        "Your work on wanda is kept in my_course/05_wanda.kept-1.ipynb.",
        "my_course/05_wanda.ipynb is a fresh copy.",
    ]
    assert last(root / "my_course/05_wanda.ipynb") == "old"
    assert last(root / "my_course/05_wanda.kept-1.ipynb") == "mine"
    learn(root, "05_wanda", source="mine again")
    list(my_course.reset(name, root))
    assert last(root / "my_course/05_wanda.kept-2.ipynb") == "mine again"
    assert renew(root) == [] and len(files(root)) == 5


def test_reset_of_what_nobody_has_touched_keeps_nothing(root):
    assert list(my_course.reset("wanda", root)) == ["my_course/05_wanda.ipynb is a fresh copy."]
    assert len(files(root)) == 3


def test_reset_of_an_unknown_lesson_changes_nothing(root):
    with pytest.raises(ValueError, match="no lesson 'wonder'; the lessons are wanda, exercises"):
        list(my_course.reset("wonder", root))
    assert len(files(root)) == 3


def test_a_damaged_file_stays_and_can_be_reset(root):
    path = root / "my_course/05_wanda.ipynb"
    path.write_text('{"cells": [')
    [remark] = renew(root)
    assert remark.startswith("my_course/05_wanda.ipynb is damaged and stays as it is; `make lab RESET=wanda`")
    assert path.read_text() == '{"cells": ['
    kept, _ = my_course.reset("wanda", root)
    assert kept.startswith("Your work on wanda is kept")
    assert last(path) == "old" and (root / "my_course/05_wanda.kept-1.ipynb").read_text() == '{"cells": ['


def test_a_lesson_that_was_thrown_away_comes_back(root):
    (root / "my_course/05_wanda.ipynb").unlink()
    assert renew(root) == [] and last(root / "my_course/05_wanda.ipynb") == "old"


def test_files_of_ones_own_are_left_alone(root):
    for name in ("notes.txt", "05_wanda-Copy1.ipynb", "Untitled.ipynb"):
        (root / "my_course" / name).write_text("mine")
    assert renew(root) == []
    assert all((root / "my_course" / name).read_text() == "mine" for name in ("05_wanda-Copy1.ipynb", "Untitled.ipynb"))


def test_the_real_lessons_are_all_there(tmp_path):
    shutil.copytree(ROOT / "notebooks", tmp_path / "notebooks")
    assert renew(tmp_path) == []
    wanted = [path.relative_to(tmp_path / "notebooks") for path in (tmp_path / "notebooks").rglob("*.ipynb")]
    assert files(tmp_path) == sorted(str(path) for path in wanted if ".ipynb_checkpoints" not in path.parts)
    for path in (tmp_path / "my_course").rglob("*.ipynb"):
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
        assert not any(cell.get("outputs") or "mybinder.org" in cell.source for cell in notebook.cells)


def test_a_wrong_name_on_the_command_line_is_one_sentence():
    from typer import Typer

    app = Typer()
    app.command()(my_course.main)
    result = CliRunner().invoke(app, ["--reset", "wonder"])
    assert result.exit_code == 1 and "There is no lesson 'wonder'" in result.output and "Traceback" not in result.output
