"""A grid of settings: which runs belong to a sweep."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import fields
from itertools import product
from pathlib import Path

from pruning_course.experiments.settings import Settings

LECTURE = Path(__file__).with_name("lecture.toml")
NAMES = tuple(field.name for field in fields(Settings))

Experiments = dict[str, list[Settings]]


def read_grid(path: str | Path = LECTURE, **common) -> Experiments:
    """The experiments of a TOML file: name to runs, in the order of the file. Without a path, the lecture's four.

    A key is a name of `Settings`, its value one value or a list. Each `[[experiment]]` has a `name` and runs every
    combination of its values; tables of the same name are one experiment. Keys above the first table are for all
    experiments. `common`: values that take the place of those of the file, in every experiment.

    Raises ValueError for a file that is no such TOML: an unknown key, a value that `Settings` refuses, no experiment.
    OSError for one that cannot be read.
    """
    try:
        with open(path, "rb") as file:
            shared = tomllib.load(file)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path} is no TOML: {error}.") from error
    tables = shared.pop("experiment", [])
    if not tables or not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise ValueError(f"{path} has no [[experiment]] table, so there is nothing to run.")
    experiments = {}
    for table in tables:
        name = table.pop("name", None)
        if not isinstance(name, str) or not re.fullmatch(r"[\w-]+", name):
            raise ValueError(f"An [[experiment]] of {path} has the name {name!r}; it must be letters, digits, - and _.")
        runs = experiments.setdefault(name, [])
        runs += [run for run in combinations({**shared, **table, **common}) if run not in runs]
    return experiments


def combinations(values: Mapping) -> list[Settings]:
    """Every combination of `values`: setting to one value or a list of them. The last setting changes fastest.

    Raises ValueError for an unknown setting, an empty list, or a value that `Settings` refuses.
    """
    for name, value in values.items():
        if name not in NAMES:
            raise ValueError(f"There is no setting {name!r}; the settings are {', '.join(NAMES)}.")
        if value == []:
            raise ValueError(f"{name} is an empty list, so there is nothing to run.")
    lists = [value if isinstance(value, list) else [value] for value in values.values()]
    runs = [Settings(**dict(zip(values, chosen, strict=True))) for chosen in product(*lists)]
    return list(dict.fromkeys(runs))
