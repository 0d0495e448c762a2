"""A real Jupyter server with the learner's settings: what it shows, what saving changes, and what it leaves alone."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat
import pytest
from helpers.processes import run, started

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tools import lab, my_course  # noqa: E402

TOKEN = "of-the-test"
VIEW = "application/vnd.jupyter.widget-view+json"
EXERCISES = "my_course/10_exercises.ipynb"


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """The course as a fresh clone has it, as far as Jupyter sees it, with the learner's copy in it."""
    root = tmp_path_factory.mktemp("clone")
    for name in (".gitignore", "pyproject.toml"):
        shutil.copy(ROOT / name, root)
    shutil.copytree(ROOT / "notebooks", root / "notebooks", ignore=shutil.ignore_patterns(".*"))
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "the course"]):
        run(["git", "-c", "user.name=me", "-c", "user.email=me@example.org", *words], cwd=root, check=True)
    assert list(my_course.renew(root)) == []
    return root


@pytest.fixture(scope="module")
def server(clone):
    """Its address, and its log."""
    log = clone.parent / "server.log"
    quiet = ("--no-browser", "--ServerApp.port=0", f"--IdentityProvider.token={TOKEN}")
    words = lab.command(clone, *quiet)
    with (
        open(log, "w") as file,
        started(words, cwd=clone, env=lab.environ(), stdout=file, stderr=subprocess.STDOUT) as process,
    ):
        yield _address(log, process), log
        process.terminate()
        process.wait(30)


def _address(log: Path, process: subprocess.Popen) -> str:
    end = time.monotonic() + 90
    while time.monotonic() < end and process.poll() is None:
        if found := re.search(r"(http://(?:localhost|127\.0\.0\.1):\d+)/", log.read_text()):
            return found[1]
        time.sleep(0.2)
    raise AssertionError(log.read_text())


def ask(server, path: str, content=None):
    """GET api/PATH, or PUT `content` there."""
    body = None if content is None else json.dumps(content).encode()
    request = urllib.request.Request(
        f"{server[0]}/api/{path}",
        data=body,
        method="GET" if body is None else "PUT",
        headers={"Authorization": f"token {TOKEN}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def changes(clone: Path) -> str:
    return run(["git", "status", "--short"], cwd=clone, check=True).stdout


@pytest.mark.parametrize("path", [EXERCISES, "notebooks/10_exercises.ipynb"])
def test_the_exercises_open_without_their_solutions(server, path):
    for folder in ("source", "."):  # whichever of the two files is newer
        for file in Path(server[1]).parent.glob(f"clone*/notebooks/{folder}/10_exercises.*"):
            os.utime(file)
        cells = ask(server, f"contents/{path}")["content"]["cells"]
        text = "\n".join(cell["source"] for cell in cells)
        assert "YOUR CODE HERE" in text and "SOLUTION" not in text


def test_every_lesson_opens(server, clone):
    for path in sorted([*clone.glob("my_course/**/*.ipynb"), *clone.glob("notebooks/**/*.ipynb")]):
        assert ask(server, f"contents/{path.relative_to(clone)}")["content"]["cells"]


def test_saving_ones_own_copy_changes_nothing_that_git_sees(server, clone):
    before = {path: path.read_bytes() for path in (clone / "notebooks").rglob("*") if path.is_file()}
    notebook = ask(server, f"contents/{EXERCISES}")["content"]
    notebook["cells"][0]["source"] += "\nmy own note"
    ask(server, f"contents/{EXERCISES}", {"type": "notebook", "format": "json", "content": notebook})
    assert "my own note" in (clone / EXERCISES).read_text(encoding="utf-8")
    assert changes(clone) == ""
    assert before == {path: path.read_bytes() for path in (clone / "notebooks").rglob("*") if path.is_file()}


def test_saving_a_committed_notebook_changes_that_notebook_only(server, clone):
    path = "notebooks/04_incremental_sparsity_bug.ipynb"
    notebook = ask(server, f"contents/{path}")["content"]
    notebook["cells"][0]["source"] += "\nan author's note"
    ask(server, f"contents/{path}", {"type": "notebook", "format": "json", "content": notebook})
    assert changes(clone).split() == ["M", path]
    run(["git", "checkout", "-q", "."], cwd=clone, check=True)


def test_the_sources_are_not_listed(server):
    assert not any(entry["name"] == "source" for entry in ask(server, "contents/notebooks")["content"])


def test_a_saved_widget_is_its_picture(server, clone):
    picture = {"text/html": ["<img alt='half' src='data:image/png;base64,AA=='>"], "text/plain": ["Controls"]}
    outputs = [
        {"output_type": "display_data", "data": {**picture, VIEW: {"model_id": "1"}}, "metadata": {}},
        {"output_type": "display_data", "data": {VIEW: {"model_id": "2"}}, "metadata": {}},
    ]
    cell = {"cell_type": "code", "id": "a", "source": "explore()", "metadata": {}, "execution_count": 1}
    notebook = {"cells": [cell | {"outputs": outputs}], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    path = "my_course/widget.ipynb"
    ask(server, f"contents/{path}", {"type": "notebook", "format": "json", "content": notebook})
    saved = nbformat.read(clone / path, as_version=4).cells[0].outputs
    assert [set(output.data) for output in saved] == [{"text/html", "text/plain"}, {VIEW}]


def test_authors_and_teachers_tools_are_off(server):
    log = server[1].read_text()
    assert "jupytext" not in log.lower().replace("jupyterlab_jupytext | extension was found and disabled", "")
    assert "nbgrader" not in log
    page = urllib.request.urlopen(f"{server[0]}/lab?token={TOKEN}", timeout=60).read().decode()
    data = json.loads(re.search(r'id="jupyter-config-data"[^>]*>(.*?)</script>', page, re.S)[1])
    assert "jupyterlab-jupytext" in data["disabledExtensions"]
    assert not any("nbgrader" in extension["name"] for extension in data["federated_extensions"])


def test_the_address_that_is_printed_leads_to_the_first_lesson(server):
    assert "/lab/tree/my_course/00_start_here.ipynb?token=" in server[1].read_text()
