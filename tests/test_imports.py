"""Importing is cheap: nothing is loaded that nobody has asked for."""

import json
import os

import pytest
from helpers.processes import run_python

CODE = """
import json, sys
import pruning_course
library = sorted(sys.modules)
import pruning_course.lab
laboratory = sorted(set(sys.modules) - set(library))
import pruning_course.teaching
from transformers.utils import logging
print(json.dumps([library, laboratory, logging.get_verbosity(), logging.is_progress_bar_enabled()]))
"""
OURS = ("TRANSFORMERS_VERBOSITY", "HF_HUB_DISABLE_PROGRESS_BARS", "TOKENIZERS_PARALLELISM")


@pytest.fixture(scope="module")
def loaded():
    """What one Python finds where the reader wants to see much of transformers: modules, and how loud that is."""
    environment = {name: value for name, value in os.environ.items() if name not in OURS}
    done = run_python("-c", CODE, env=environment | {"TRANSFORMERS_VERBOSITY": "info"}, check=True)
    return dict(zip(("library", "laboratory", "verbosity", "bars"), json.loads(done.stdout), strict=True))


def test_the_library_does_not_load_the_trainer(loaded):
    assert "pruning_course.pruners.gradual" in loaded["library"]
    assert "transformers.trainer_callback" not in loaded["library"]


def test_the_laboratory_adds_itself_alone(loaded):
    assert loaded["laboratory"] == ["pruning_course.extras", "pruning_course.lab"]


def test_the_lessons_make_transformers_quiet_but_for_what_the_reader_has_set(loaded):
    assert (loaded["verbosity"], loaded["bars"]) == (20, False)  # 20 is INFO
