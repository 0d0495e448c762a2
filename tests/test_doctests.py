"""The examples in the docstrings of the library are true."""

import doctest
import importlib
import pkgutil

import pytest

import pruning_course

NOT_THE_LIBRARY = ("__main__", "experiments", "lab", "teaching")
MODULES = [
    module.name
    for module in pkgutil.walk_packages(pruning_course.__path__, "pruning_course.")
    if module.name.split(".")[1] not in NOT_THE_LIBRARY
]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0
