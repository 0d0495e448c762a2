"""The ledger of the lecture's statements is complete: 29 of them, each held by a test, and most shown in a notebook."""

import ast
import re
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from pruning_course.teaching.notebook_map import STOPS  # noqa: E402
from tools import ledger  # noqa: E402

ENTRIES = ledger.entries()
every_entry = pytest.mark.parametrize("entry", ENTRIES, ids=[entry["id"] for entry in ENTRIES])


def notebook(slug: str) -> Path:
    return ROOT / f"notebooks/{slug}.ipynb"


def test_there_are_29_in_order():
    assert [entry["id"] for entry in ENTRIES] == [f"S{number}" for number in range(1, 30)]


@every_entry
def test_an_entry_says_what_there_is_to_say(entry):
    assert set(entry) == {"id", "says", "found", "holds", "notebooks", "tests"}
    assert all(entry[part].endswith(".") for part in ("says", "found", "holds"))
    assert set(entry["notebooks"]) <= {stop.slug for stop in STOPS}


def test_only_a_slip_of_the_pen_is_in_no_notebook():
    assert [entry["id"] for entry in ENTRIES if not entry["notebooks"]] == ["S25"]


@every_entry
def test_its_notebooks_name_it(entry):
    for slug in entry["notebooks"]:
        text = "\n".join(cell.source for cell in nbformat.read(notebook(slug), as_version=4).cells)
        assert re.search(rf"\b{entry['id']}\b", text), f"{slug} does not name {entry['id']}"


@every_entry
def test_its_tests_exist_and_are_about_it(entry):
    assert entry["tests"]
    for node in entry["tests"]:
        file, _, name = node.partition("::")
        functions = {
            f.name for f in ast.parse((ROOT / "tests" / file).read_text()).body if isinstance(f, ast.FunctionDef)
        }
        assert name in functions
        assert name.startswith(f"test_S{int(entry['id'][1:]):02}_")


def test_every_exercise_is_about_an_entry():
    assert set(ledger.exercises()) <= {entry["id"] for entry in ENTRIES}
    assert ledger.exercises()["S8"] == ["2"]


def test_the_page_is_made_of_the_data():
    assert ledger.PAGE.read_text(encoding="utf-8") == ledger.page(), "run `python -m tools.ledger`"
    assert not any("|" in str(text) for entry in ENTRIES for text in entry.values()), "it would break the table"
