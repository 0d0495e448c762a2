"""Grids of settings, which say what runs belong to a sweep."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import fields
from itertools import product
from pathlib import Path
from typing import Any

from pruning_course.experiments.settings import Settings

LECTURE = Path(__file__).with_name("lecture.toml")
NAMES = tuple(field.name for field in fields(Settings))
COMMON = ("learning_rate", "train_texts", "seed")  # options that go together with --grid

Experiments = dict[str, list[Settings]]


def read_grid(path: str | Path = LECTURE, **common: Any) -> Experiments:
    """Return the experiments of a TOML file: name to runs, in the order of the file.

    Each table `[[experiment]]` has a `name`; its other keys are settings (fields of `Settings`), each with one value or
    a list of values. The experiment has a run for every combination. Tables with the same name are one experiment, and
    keys above the first table belong to every experiment.

    Args:
        path: the file; the default is the grid of the lecture's experiments.
        common: settings that replace those of the file, in every experiment.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if it is not TOML, has no experiment, or an experiment has no valid name, an unknown setting, an
            empty list or a value that `Settings` does not allow.
    """
    try:
        with open(path, "rb") as file:
            shared = tomllib.load(file)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path} is not a valid TOML file: {error}.") from error
    tables = shared.pop("experiment", [])
    if not tables or not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise ValueError(f"{path} has no [[experiment]] table, so there is nothing to run.")
    experiments: Experiments = {}
    for table in tables:
        name = table.pop("name", None)
        if not isinstance(name, str) or not re.fullmatch(r"[\w-]+", name):
            raise ValueError(f"The experiment name {name!r} in {path} must consist of letters, digits, - and _.")
        runs = experiments.setdefault(name, [])
        runs += [run for run in combinations({**shared, **table, **common}) if run not in runs]
    return experiments


def choose_runs(path: str | Path | None, options: Mapping[str, Any]) -> Experiments:
    """Return the experiments of a sweep.

    Args:
        path: the TOML file of a grid; None stands for the lecture's grid.
        options: settings, each with one value or a list. If they are only the learning rate, the number of texts or the
            seed, they replace the values of the grid. Otherwise their combinations are the only experiment.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if the file is not a valid grid, if a setting is unknown, an empty list or not allowed, or if there
            is a file and `options` say how to prune as well.
    """
    common = {name: options[name] for name in COMMON if name in options}
    if options.keys() == common.keys():
        return read_grid(path or LECTURE, **common)
    if path is not None:
        allowed = ", ".join(f"--{name.replace('_', '-')}" for name in COMMON)
        raise ValueError(f"{path} says how to prune; with --grid, the only settings that can be given are {allowed}.")
    return {"sweep": combinations(options)}


def combinations(values: Mapping[str, Any]) -> list[Settings]:
    """Return every combination of `values`, which map a setting to one value or a list; the last one changes fastest.

    Raises ValueError if a setting is unknown, a list is empty, or `Settings` does not allow a value.
    """
    for name, value in values.items():
        if name not in NAMES:
            raise ValueError(f"{name!r} is not a setting; the settings are {', '.join(NAMES)}.")
        if value == []:
            raise ValueError(f"{name} is an empty list; it must have at least one value.")
    lists = [value if isinstance(value, list) else [value] for value in values.values()]
    runs = [Settings(**dict(zip(values, chosen, strict=True))) for chosen in product(*lists)]
    return list(dict.fromkeys(runs))
