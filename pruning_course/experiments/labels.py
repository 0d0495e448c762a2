"""The labels of a file, matched to the outputs of a model."""

import re
import warnings
from collections.abc import Iterable

import torch
from torch import Tensor

SHOWN = 12  # at most, of the label names in a message


def label_tensor(cells: list[list[str]], id2label: dict[int, str], many: bool) -> Tensor:
    """Return the labels of n texts as a tensor: float32 (n, labels) of 0 and 1 if `many`, otherwise int64 (n,).

    Args:
        cells: the labels of each text, as the file has them. All are names in `id2label`, or all are numbers; "1.0"
            counts as 1. Numbers start at 0. If 0 does not occur and the highest number is the number of labels, they
            start at 1, and a warning says so.
        id2label: the names of the model's labels. If they are only LABEL_0, LABEL_1, ..., and `cells` have equally many
            names, the names are matched in alphabetical (numbers: in numerical) order, and a warning says so.
        many: whether a text can have several labels, or none.

    Raises:
        ValueError: if a label is empty, unknown to the model or a number out of range, or if the numbers could start
            at 0 as well as at 1.
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
    whole = {name: number for name, number in numbers.items() if number is not None}
    if whole == numbers:
        by_number = {_number(name): place for name, place in by_name.items()}
        if set(whole.values()) <= by_number.keys():  # the model's labels are 1, 2, ..., those of the file 1.0, 2.0, ...
            return {name: by_number[number] for name, number in whole.items()}
        first = _first_number(set(whole.values()), id2label)
        return {name: number - first for name, number in whole.items()}
    if by_name == {f"LABEL_{place}": place for place in range(len(names))}:
        ordered = _ordered(names)
        warnings.warn(
            f"The model does not name its labels; they are taken to be, in this order, {', '.join(ordered)}.",
            stacklevel=4,
        )
        return {name: place for place, name in enumerate(ordered)}
    unknown = min(names - by_name.keys())
    raise ValueError(
        f"The data have labels that the model does not have, such as {unknown!r}; "
        f"they must be {_listed(id2label.values())}, or the numbers of these."
    )


def _first_number(numbers: set[int], id2label: dict[int, str]) -> int:
    """Return the number of the first label, 0 or (with a warning) 1. Raises ValueError if it is unclear or neither."""
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
            f"The labels are numbers from {lowest} to {highest}, and the model's {count} labels could be counted from "
            f"0 or from 1; write their names instead: {_listed(id2label.values())}."
        )
    warnings.warn(
        f"The labels are numbers up to {highest}, without 0, so the model's {count} labels are counted from 1: "
        f"1 is {id2label[0]}, and {highest} is {id2label[count - 1]}.",
        stacklevel=5,
    )
    return 1


def _number(name: str) -> int | None:
    """Return the whole number that `name` spells, with or without ".0", or None if it is not one."""
    return int(float(name)) if re.fullmatch(r"[+-]?\d{1,15}(\.0*)?", name, re.ASCII) else None


def _ordered(names: set[str]) -> list[str]:
    """Return `names` in numerical order if all are numbers, otherwise in alphabetical order."""
    if all(re.fullmatch(r"[+-]?\d+(\.\d*)?", name, re.ASCII) for name in names):
        return sorted(names, key=float)
    return sorted(names)


def _listed(labels: Iterable[str]) -> str:
    names = list(labels)
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
