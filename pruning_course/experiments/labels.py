"""From the labels of a file to the places of a model's outputs."""

import re
import warnings

import torch
from torch import Tensor

SHOWN = 12  # names in a message


def label_tensor(cells: list[list[str]], id2label: dict[int, str], many: bool) -> Tensor:
    """Labels float32 (n, labels) of 0 and 1 if a text can have many, otherwise int64 (n,).

    The names in `cells` are those of `id2label`, or all of them are numbers of its labels, counted from 0; "1.0" is the
    number 1. Numbers from 1 to as many as there are labels, without 0, count from 1: they are taken so, with a warning.
    If `id2label` has no names but LABEL_0, LABEL_1, ..., and the cells as many, these are taken in the order of the
    alphabet (those with a fraction in their own), with a warning.

    Raises ValueError for an empty label, one that the model lacks, a number out of range, and numbers without 0 that
    could count from 0 or from 1.
    """
    id2label = {place: str(name) for place, name in id2label.items()}
    names = {name for cell in cells for name in cell}
    if "" in names or (not many and [] in cells):
        row = next(row for row, cell in enumerate(cells, start=1) if "" in cell or not cell)
        raise ValueError(f"Text {row} has an empty label; it must be one of {_listed(id2label.values())}.")
    places = _places(names, id2label)
    if not many:
        return torch.tensor([places[name] for [name] in cells])
    labels = torch.zeros(len(cells), len(id2label))
    for row, cell in enumerate(cells):
        labels[row, [places[name] for name in cell]] = 1
    return labels


def _places(names: set[str], id2label: dict[int, str]) -> dict[str, int]:
    by_name = {name: place for place, name in id2label.items()}
    if names <= by_name.keys():
        return by_name
    numbers = {name: _number(name) for name in names}
    if None not in numbers.values():
        by_number = {_number(name): place for name, place in by_name.items()}
        if set(numbers.values()) <= by_number.keys():  # a model that calls its labels 1, 2, ..., and a file 1.0, 2.0
            return {name: by_number[number] for name, number in numbers.items()}
        first = _first_number(set(numbers.values()), id2label)
        return {name: number - first for name, number in numbers.items()}
    if by_name == {f"LABEL_{place}": place for place in range(len(names))}:
        ordered = _ordered(names)
        warnings.warn(
            f"The model does not name its labels; in its order they are taken as {', '.join(ordered)}.", stacklevel=4
        )
        return {name: place for place, name in enumerate(ordered)}
    unknown = min(names - by_name.keys())
    raise ValueError(
        f"The data have labels that the model does not have, such as {unknown!r}; "
        f"its labels are {_listed(id2label.values())}, or their numbers."
    )


def _first_number(numbers: set[int], id2label: dict[int, str]) -> int:
    """Where `numbers` count from: 0, or 1 with a warning."""
    count, lowest, highest = len(id2label), min(numbers), max(numbers)
    if lowest < 0 or highest > count or (highest == count and lowest == 0):
        raise ValueError(
            f"The data have the label {lowest if lowest < 0 else highest}; the model's {count} labels "
            f"({_listed(id2label.values())}) have the numbers 0 to {count - 1}."
        )
    if lowest == 0:
        return 0
    if highest < count:
        raise ValueError(
            f"The labels are numbers from {lowest} to {highest}, which can count the model's {count} labels from 0 or "
            f"from 1; write their names instead: {_listed(id2label.values())}."
        )
    warnings.warn(
        f"The labels are numbers up to {highest}, without 0; they are taken to count the model's {count} labels from "
        f"1: 1 is {id2label[0]}, and {highest} is {id2label[count - 1]}.",
        stacklevel=5,
    )
    return 1


def _number(name: str) -> int | None:
    """The whole number that `name` writes, with or without ".0"; None if it writes something else."""
    return int(float(name)) if re.fullmatch(r"[+-]?\d{1,15}(\.0*)?", name, re.ASCII) else None


def _ordered(names: set[str]) -> list[str]:
    """By the numbers that they write if all of them do, otherwise by the alphabet."""
    if all(re.fullmatch(r"[+-]?\d+(\.\d*)?", name, re.ASCII) for name in names):
        return sorted(names, key=float)
    return sorted(names)


def _listed(names) -> str:
    names = list(names)
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
