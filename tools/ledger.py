"""docs/lecture-ledger.md, made of docs/lecture-ledger.yaml: `python -m tools.ledger`."""

import re
from pathlib import Path

import nbformat
import yaml

from pruning_course.files import written_beside

ROOT = Path(__file__).resolve().parents[1]
DATA, PAGE = ROOT / "docs/lecture-ledger.yaml", ROOT / "docs/lecture-ledger.md"
EXERCISES = ROOT / "notebooks/10_exercises.ipynb"
TOP = """\
# What the lecture says, and what was found

The course grew out of a lecture on pruning. Twenty-nine of its statements did not survive a measurement or a close
look. Here is each of them: what was said, in our words, what was found, what is true, in which notebook it is shown,
and which tests hold it. This page is made of `lecture-ledger.yaml`.

| | the lecture says | measured or shown | what is true | where | tests |
|---|---|---|---|---|---|
"""


def entries() -> list[dict]:
    """All entries, in order."""
    return yaml.safe_load(DATA.read_text(encoding="utf-8"))


def exercises() -> dict[str, list[str]]:
    """S-number to the numbers of the exercises about it."""
    found = {}
    for cell in nbformat.read(EXERCISES, as_version=4).cells:
        head = re.match(r"### (\d+)\. .*\n\n\*(.*)\*\n", cell.source)
        for number in re.findall(r"\bS\d+\b", head[2] if head else ""):
            found.setdefault(number, []).append(head[1])
    return found


def page() -> str:
    about = exercises()
    rows = []
    for entry in entries():
        where = [f"[{slug[:2]}](../notebooks/{slug}.ipynb)" for slug in entry["notebooks"]]
        where += [f"exercise {number}" for number in about.get(entry["id"], [])]
        tests = [f'[{i}](../tests/{node.split("::")[0]} "{node}")' for i, node in enumerate(entry["tests"], 1)]
        cells = [entry["id"], entry["says"], entry["found"], entry["holds"], ", ".join(where), " ".join(tests)]
        rows.append(f"| {' | '.join(cells)} |")
    return TOP + "\n".join(rows) + "\n"


if __name__ == "__main__":
    with written_beside(PAGE) as beside:
        beside.write_text(page(), encoding="utf-8")
