"""The tools see a changed source, refuse what must not be committed, and move the course to another address."""

import shutil
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output
from typer.testing import CliRunner

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from pruning_course.lab import memory  # noqa: E402
from tools import badges, notebooks, picture  # noqa: E402


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty notebooks/ to work in."""
    (tmp_path / "notebooks/source").mkdir(parents=True)
    monkeypatch.setattr(notebooks, "ROOT", tmp_path)
    monkeypatch.setattr(notebooks, "NOTEBOOKS", tmp_path / "notebooks")
    return tmp_path / "notebooks"


def made(source: Path) -> Path:
    """A notebook from this source, not executed."""
    notebooks.save(notebooks.from_source(source), notebooks.notebooks_of(source)[0])
    return notebooks.notebooks_of(source)[0]


def with_output(**output) -> nbformat.NotebookNode:
    return new_notebook(cells=[new_code_cell("1", outputs=[new_output(**output)])])


def test_an_edited_source_is_noticed(folder):
    source = folder / "source/00_a.py"
    source.write_text("# %%\n1 + 1\n")
    notebook = made(source)
    assert notebooks.is_current(notebook, source)
    source.write_text("# %%\n1 + 2\n")
    assert not notebooks.is_current(notebook, source)


def test_the_same_source_gives_the_same_bytes(folder):
    source = folder / "source/00_a.py"
    source.write_text('# %% [markdown]\n# # A\n\n# %% tags=["nbval-ignore-output"] nbval_reason="it varies"\n1\n')
    notebook = made(source)
    first = notebook.read_bytes()
    assert made(source).read_bytes() == first
    cells = nbformat.read(notebook, as_version=4).cells
    assert [cell.id for cell in cells] == ["cell-000", "cell-001"]
    assert cells[1].metadata == {"tags": ["nbval-ignore-output"], "nbval_reason": "it varies"}


EXERCISE = """\
# %% [markdown]
# # Try
#
# [a badge](https://x.org/blob/v1/notebooks/00_a.ipynb) and [a link](01_b.ipynb#here)

# %%
def two():
    ### BEGIN SOLUTION
    # one and one
    return 2
    ### END SOLUTION
    return 3


# %%
two()
"""


def test_exercises_make_two_notebooks(folder):
    source = folder / "source/00_a.py"
    source.write_text(EXERCISE)
    assert notebooks.notebooks_of(source) == [folder / "00_a.ipynb", folder / "solutions/00_a.ipynb"]
    assert all(notebooks.source_of(path) == source for path in notebooks.notebooks_of(source))
    to_do, solved = ([cell.source for cell in notebooks.from_source(source, s).cells] for s in (False, True))
    assert to_do[1] == "def two():\n    # YOUR CODE HERE\n    return 3"
    assert solved[1] == "def two():\n    # one and one\n    return 2"
    assert to_do[2] == solved[2] == "two()"
    assert to_do[0].startswith("# Try\n") and solved[0].startswith("# Try: the solutions\n")
    assert "blob/v1/notebooks/solutions/00_a.ipynb) and [a link](../01_b.ipynb#here)" in solved[0]


def test_build_writes_what_is_fit_and_refuses_the_rest(folder, monkeypatch):
    assert eval(notebooks.PEAK) > 10
    # The same question to the file alone: importing the library around it takes seconds.
    monkeypatch.setattr(notebooks, "PEAK", f"__import__('runpy').run_path({memory.__file__!r})['peak_mebibytes']()")
    source = folder / "source/00_a.py"
    source.write_text("# %%\nimport sys\nprint('so far so good')\n\n# %%\nprint('a warning', file=sys.stderr)\n")
    result = CliRunner().invoke(notebooks.app, ["build"])
    assert result.exit_code == 1
    assert "00_a is not written" in result.output
    assert "cell 1 wrote to stderr: a warning" in result.output
    assert not list(folder.glob("*.ipynb"))


def test_a_current_notebook_is_not_executed_again(folder, monkeypatch):
    source = folder / "source/00_a.py"
    source.write_text("# %%\n1\n")
    made(source)
    monkeypatch.setattr(notebooks, "run", lambda *_: pytest.fail("it was executed"))
    assert CliRunner().invoke(notebooks.app, ["build"]).exit_code == 0


def test_a_change_of_the_text_keeps_the_outputs(folder, monkeypatch):
    source = folder / "source/00_a.py"
    source.write_text("# %% [markdown]\n# old\n\n# %%\n1\n")
    notebook = made(source)
    executed = nbformat.read(notebook, as_version=4)
    executed.cells[1].outputs = [new_output("stream", text="1")]
    executed.cells[1].execution_count = 1
    nbformat.write(executed, notebook)
    monkeypatch.setattr(notebooks, "run", lambda *_: pytest.fail("it was executed"))
    source.write_text("# %% [markdown]\n# # new\n#\n# and more\n\n# %%\n1\n")
    assert CliRunner().invoke(notebooks.app, ["build"]).exit_code == 0
    cells = nbformat.read(notebook, as_version=4).cells
    assert cells[0].source == "# new\n\nand more"
    assert (cells[1].execution_count, cells[1].outputs) == (1, executed.cells[1].outputs)
    assert notebooks.is_current(notebook, source)


@pytest.mark.parametrize("after", ["# %%\n2\n", '# %% tags=["nbval-ignore-output"]\n1\n', "# %%\n1\n\n# %%\n1\n"])
def test_a_change_of_the_code_does_not(folder, monkeypatch, after):
    source = folder / "source/00_a.py"
    source.write_text("# %%\n1\n")
    made(source)
    source.write_text(after)
    executed = []
    monkeypatch.setattr(notebooks, "execute", lambda *_: executed.append(1) or 1.0)
    assert CliRunner().invoke(notebooks.app, ["build"]).exit_code == 0
    assert executed


def test_no_notebook_and_no_such_notebook_are_errors_in_a_sentence(folder):
    assert "There are no notebooks" in CliRunner().invoke(notebooks.app, ["course"]).output
    assert "no source for 99_x" in CliRunner().invoke(notebooks.app, ["build", "99_x"]).output


@pytest.mark.parametrize("text", ["/home/me/x", "in '/tmp/x'", r"C:\Users\me", "file:///root/x"])
def test_paths_of_a_machine_are_seen(text):
    [problem] = notebooks.problems_in(with_output(output_type="stream", name="stdout", text=text))
    assert "path of this machine" in problem


@pytest.mark.parametrize("text", ["https://example.org/home/x", "scores/tmp/x", "F1: 0.8"])
def test_other_text_is_not_taken_for_a_path(text):
    assert notebooks.problems_in(with_output(output_type="stream", name="stdout", text=text)) == []


def test_an_error_is_a_problem():
    problems = notebooks.problems_in(with_output(output_type="error", ename="KeyError", evalue="'x'", traceback=[]))
    assert problems == ["cell 0: KeyError: 'x'"]


@pytest.fixture
def course(tmp_path):
    """A small course with an address in every kind of file."""
    for name in ("pyproject.toml", "requirements-lab.txt"):
        shutil.copy(ROOT / name, tmp_path)
    repository, tag = badges.home(tmp_path)
    source = tmp_path / "notebooks/source/00_a.py"
    source.parent.mkdir(parents=True)
    first = badges.first_cell(tmp_path)
    source.write_text(f"# %% [markdown]\n# {badges.badge_line('00_a', tmp_path)}\n\n# %%\n{first}\n")
    address = f"https://github.com/{repository}"
    (tmp_path / "README.md").write_text(f"{address}, {address}.git, {address}-two, {tag}, {address}/blob/{tag}/x\n")
    (tmp_path / "CITATION.cff").write_text(f'repository-code: "{address}"\n')
    return tmp_path


def test_badges_change_every_address_and_nothing_else(course, monkeypatch):
    monkeypatch.setattr(notebooks, "NOTEBOOKS", course / "notebooks")
    source = course / "notebooks/source/00_a.py"
    notebook = made(source)
    old = badges.home(course)
    project = (course / "pyproject.toml").read_text()
    changed = badges.move("someone/pruning", "v2", course)
    assert {path.name for path in changed} == {"00_a.py", "00_a.ipynb", "README.md", "CITATION.cff", "pyproject.toml"}
    assert badges.home(course) == ("someone/pruning", "v2")
    assert badges.badge_line("00_a", course) in source.read_text()
    assert source.read_text().endswith(badges.first_cell(course) + "\n")
    assert nbformat.read(notebook, as_version=4).cells[1].source == badges.first_cell(course)
    assert notebooks.is_current(notebook, source)
    new = "https://github.com/someone/pruning"
    kept = f"https://github.com/{old.repository}-two, {old.tag}"
    assert (course / "README.md").read_text() == f"{new}, {new}.git, {kept}, {new}/blob/v2/x\n"
    # Back again: everything is as it was.
    badges.move(*old, course)
    assert (course / "pyproject.toml").read_text() == project
    assert badges.move(*old, course) == []


def test_both_notebooks_of_exercises_move_along(course, monkeypatch):
    monkeypatch.setattr(notebooks, "NOTEBOOKS", course / "notebooks")
    source = course / "notebooks/source/00_a.py"
    source.write_text(
        source.read_text() + "\n# %%\ndef two():\n    ### BEGIN SOLUTION\n    return 2\n    ### END SOLUTION\n"
    )
    twins = notebooks.notebooks_of(source)
    for path in twins:
        notebooks.save(notebooks.from_source(source, solved=path.parent.name == "solutions"), path)
    badges.move("someone/pruning", "v2", course)
    assert all(notebooks.is_current(path, source) for path in twins)
    assert "someone/pruning/v2?urlpath=lab/tree/my_course/solutions/00_a.ipynb" in twins[1].read_text()


def test_a_stale_notebook_stays_stale(course, monkeypatch):
    monkeypatch.setattr(notebooks, "NOTEBOOKS", course / "notebooks")
    source = course / "notebooks/source/00_a.py"
    notebook = made(source)
    source.write_text(source.read_text() + "\n# %%\n1\n")
    badges.move("someone/pruning", "v2", course)
    assert not notebooks.is_current(notebook, source)


@pytest.mark.parametrize(
    ("repository", "tag"), [("", "v1"), ("name", "v1"), ("a/b/c", "v1"), ("a b/c", "v1"), ("a/b", ""), ("a/b", "v 1")]
)
def test_a_bad_address_changes_nothing(course, repository, tag):
    before = {path: path.read_bytes() for path in course.rglob("*") if path.is_file()}
    with pytest.raises(ValueError, match="must"):
        badges.move(repository, tag, course)
    assert before == {path: path.read_bytes() for path in course.rglob("*") if path.is_file()}


def test_the_first_cell_is_short_and_silent_here(capsys):
    cell = badges.first_cell()
    assert len([line for line in cell.splitlines() if line]) <= 12
    exec(cell, {})
    assert capsys.readouterr() == ("", "")


def test_the_readme_shows_the_figure_of_the_notebook():
    assert f"]({picture.PICTURE.relative_to(ROOT)})" in (ROOT / "README.md").read_text()
    assert picture.PICTURE.read_bytes() == picture.picture(), "run `python -m tools.picture`"
