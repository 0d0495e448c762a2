"""Execute the notebooks: `build` writes them in place from their sources, `course` runs copies and prints a table.

`timings` runs them twice, with all threads and with one, and writes docs/timings.md.
"""

import hashlib
import os
import platform
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated

import jupytext
import nbformat
import typer
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from tqdm import tqdm

from pruning_course.files import written_beside
from tools.course import ALWAYS, OF_A_KERNEL, SECONDS_PER_CELL
from tools.course import QUIET as NO_BARS

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "notebooks"
KERNELSPEC = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
WIDGET = "application/vnd.jupyter.widget-view+json"
ABSOLUTE = re.compile(r"(?<![\w.])/(?:home|root|tmp|Users)/|\b[A-Z]:\\")
# No network, no progress bar and no chatter in what is committed. The figures are the inline backend's.
QUIET = ALWAYS | NO_BARS
# Exercises. The marks are nbgrader's, so that the same source makes an assignment too (tools/assignment.py).
BEGIN, END, STUB = "### BEGIN SOLUTION", "### END SOLUTION", "# YOUR CODE HERE"
REGION = re.compile(rf"^( *){BEGIN}\n(.*?)^ *{END}\n?(.*)", re.M | re.S)
PEAK = "__import__('pruning_course.lab.memory', fromlist=['memory']).peak_mebibytes()"
ON_BINDER = 2e9 / 2**20  # MiB of memory that a session there has, beside one core

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, help=__doc__)


def source_of(notebook: Path) -> Path:
    """notebooks/x.ipynb and notebooks/solutions/x.ipynb -> notebooks/source/x.py"""
    return NOTEBOOKS / "source" / f"{notebook.stem}.py"


def notebooks_of(source: Path) -> list[Path]:
    """The notebook that a source makes; of exercises a second one, with the solutions."""
    folders = [NOTEBOOKS] + [NOTEBOOKS / "solutions"] * (BEGIN in source.read_text(encoding="utf-8"))
    return [folder / f"{source.stem}.ipynb" for folder in folders]


def stamp_of(source: Path) -> str:
    return hashlib.sha256(source.read_bytes()).hexdigest()


def is_current(notebook: Path, source: Path) -> bool:
    """Was this notebook executed from exactly this source?"""
    if not notebook.exists():
        return False
    metadata = nbformat.read(notebook, as_version=4).metadata
    return metadata.get("pruning_course", {}).get("source_sha256") == stamp_of(source)


def from_source(source: Path, solved: bool = False) -> nbformat.NotebookNode:
    """The notebook that a py:percent source describes: no outputs, cell ids that stay the same from run to run.

    Exercises are to do, or `solved`.
    """
    notebook = from_cells(source)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.source = with_solution(cell.source) if solved else to_do(cell.source)
        elif solved:
            cell.source = one_folder_down(cell.source)
    return notebook


def from_cells(source: Path) -> nbformat.NotebookNode:
    """The cells of a source as they are, the marks of its solutions included."""
    notebook = jupytext.read(source, fmt="py:percent")
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": KERNELSPEC,
            "language_info": {"name": "python"},
            "pruning_course": {"source_sha256": stamp_of(source)},
        }
    )
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number:03d}"
    return notebook


def took_outputs(notebook: nbformat.NotebookNode, old: nbformat.NotebookNode) -> bool:
    """Move the outputs of `old` into `notebook` if its code cells are the same; if they differ, change nothing: False.

    Outputs come from code alone, so a change of the prose needs no new execution.
    """
    new_cells, old_cells = ([cell for cell in one.cells if cell.cell_type == "code"] for one in (notebook, old))
    if [(cell.source, cell.metadata) for cell in new_cells] != [(cell.source, cell.metadata) for cell in old_cells]:
        return False
    for new, executed in zip(new_cells, old_cells, strict=True):
        new.outputs, new.execution_count = executed.outputs, executed.execution_count
    return True


def to_do(code: str) -> str:
    """A cell as learners get it: a stub for the solution, and below it the wrong lines that they repair."""
    return REGION.sub(rf"\1{STUB}\n\3", code).rstrip("\n")


def with_solution(code: str) -> str:
    """A cell with its solution, without the wrong lines below it."""
    return REGION.sub(r"\2", code).rstrip("\n")


def one_folder_down(text: str) -> str:
    """Markdown for notebooks/solutions/: the title says so, links and badges lead where they did."""
    text = re.sub(r"\A# (.*)", r"# \1: the solutions", text)
    text = re.sub(r"\]\((?!\w+:|#)", "](../", text)
    return re.sub(r"(/(?:notebooks|my_course)/)(\w+\.ipynb\))", r"\1solutions/\2", text)


def text_of(output: dict) -> str:
    """All text in one output, without its pictures."""
    if output.output_type == "stream":
        return output.text
    if output.output_type == "error":
        return "\n".join([output.ename, output.evalue, *output.traceback])
    return "\n".join(str(data) for mime, data in output.data.items() if not mime.startswith("image/"))


def problems_in(notebook: nbformat.NotebookNode) -> list[str]:
    """Why the outputs of this notebook must not be committed; an empty list if they may."""
    found = []
    for number, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []):
            where, text = f"cell {number}", text_of(output)
            if output.output_type == "error":
                found.append(f"{where}: {output.ename}: {output.evalue}")
            elif output.get("name") == "stderr":
                found.append(f"{where} wrote to stderr: {text.strip()[:200]}")
            elif ABSOLUTE.search(text) or str(ROOT) in text or str(Path.home()) + os.sep in text:
                found.append(f"{where} shows a path of this machine: {text.strip()[:200]}")
    return found


def execute(notebook: nbformat.NotebookNode, folder: Path, on_cell: Callable[[], None] = lambda: None) -> float:
    """Execute every cell in place, working in `folder`; return the kernel's peak memory in MiB."""
    client = NotebookClient(
        notebook,
        timeout=SECONDS_PER_CELL,
        kernel_name="python3",
        record_timing=False,
        store_widget_state=False,
        coalesce_streams=True,
        extra_arguments=["--log-level=50"],  # the kernel's own remarks about sockets and signals would break the bar
        resources={"metadata": {"path": str(folder)}},
    )
    environment = {name: value for name, value in os.environ.items() if name not in OF_A_KERNEL} | QUIET
    with client.setup_kernel(env=environment):
        for number, cell in enumerate(notebook.cells):
            client.execute_cell(cell, number)
            on_cell()
        # Asked as an expression beside the cells, so that the question is not in the notebook.
        reply = client.wait_for_reply(client.kc.execute("", silent=True, user_expressions={"peak": PEAK}))
    return float(reply["content"]["user_expressions"]["peak"]["data"]["text/plain"])


def run(notebook: nbformat.NotebookNode, folder: Path, title: str) -> SimpleNamespace:
    """Execute with a progress bar; the verdict is "ok" or says in one line what failed."""
    start, peak, verdict = time.perf_counter(), 0.0, "ok"  # a notebook that failed shows 0 MiB
    with tqdm(total=len(notebook.cells), desc=title, unit="cell", mininterval=1) as bar:
        try:
            peak = execute(notebook, folder, bar.update)
        except CellExecutionError as error:
            verdict = f"cell {bar.n}: {error.ename}: {error.evalue}".splitlines()[0]
        except CellTimeoutError:
            verdict = f"cell {bar.n}: took more than {SECONDS_PER_CELL} s"
        except DeadKernelError:
            verdict = f"cell {bar.n}: the kernel died, most likely for want of memory"
        except RuntimeError as error:  # before the first cell
            verdict = f"the kernel did not start: {error}"
    return SimpleNamespace(name=title.split()[-1], seconds=time.perf_counter() - start, peak=peak, verdict=verdict)


def save(notebook: nbformat.NotebookNode, path: Path) -> None:
    """Write the notebook whole or not at all, without the widgets' random numbers."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            output.get("data", {}).pop(WIDGET, None)
    nbformat.validate(notebook)
    with written_beside(path) as beside:
        nbformat.write(notebook, beside)


def table(rows: list[SimpleNamespace]) -> Iterator[str]:
    """The table as Markdown, so that it can be read in a terminal and put into a page."""
    width = max(len(row.name) for row in rows)
    total, peak = sum(row.seconds for row in rows), max(row.peak for row in rows)
    yield f"| {'notebook':<{width}} | seconds | peak memory, MiB | verdict |"
    yield f"|{'-' * (width + 2)}|--------:|-----------------:|---------|"
    for row in rows:
        yield f"| {row.name:<{width}} | {row.seconds:>7.1f} | {row.peak:>16.0f} | {row.verdict} |"
    yield f"| {'all':<{width}} | {total:>7.1f} | {peak:>16.0f} |         |"


def run_copies() -> list[SimpleNamespace]:
    """Execute a copy of every notebook into build/, in order."""
    paths = sorted(NOTEBOOKS.glob("*.ipynb"))
    if not paths:
        sys.exit("There are no notebooks in notebooks/: run `make notebooks` first.")
    rows = []
    for number, path in enumerate(paths, start=1):
        notebook = nbformat.read(path, as_version=4)
        rows.append(run(notebook, NOTEBOOKS, f"{number}/{len(paths)} {path.stem}"))
        save(notebook, ROOT / "build" / path.name)
    return rows


@app.command()
def build(
    names: Annotated[list[str] | None, typer.Argument(help="Only these, e.g. 01_mask_mechanics.")] = None,
    all: Annotated[bool, typer.Option("--all", help="Execute them all again, changed or not.")] = False,
) -> None:
    """Execute each source whose code changed and write its notebook in place; a changed text keeps the outputs."""
    sources = sorted((NOTEBOOKS / "source").glob("*.py"))
    wanted = {Path(name).stem for name in names or []}
    if unknown := wanted - {source.stem for source in sources}:
        sys.exit(f"There is no source for {', '.join(sorted(unknown))} in notebooks/source/.")
    failed = False
    for path in [path for source in sources for path in notebooks_of(source)]:
        source = source_of(path)
        if (wanted and source.stem not in wanted) or not (all or wanted or not is_current(path, source)):
            continue
        name = str(path.relative_to(NOTEBOOKS).with_suffix(""))
        notebook = from_source(source, solved=path.parent.name == "solutions")
        if not (all or wanted) and path.exists() and took_outputs(notebook, nbformat.read(path, as_version=4)):
            save(notebook, path)
            print(f"{name}: only its text has changed")
            continue
        row = run(notebook, NOTEBOOKS, name)
        problems = problems_in(notebook) if row.verdict == "ok" else [row.verdict]
        if problems:
            failed = True
            print(f"{name} is not written:", *problems, sep="\n  ", file=sys.stderr)
        else:
            save(notebook, path)
            print(f"{name}: {row.seconds:.1f} s, {row.peak:.0f} MiB")
    sys.exit(failed)


@app.command()
def course() -> None:
    """Execute a copy of every notebook into build/, in order, and print a table."""
    rows = run_copies()
    print("", *table(rows), sep="\n")
    sys.exit(any(row.verdict != "ok" for row in rows))


@app.command()
def timings() -> None:
    """Execute every notebook with all threads and with one, as on Binder, and write docs/timings.md."""
    tables, bad = [], False
    for threads in (os.cpu_count(), 1):
        os.environ["OMP_NUM_THREADS"] = str(threads)
        rows = run_copies()
        for row in rows:
            if row.verdict == "ok" and row.peak > ON_BINDER:
                row.verdict = "needs more memory than a session on Binder has"
        tables += [f"\n{threads} thread{'s' * (threads > 1)}:\n", *table(rows)]
        bad = bad or any(row.verdict != "ok" for row in rows)
    print(*tables, sep="\n")
    machine = f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"
    with written_beside(ROOT / "docs/timings.md") as beside:
        beside.write_text("\n".join(["# Measured times", "", f"By `make timings`, {machine}.", *tables, ""]))
    sys.exit(bad)


if __name__ == "__main__":
    app()
