"""What the answers rely on: a Jupyter server names the notebook for the kernel, and nbclient and nbval do not."""

import nbformat
import pytest
from jupyter_server.services.sessions.sessionmanager import SessionManager
from nbclient import NotebookClient
from nbval.kernel import start_new_kernel

from pruning_course.teaching import live

# The file alone, without the library around it, which takes seconds to import.
ASK = f"import runpy\nlive = runpy.run_path({live.__file__!r})\nprint(live['in_jupyter'](), live['in_colab']())"


@pytest.fixture(autouse=True)
def a_terminal(monkeypatch):
    """A terminal, also of JupyterLab: it has the variables of the server, whose own JPY_ ones are not ours."""
    for name in ("JPY_SESSION_NAME", "COLAB_RELEASE_TAG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("JPY_PARENT_PID", "1")


@pytest.mark.parametrize(
    ("variables", "jupyter", "colab"),
    [
        ({}, False, False),
        ({"JPY_SESSION_NAME": "/course/lesson.ipynb"}, True, False),
        ({"COLAB_RELEASE_TAG": "release"}, False, True),
        ({"JPY_SESSION_NAME": "lesson.ipynb", "COLAB_RELEASE_TAG": "release"}, False, True),
    ],
    ids=str,
)
def test_the_variables_tell(monkeypatch, variables, jupyter, colab):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert (live.in_jupyter(), live.in_colab()) == (jupyter, colab)


def test_a_jupyter_server_names_the_notebook():
    class Kernels:
        def cwd_for_path(self, path):
            return "/course"

    environment = SessionManager.get_kernel_env(
        type("Manager", (), {"kernel_manager": Kernels()})(), "", "lesson.ipynb"
    )
    assert environment["JPY_SESSION_NAME"] == "/course/lesson.ipynb"


def test_the_kernel_of_nbclient_has_no_name():
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(ASK)])
    NotebookClient(notebook, kernel_name="python3", timeout=60).execute()
    assert notebook.cells[0].outputs[0].text == "False False\n"


def test_the_kernel_of_nbval_has_no_name(tmp_path):
    manager, client = start_new_kernel(startup_timeout=60, kernel_name="python3", cwd=str(tmp_path))
    try:
        client.execute_interactive(ASK, timeout=60, output_hook=(said := []).append)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    [text] = [message["content"]["text"] for message in said if message["msg_type"] == "stream"]
    assert text == "False False\n"
