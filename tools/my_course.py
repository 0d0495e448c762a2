"""The learner's own copy of the course, my_course/: made and renewed here, and never over what somebody has done in it.

`python -m tools.my_course` makes it; `--reset wanda` gives a fresh copy of one lesson and keeps the old one.
"""

import copy
import hashlib
import json
import platform
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, NamedTuple

import nbformat
import typer
from nbformat import NotebookNode

from pruning_course.files import written_beside
from tools.badges import first_cell

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("", "solutions")  # of notebooks/, and so of my_course/
# What the kernel says of itself. JupyterLab would write it into a notebook on opening it, and call that a change.
LANGUAGE = {
    "codemirror_mode": {"name": "ipython", "version": 3},
    "file_extension": ".py",
    "mimetype": "text/x-python",
    "name": "python",
    "nbconvert_exporter": "python",
    "pygments_lexer": "ipython3",
    "version": platform.python_version(),
}
BADGES = re.compile(r"^\[!\[Open in Binder\].*\n\n?", re.M)
LESSON = re.compile(r"\d+_([a-z0-9_]+)\.ipynb")


class Lesson(NamedTuple):
    """A notebook by what stays when lessons are numbered anew: its folder and its slug, such as wanda of 05_wanda."""

    folder: str
    slug: str


def lessons_in(folder: Path) -> dict[Lesson, Path]:
    """The lessons below `folder`, in order. Of two files with one slug the later number counts."""
    found = {}
    for inside in FOLDERS:
        for path in sorted((folder / inside).glob("*.ipynb")):
            if name := LESSON.fullmatch(path.name):
                found[Lesson(inside, name[1])] = path
    return found


def cleared(notebook: NotebookNode) -> NotebookNode:
    """A copy without outputs, so that no answer stands below its question. Its metadata say what the learner got.

    What only readers on the web need is left out or folded: the launch badges, the cell that installs the course.
    """
    fresh = copy.deepcopy(notebook)
    for cell in fresh.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
            if cell.source == first_cell():
                cell.metadata["jupyter"] = {"source_hidden": True}
        else:
            cell.source = BADGES.sub("", cell.source)
    fresh.metadata["pruning_course"] = {"given": digest(fresh)}
    fresh.metadata["language_info"] = LANGUAGE
    return fresh


def digest(notebook: NotebookNode) -> str:
    """16 hexadecimal digits that change with the text of any cell."""
    cells = json.dumps([(cell.cell_type, cell.source) for cell in notebook.cells])
    return hashlib.sha256(cells.encode()).hexdigest()[:16]


def read(path: Path) -> NotebookNode | None:
    """A learner's notebook; None if the file is none, whatever happened to it."""
    try:
        return nbformat.read(path, as_version=4)
    except Exception:  # nbformat has errors of many kinds
        return None


def is_untouched(notebook: NotebookNode | None) -> bool:
    """Whether a learner's notebook is still as it was given: no cell changed, none has run."""
    if notebook is None:
        return False
    ran = any(cell.get("outputs") or cell.get("execution_count") for cell in notebook.cells)
    return not ran and digest(notebook) == given(notebook)


def given(notebook: NotebookNode) -> str | None:
    """The digest of what the learner once got."""
    return notebook.metadata.get("pruning_course", {}).get("given")


def renew(root: Path = ROOT) -> Iterator[str]:
    """Make root/my_course from root/notebooks, or bring it up to date; say in sentences what the learner should know.

    New lessons are added. A lesson that nobody has touched becomes the new release; one that somebody has worked in
    stays as it is, under its new number if that has changed.
    """
    mine = lessons_in(root / "my_course")
    for lesson, source in lessons_in(root / "notebooks").items():
        target = root / "my_course" / lesson.folder / source.name
        fresh = cleared(nbformat.read(source, as_version=4))
        if lesson not in mine:
            write(fresh, target)
            continue
        old = mine[lesson]
        name, theirs = old.relative_to(root), read(old)
        if theirs is None:
            yield f"{name} is damaged and stays as it is; {how_to_reset(lesson)}."
            continue
        if is_untouched(theirs):
            write(fresh, target)
            if old != target:
                old.unlink()
            continue
        if old != target and not target.exists():
            old.rename(target)
            yield f"{name} is now called {target.name}."
        if given(theirs) != given(fresh):
            yield f"{target.relative_to(root)} is your copy of an older release and stays; {how_to_reset(lesson)}."


def reset(name: str, root: Path = ROOT) -> Iterator[str]:
    """Give a fresh copy of one lesson and keep the old one; `name` is a slug, wanda, or 05, or 05_wanda.

    Raises ValueError for a lesson that the course does not have.
    """
    course, mine = lessons_in(root / "notebooks"), lessons_in(root / "my_course")
    number, _, slug = Path(name).stem.partition("_") if name[:1].isdigit() else ("", "", name)
    found = {
        lesson: source
        for lesson, source in course.items()
        if (lesson.slug == slug if slug else source.name.startswith(f"{number}_"))
    }
    if not found:
        known = ", ".join(lesson.slug for lesson in course if not lesson.folder)
        raise ValueError(f"There is no lesson {name!r}; the lessons are {known}.")
    for lesson, source in found.items():
        target = root / "my_course" / lesson.folder / source.name
        if lesson in mine and not is_untouched(read(mine[lesson])):
            kept = free_name(mine[lesson])
            mine[lesson].rename(kept)
            yield f"Your work on {lesson.slug} is kept in {kept.relative_to(root)}."
        write(cleared(nbformat.read(source, as_version=4)), target)
        yield f"{target.relative_to(root)} is a fresh copy."


def how_to_reset(lesson: Lesson) -> str:
    commands = f"`make lab RESET={lesson.slug}`, or `python tools/course.py lab --reset {lesson.slug}`,"
    return f"{commands} gives you the new one and keeps yours"


def free_name(path: Path) -> Path:
    """A name next to `path` that no file has and that is not taken for a lesson: 05_wanda.kept-1.ipynb."""
    number = 1
    while (kept := path.with_name(f"{path.stem}.kept-{number}.ipynb")).exists():
        number += 1
    return kept


def write(notebook: NotebookNode, path: Path) -> None:
    with written_beside(path) as beside:
        nbformat.write(notebook, beside)


def main(
    lesson: Annotated[
        str | None, typer.Option("--reset", help="A fresh copy of this lesson; the old one is kept.")
    ] = None,
) -> None:
    """Make my_course/ or bring it up to date."""
    try:
        for remark in [*(reset(lesson) if lesson else ()), *renew()]:
            print(remark)
    except (OSError, ValueError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None


if __name__ == "__main__":
    typer.run(main)
