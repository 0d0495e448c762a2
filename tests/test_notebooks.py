"""The audit of the notebooks: what every one must have, and what must never be committed."""

import re
import sys
from pathlib import Path
from urllib.parse import unquote

import nbformat
import pytest
from helpers.cells import changed_from_outside

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from pruning_course.teaching.notebook_map import STOPS  # noqa: E402
from tools import badges, notebooks  # noqa: E402

LESSONS = sorted((ROOT / "notebooks").glob("*.ipynb"))
ALL = LESSONS + sorted((ROOT / "notebooks/solutions").glob("*.ipynb"))
IGNORE = "nbval-ignore-output"
ALT, REASON, LINES = 20, 15, 12  # characters, characters, lines of code in a cell

every_notebook = pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
every_lesson = pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)


def read(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


def code_cells(notebook) -> list:
    return [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]


def is_ignored(cell) -> bool:
    return IGNORE in cell.metadata.get("tags", [])


def prose(notebook) -> str:
    return "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def plain_text(output) -> str:
    return output.text if output.output_type == "stream" else output.data.get("text/plain", "")


def section(text: str, heading: str) -> str:
    """What stands under `## heading`, up to the next heading of that height."""
    found = re.search(rf"^## {re.escape(heading)}\s*$(.*?)(?=^#{{1,2}} |\Z)", text, re.M | re.S)
    return found[1] if found else ""


def links(text: str) -> list[str]:
    found = re.findall(r"\]\(([^)\s]+)(?: [^)]*)?\)", text) + re.findall(r"(?:src|href)=\"([^\"]+)\"", text)
    return [unquote(link) for link in found if not re.match(r"[a-z]+:", link)]


def anchors(text: str) -> set[str]:
    """The places that a `#fragment` can name: headings as JupyterLab writes them, and ids."""
    headings = {h.strip().replace(" ", "-") for h in re.findall(r"^#+ (.+)$", text, re.M)}
    return {name.lower() for name in headings | set(re.findall(r"\bid=\"([^\"]+)\"", text))}


def test_there_are_notebooks():
    assert LESSONS, "There are no notebooks in notebooks/, so nothing was checked."
    sources = {path for source in (ROOT / "notebooks/source").glob("*.py") for path in notebooks.notebooks_of(source)}
    assert sources == set(ALL), "Each notebook has a source and each source its notebooks: run `make notebooks`."


@every_notebook
def test_it_was_executed_from_top_to_bottom(path):
    counts = [cell.execution_count for cell in code_cells(read(path))]
    assert counts == list(range(1, len(counts) + 1))


@every_notebook
def test_its_outputs_may_be_committed(path):
    notebook = read(path)
    assert notebooks.problems_in(notebook) == []
    for cell in code_cells(notebook):
        for output in cell.outputs:
            data = output.get("data", {})
            assert not re.search(r"\d+%\|.*\d+/\d+ \[", notebooks.text_of(output)), "a progress bar"
            assert "image/svg+xml" not in data, "nbval compares SVG, whose ids are random: show PNG"
            if "image/png" in data:
                alt = output.metadata.get("image/png", {}).get("alt", "")
                assert len(alt) >= ALT, f"use teaching.figures.show for the figure of {cell.source[:60]!r}"


@every_notebook
def test_it_is_what_its_source_says(path):
    source = notebooks.source_of(path)
    assert notebooks.is_current(path, source), f"{source.name} changed after it was executed: run `make notebooks`."
    ours = [(cell.cell_type, cell.source) for cell in read(path).cells]
    again = notebooks.from_source(source, solved=path.parent.name == "solutions")
    assert ours == [(cell.cell_type, cell.source) for cell in again.cells]


@every_notebook
def test_jupyterlab_opens_it_without_a_question(path):
    assert read(path).metadata.kernelspec.name == "python3"


@every_notebook
def test_ignored_outputs_are_few_and_explained(path):
    cells = code_cells(read(path))
    ignored = [cell for cell in cells if is_ignored(cell)]
    assert all(len(cell.metadata.get("nbval_reason", "")) >= REASON for cell in ignored)
    # Other ways to escape the comparison are not allowed at all.
    assert not any("NBVAL_" in cell.source for cell in cells)
    assert {tag for cell in cells for tag in cell.metadata.get("tags", []) if "nbval" in tag or "raises" in tag} <= {
        IGNORE
    }


def test_ignored_outputs_are_few_in_the_whole_course():
    cells = [cell for path in ALL for cell in code_cells(read(path))]
    assert sum(map(is_ignored, cells)) <= 0.05 * len(cells)


@every_lesson
def test_readers_get_numbers_and_not_a_log_of_checks(path):
    """A line that ends with True or False answers a question of yes or no, which is rare."""
    outputs = [output for cell in code_cells(read(path)) for output in cell.outputs if output.output_type != "error"]
    lines = [line for output in outputs for line in plain_text(output).splitlines()]
    assert [line for line in lines if re.search(r"(?<![=\w])(True|False)\W*$", line)][2:] == []


@every_notebook
def test_its_cells_are_small(path):
    for cell in code_cells(read(path)):
        code = [line for line in cell.source.splitlines() if line.strip() and not line.strip().startswith("#")]
        assert len(code) <= LINES, cell.source


@every_lesson
def test_it_has_the_parts_of_a_lesson_in_order(path):
    notebook = read(path)
    assert notebook.cells[0].source.startswith("# ")
    is_exercise = path.stem.startswith("10_")
    parts = [r"## You will be able to$", r"\*\*Time:\*\* \d+ minutes", r"## What this does not show$", r"## Take home$"]
    parts += [] if is_exercise else [r"## Quiz$"]
    parts += [r"## Next$"]
    places = []
    for part in parts:
        found = re.search(rf"^{part}", prose(notebook), re.M)
        assert found, f"there is no line {part}"
        places.append(found.start())
    assert places == sorted(places), f"the order is {parts}"
    assert is_exercise or re.search(r"^### Predict", prose(notebook), re.M), "the reader has nothing to predict"


@every_lesson
def test_it_ends_with_three_lines_and_three_questions(path):
    text = prose(read(path))
    assert len(re.findall(r"^(?:[-*]|\d+\.) ", section(text, "Take home"), re.M)) == 3
    if not path.stem.startswith("10_"):
        assert section(text, "Quiz").count("<details>") == section(text, "Quiz").count("</details>") == 3


@every_lesson
def test_it_starts_on_binder_and_colab(path):
    notebook = read(path)
    assert badges.badge_line(path.stem) in prose(notebook).splitlines()
    assert code_cells(notebook)[0].source == badges.first_cell()


@every_lesson
def test_its_minutes_are_those_of_the_map(path):
    [minutes] = [stop.minutes for stop in STOPS if stop.slug == path.stem]
    assert f"**Time:** {minutes} minutes" in prose(read(path))


@every_notebook
def test_its_links_lead_somewhere(path):
    text = prose(read(path))
    for link in links(text):
        name, _, fragment = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        assert target.exists(), f"{link} leads nowhere"
        if fragment and target.suffix == ".ipynb":
            assert fragment.lower() in anchors(prose(read(target))), f"{link}: no such heading there"


@every_notebook
def test_a_widget_stands_under_its_figure(path):
    cells = code_cells(read(path))
    for number, cell in enumerate(cells):
        if re.search(r"\b(?:explore|interact)\(", cell.source):
            above = [output for near in cells[max(0, number - 3) : number] for output in near.outputs]
            assert any("image/png" in output.get("data", {}) for output in above), cell.source


@pytest.mark.parametrize(
    ("code", "changed"),
    [
        ("del model", ["model"]),
        ("model = 1\ndel model", []),
        ("for layer in model:\n    del layer", []),
        ("f1['dense'] = 0.9", ["f1"]),
        ("f1 = {}\nf1['dense'] = 0.9", []),
        ("count += 1", ["count"]),
        ("layers[0].weight.data *= 2", ["layers"]),
        ("sizes[kind].append(1)", ["sizes"]),
        ("def add(size):\n    sizes.append(size)", []),
        ("results = results.assign(x=1)", []),
        ("model = make()\nmodel.bias.data = zeros", []),
    ],
)
def test_the_rule_sees_what_a_cell_changes(code, changed):
    assert list(changed_from_outside(code)) == changed


@every_notebook
def test_every_cell_may_be_run_twice(path):
    for cell in code_cells(read(path)):
        assert list(changed_from_outside(cell.source)) == [], f"make it anew in the cell:\n{cell.source}"


@every_lesson
def test_a_cell_that_prunes_again_when_it_runs_again_says_so(path):
    """torch's prune takes a share of what is left, which is what two lessons teach."""
    cells = read(path).cells
    for number, cell in enumerate(cells):
        pruned = set(re.findall(r"^prune\.\w+\((\w+)", cell.source, re.M)) if cell.cell_type == "code" else set()
        if any(not re.search(rf"^{name} = ", cell.source, re.M) for name in pruned):
            above = [near.source for near in cells[:number] if near.cell_type == "markdown"]
            assert re.search(r"\bonce\b", above[-1]), cell.source


@every_lesson
def test_below_each_figure_stands_what_it_shows(path):
    cells = read(path).cells
    for number, cell in enumerate(cells):
        if any("image/png" in output.get("data", {}) for output in cell.get("outputs", [])):
            below = cells[number + 1 : number + 3]
            if below[0].cell_type == "code":  # the widget of the same drawing may come between
                [draws] = re.findall(r"\bexplore\((\w+)", below[0].source) or [None]
                assert draws and f"{draws}(" in cell.source, cell.source
                del below[0]
            assert below[0].cell_type == "markdown" and not below[0].source.startswith("#"), cell.source


@every_lesson
def test_transformers_is_quiet_before_a_lesson_uses_it(path):
    """Wherever it runs: `pruning_course.teaching` switches off what transformers says."""
    code = [cell.source for cell in code_cells(read(path))]
    uses = [number for number, source in enumerate(code) if re.search(r"\btransformers\b|_pretrained\(", source)]
    quiet = [number for number, source in enumerate(code) if re.search(r"^from pruning_course\.teaching", source, re.M)]
    assert not uses or min(quiet) <= min(uses)
