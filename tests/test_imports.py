"""Importing is cheap: nothing is loaded that nobody has asked for."""

import json

import pytest
from helpers.processes import run_python

CODE = """
import json, sys
import pruning_course
library = sorted(sys.modules)
import pruning_course.lab
print(json.dumps([library, sorted(set(sys.modules) - set(library))]))
"""


@pytest.fixture(scope="module")
def loaded():
    """The modules that the library loads, and those that its laboratory adds."""
    return json.loads(run_python("-c", CODE, check=True).stdout)


def test_the_library_does_not_load_the_trainer(loaded):
    library, _ = loaded
    assert "pruning_course.pruners.gradual" in library and "transformers.trainer_callback" not in library


def test_the_laboratory_adds_itself_alone(loaded):
    _, added = loaded
    assert added == ["pruning_course.extras", "pruning_course.lab"]
