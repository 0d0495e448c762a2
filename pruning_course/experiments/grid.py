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
COMMON = ("learning_rate", "train_texts", "seed")  # what can take the place of a grid's own values

Experiments = dict[str, list[Settings]]


def read_grid(path: str | Path = LECTURE, **common) -> Experiments:
    """The experiments of a TOML file: name to runs, in the order of the file. Without a path, the lecture's four.

    A key is a name of `Settings`, its value one value or a list. Each `[[experiment]]` has a `name` and runs every
    combination of its values; tables of the same name are one experiment. Keys above the first table are for all
    experiments. `common`: values that take the place of those of the file, in every experiment.

    Raises ValueError for a file that is not such TOML: an unknown key, a value that `Settings` refuses, no experiment.
    OSError for one that cannot be read.
    """
    try:
        with open(path, "rb") as file:
            shared = tomllib.load(file)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path} is not TOML: {error}.") from error
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


def choose_runs(path: str | Path | None, given: Mapping) -> Experiments:
    """The experiments of a grid (without a path, the lecture's) if `given` says nothing about how to prune, otherwise
    one experiment with every combination of what is given.

    Raises as `read_grid` and `combinations`, and ValueError for a path together with settings of pruning.
    """
    common = {name: given[name] for name in COMMON if name in given}
    if given.keys() == common.keys():
        return read_grid(path or LECTURE, **common)
    if path is not None:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in COMMON)
        raise ValueError(f"{path} says how to prune; with --grid, the only settings that can be given are {options}.")
    return {"sweep": combinations(given)}


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
