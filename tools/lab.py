"""Open the learner's own copy of the course in JupyterLab: `python -m tools.lab [--reset LESSON]`."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from tools import my_course

ROOT = Path(__file__).resolve().parents[1]
SETTINGS = Path(__file__).with_name("jupyter")  # what learners' JupyterLab is told


def command(root: Path = ROOT, *more: str) -> list[str]:
    """The command that serves `root` and opens the first lesson of my_course/; `more`: options of JupyterLab."""
    as_root = (
        ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    )  # in a container there is no other
    first = "/lab/tree/my_course/00_start_here.ipynb"
    return [
        *(sys.executable, "-m", "jupyterlab"),
        *(f"--ServerApp.root_dir={root}", f"--LabApp.default_url={first}", *as_root, *more),
    ]


def environ() -> dict[str, str]:
    """The variables of its process: the settings in tools/jupyter count before those of the user."""
    paths = [str(SETTINGS), os.environ.get("JUPYTER_CONFIG_PATH", "")]
    return os.environ | {"JUPYTER_CONFIG_PATH": os.pathsep.join(filter(None, paths))}


def main(
    reset: Annotated[str | None, typer.Option(help="A fresh copy of this lesson; the old one is kept.")] = None,
) -> None:
    """Bring my_course/ up to date and open it."""
    my_course.main(reset)
    try:
        sys.exit(subprocess.run(command(), cwd=ROOT, env=environ()).returncode)
    except KeyboardInterrupt:  # JupyterLab has asked and said good-bye already
        sys.exit(0)


if __name__ == "__main__":
    typer.run(main)
