"""Are two answers the same, of what kind are they, and how does one show them in a sentence?"""

import math
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

import torch
from torch import Tensor, nn


def plain(value: Any) -> Any:
    """The same with numbers for tensors that hold a single number without a shape, also inside lists and dicts."""
    if isinstance(value, Tensor) and value.dim() == 0:
        return value.item()
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return type(value)(map(plain, value)) if type(value) in (list, tuple) else value


def same(value: Any, expected: object) -> bool:
    """Equal in kind, shape and content; floats to four digits."""
    if isinstance(expected, nn.Module):
        return isinstance(value, nn.Module) and same(dict(value.state_dict()), dict(expected.state_dict()))
    if kind_problem(value, expected):
        return False
    if isinstance(expected, Tensor):
        return torch.allclose(value.detach().double(), expected.detach().double(), rtol=1e-4, atol=1e-6)
    if isinstance(expected, Mapping):
        return all(same(value[key], expected[key]) for key in expected)
    if isinstance(expected, Sequence) and not isinstance(expected, str):
        return all(map(same, value, expected))
    if isinstance(expected, Real):
        return math.isclose(value, expected, rel_tol=1e-4, abs_tol=1e-6)
    return bool(value == expected)


def kind_problem(value: object, expected: object) -> str:
    """What is wrong with the type, the shape or the keys of `value`, in a sentence; "" if nothing is."""
    if isinstance(expected, Tensor):
        return _tensor_problem(value, expected)
    if isinstance(expected, Mapping):
        if not isinstance(value, Mapping):
            return f"it should return a dict, and returned {_a(value)}."
        if set(value) != set(expected):
            return f"the keys should be {show(list(expected))}, yours are {show(list(value))}."
        return ""
    if isinstance(expected, Sequence) and not isinstance(expected, str):
        if isinstance(value, str) or not isinstance(value, Sequence):
            return f"it should return a {type(expected).__name__}, and returned {_a(value)}."
        if len(value) != len(expected):
            return f"expected {show(expected)}, got {show(value)}."
        problems = (kind_problem(*pair) for pair in zip(value, expected, strict=True))
        return next((f"part {place}: {problem}" for place, problem in enumerate(problems) if problem), "")
    wanted = Real if isinstance(expected, Real) else type(expected)
    if not isinstance(value, wanted):
        name = "number" if wanted is Real else wanted.__name__
        return f"it should return a {name}, and returned {_a(value)}."
    return ""


def _tensor_problem(value: object, expected: Tensor) -> str:
    if not isinstance(value, Tensor):
        return f"it should return a tensor, and returned {_a(value)}."
    if value.shape != expected.shape:
        return f"the shape should be {tuple(expected.shape)}; yours is {tuple(value.shape)}."
    wanted = expected.dtype == torch.bool
    if wanted != (value.dtype == torch.bool):
        return f"it should be a {'bool' if wanted else 'float'} tensor; yours is {value.dtype}."
    return ""


def difference(value: Any, expected: object) -> str:
    """`expected ..., got ...`; of two dicts only the entries that differ, and of facts only what does not hold."""
    if isinstance(expected, Mapping):
        wrong = [key for key in expected if not same(value[key], expected[key])]
        if all(expected[key] is True for key in wrong):
            return f"this does not hold: {'; '.join(wrong)}."
        return "; ".join(f"{key}: expected {show(expected[key])}, got {show(value[key])}" for key in wrong) + "."
    return f"expected {show(expected)}, got {show(value)}."


def difference_untold(value: Any, expected: object) -> str:
    """The same without the answer, where the answer is all that is asked for."""
    if isinstance(expected, Mapping):
        return "not right yet: " + "; ".join(key for key in expected if not same(value[key], expected[key])) + "."
    return f"{show(value)} is not right."


def show(value: Any) -> str:
    """Short and the same on every machine: masks as 0 and 1, floats with four digits."""
    if isinstance(value, Tensor):
        value = value.detach()
        return show((value.int() if value.dtype == torch.bool else value).tolist())
    if isinstance(value, bool | str):
        return repr(value)
    if isinstance(value, Real):
        return f"{value + 0.0:.4g}"  # -0.0 is 0
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {show(item)}" for key, item in value.items()) + "}"
    if isinstance(value, Sequence):
        inside = ", ".join(map(show, value))
        return f"[{inside}]" if isinstance(value, list) else f"({inside})"
    return _a(value)


def _a(value: object) -> str:
    return "None" if value is None else f"a value of type {type(value).__name__}"
