"""The workflows run what everyone can run, and no more than they need; the issue forms can be filled in."""

import re
from pathlib import Path

import pytest
import yaml
from helpers.processes import run_python

ROOT = Path(__file__).resolve().parents[1]
GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.y*ml"))
FORMS = sorted(path for path in (GITHUB / "ISSUE_TEMPLATE").glob("*.yml") if path.stem != "config")
RUN = re.compile(r"make (?P<target>[a-z][\w-]*)|python tools/course\.py (?P<command>[a-z][\w-]*)")
PIN = re.compile(r"uses: (?P<action>[\w-]+/[\w-]+)@(?P<commit>[0-9a-f]{40}) # v(?P<version>\d+\.\d+\.\d+)")


def loaded(path: Path) -> dict:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


CI = loaded(GITHUB / "workflows/ci.yml")
JOBS = [(path, name, job) for path in WORKFLOWS for name, job in loaded(path)["jobs"].items()]
each_job = pytest.mark.parametrize("job", [job for _, _, job in JOBS], ids=[f"{p.stem}-{n}" for p, n, _ in JOBS])
each_workflow = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
each_form = pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)


def targets() -> set[str]:
    return set(re.findall(r"^([a-z][\w-]*):(?!=)", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))


def is_a_command(name: str) -> bool:
    """Whether `tools/course.py` knows this command; with --help it only explains it."""
    return run_python(ROOT / "tools/course.py", name, "--help").returncode == 0


def lines_of(job: dict) -> list[str]:
    """Each line of shell in a job."""
    return [line for step in job["steps"] for line in step.get("run", "").splitlines()]


def is_known(line: str) -> bool:
    """Whether a line of shell is one make target that exists, or one command of tools/course.py that exists."""
    found = RUN.fullmatch(line)
    if found is None:
        return False
    return found["target"] in targets() if found["target"] else is_a_command(found["command"])


@each_job
def test_a_job_runs_only_what_everyone_can_run(job):
    assert lines_of(job)
    assert [line for line in lines_of(job) if not is_known(line)] == []


@pytest.mark.parametrize(
    "line",
    [
        "make no-such-target",
        "python tools/course.py no-such-command",
        "make test && make lint",
        "make ${{ matrix.target }}",
        "pip install pytest",
    ],
)
def test_any_other_line_is_noticed(line):
    assert not is_known(line)


@each_job
def test_a_job_reads_the_code_and_may_do_nothing_else(job):
    assert job["permissions"] == {"contents": "read"}
    checkouts = [step for step in job["steps"] if step.get("uses", "").startswith("actions/checkout@")]
    assert [step["with"]["persist-credentials"] for step in checkouts] == [False]


@each_job
def test_a_job_ends_by_itself(job):
    assert 0 < job["timeout-minutes"] <= 180
    if "strategy" in job:
        assert job["strategy"]["fail-fast"] is False


@each_workflow
def test_a_workflow_has_no_rights_and_no_secrets(path):
    text, workflow = path.read_text(encoding="utf-8"), loaded(path)
    assert workflow["permissions"] == {}
    assert "secrets." not in text
    assert not {"pull_request_target", "workflow_run"} & set(workflow[True])  # YAML 1.1 reads the key `on` as True


@each_workflow
def test_a_new_push_to_a_pull_request_cancels_the_older_run(path):
    concurrency = loaded(path)["concurrency"]
    assert "github.event.pull_request.number || github.run_id" in concurrency["group"]
    assert concurrency["cancel-in-progress"] is True


def test_every_action_is_pinned_by_its_commit_and_names_its_version():
    text = "".join(path.read_text(encoding="utf-8") for path in WORKFLOWS)
    pins = [found.groups() for found in PIN.finditer(text)]
    assert len(pins) == len(re.findall(r"\buses:", text)) > 0
    assert len(set(pins)) == len({action for action, *_ in pins})  # the same everywhere


def test_the_workflow_runs_for_every_change_and_once_a_week():
    events = CI[True]
    assert set(events) == {"push", "pull_request", "schedule", "workflow_dispatch"}
    assert events["push"] == {"branches": ["**"]}
    assert events["pull_request"] is None
    [schedule] = events["schedule"]
    assert re.fullmatch(r"\d+ \d+ \* \* \d", schedule["cron"])


def test_each_system_runs_its_tests():
    runs = {(job["runs-on"].split("-")[0], line) for job in CI["jobs"].values() for line in lines_of(job)}
    assert runs == {
        ("ubuntu", "make test"),
        ("ubuntu", "make test-oldest"),
        ("ubuntu", "make test-newest"),
        ("macos", "make test"),
        ("windows", "python tools/course.py unit"),
    }


def test_only_the_newest_versions_wait_for_monday():
    conditions = {name: job["if"] for name, job in CI["jobs"].items()}
    assert conditions.pop("newest") == "github.event_name == 'schedule' || github.event_name == 'workflow_dispatch'"
    assert set(conditions.values()) == {"github.event_name != 'schedule'"}


def python_of(name: str) -> str:
    [version] = [step["with"]["python-version"] for step in CI["jobs"][name]["steps"] if "setup-python" in str(step)]
    return version


def test_the_oldest_and_the_newest_python_are_tested():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f'requires-python = ">={python_of("oldest")}"' in text
    pythons = CI["jobs"]["linux"]["strategy"]["matrix"]["python"]
    assert pythons == ["3.12", python_of("newest")]


def test_the_model_is_cached_by_all_that_decides_how_it_comes_out():
    cached = {}
    for name, job in CI["jobs"].items():
        for step in job["steps"]:
            if "actions/cache@" in step.get("uses", ""):
                cached[name] = step["with"]
                assert job["steps"][-1]["env"]["PRUNING_COURSE_CACHE"] == step["with"]["path"]
    assert set(cached) == {"linux", "oldest", "macos"}  # the newest versions train it each time, Windows never
    parts = {f"pruning_course/lab/{name}.py" for name in ("encoder", "phenotypes", "recipe", "training", "wheels")}
    for name, options in cached.items():
        versions = "constraints-oldest.txt" if name == "oldest" else "constraints.txt"
        assert set(re.findall(r"'([^']+)'", options["key"])) == parts | {versions}
        assert "${{ runner.os }}-${{ runner.arch }}" in options["key"]
    assert len({options["key"].partition("${{ hashFiles")[0] for options in cached.values()}) == len(cached)


def test_every_file_that_a_cache_depends_on_exists():
    text = (GITHUB / "workflows/ci.yml").read_text(encoding="utf-8")
    names = set(re.findall(r"^ +'?([\w/.-]+\.(?:py|toml|txt))'?,?(?:\) }})?$", text, re.M))
    assert {"constraints.txt", "pyproject.toml", "requirements-lab.txt"} < names
    assert [name for name in sorted(names) if not (ROOT / name).is_file()] == []


@each_form
def test_a_form_can_be_filled_in(path):
    form = loaded(path)
    assert {"name", "description", "labels", "body"} == set(form)
    questions = [part for part in form["body"] if part["type"] != "markdown"]
    assert {question["type"] for question in questions} <= {"input", "textarea", "dropdown", "checkboxes"}
    names = [question["id"] for question in questions]
    labels = [question["attributes"]["label"] for question in questions]
    assert len(set(names)) == len(set(labels)) == len(questions) > 0
    assert all(re.fullmatch(r"[a-z][a-z-]*", name) for name in names)
    assert any(question.get("validations", {}).get("required") for question in questions)
    for question in questions:
        options = question["attributes"].get("options", [])
        assert len(set(options)) == len(options)
        assert bool(options) == (question["type"] == "dropdown")


def test_the_forms_have_names_of_their_own():
    assert {path.stem for path in FORMS} == {"bug", "error-in-a-lesson"}
    assert len({loaded(path)["name"] for path in FORMS}) == len(FORMS)


def test_a_bug_report_has_what_the_doctor_says():
    [doctor] = [part for part in loaded(GITHUB / "ISSUE_TEMPLATE/bug.yml")["body"] if part.get("id") == "doctor"]
    assert "`python -m pruning_course doctor`" in doctor["attributes"]["description"]
    assert "doctor" in targets()


def test_every_lesson_can_be_chosen_where_an_error_is_reported():
    form = loaded(GITHUB / "ISSUE_TEMPLATE/error-in-a-lesson.yml")
    [lesson] = [part for part in form["body"] if part.get("id") == "lesson"]
    *lessons, other = lesson["attributes"]["options"]
    assert lessons == sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))
    assert other.startswith("Another page")


def test_an_issue_without_a_form_is_welcome():
    config = loaded(GITHUB / "ISSUE_TEMPLATE/config.yml")
    assert config["blank_issues_enabled"] is True
    assert all(set(link) == {"name", "url", "about"} for link in config["contact_links"])


def test_a_pull_request_is_asked_for_its_tests_and_both_files_of_a_notebook():
    text = (GITHUB / "PULL_REQUEST_TEMPLATE.md").read_text(encoding="utf-8")
    commands = re.findall(r"`([^`]+)`", text)
    assert "make test" in commands
    assert all(is_known(command) for command in commands)
    assert "same commit" in text


def test_the_pins_are_kept_up_to_date():
    [actions] = loaded(GITHUB / "dependabot.yml")["updates"]
    assert actions["package-ecosystem"] == "github-actions"
    assert actions["cooldown"]["default-days"] >= 7
