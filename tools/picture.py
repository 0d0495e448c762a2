"""docs/choosing.png, which the README shows: the figure tagged `readme-picture` in notebook 09."""

import base64
from pathlib import Path

import nbformat

from pruning_course.files import written_beside

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOK, PICTURE = ROOT / "notebooks/09_choosing_a_method.ipynb", ROOT / "docs/choosing.png"


def picture() -> bytes:
    """The figure, as PNG."""
    cells = nbformat.read(NOTEBOOK, as_version=4).cells
    [cell] = [cell for cell in cells if "readme-picture" in cell.metadata.get("tags", [])]
    [png] = [output.data["image/png"] for output in cell.outputs if "image/png" in output.get("data", {})]
    return base64.b64decode(png)


if __name__ == "__main__":
    with written_beside(PICTURE) as beside:
        beside.write_bytes(picture())
