"""The JSON files in the output folder of a run or sweep, and checks that the folder may be used."""

import json
import os
from pathlib import Path
from typing import Any

from pruning_course.files import written_beside

PLAN = "sweep.json"
RESULT = "result.json"


def write_json(path: Path, data: dict[str, Any]) -> None:
    """Write `data` as a JSON file, completely or not at all. Raises OSError if the file cannot be written."""
    with written_beside(path) as target:
        target.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")


def read_json(path: Path) -> dict[str, Any]:
    """Return the data of a JSON file. Raises ValueError if it is damaged, OSError if it cannot be read."""
    try:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is damaged; delete it, and its run will be made again.") from error
    return data


def check_same(folder: str | os.PathLike[str], held: dict[str, Any], wanted: dict[str, Any], what: str) -> None:
    """Raise ValueError if `held`, the run or sweep (`what`) in `folder`, is not the one that is `wanted`."""
    if held != wanted:
        raise ValueError(
            f"{folder} holds another {what}, with other settings, model or data; give another output folder."
        )


def check_free(folder: str | os.PathLike[str], what: str, ignored: tuple[str, ...] = ()) -> None:
    """Raise ValueError if `folder` is a file, or holds anything but files whose names start with one of `ignored`."""
    path = Path(folder)
    if path.exists() and not (path.is_dir() and all(entry.name.startswith(ignored) for entry in path.iterdir())):
        raise ValueError(f"{folder} holds something that is not a {what}; give another output folder.")
