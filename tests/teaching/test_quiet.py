"""Importing `pruning_course.teaching` makes transformers quiet, whichever comes first."""

import os

import pytest
from helpers.processes import run_python

TEACHING, TRANSFORMERS = "import pruning_course.teaching", "import transformers"
LEVEL = "from transformers.utils import logging; print(logging.get_verbosity(), logging.is_progress_bar_enabled())"


def level(*lines, **variables):
    """Transformers' verbosity (40 is ERROR, 30 WARNING) and whether it draws bars, in a Python of its own."""
    ours = ("TRANSFORMERS_VERBOSITY", "HF_HUB_DISABLE_PROGRESS_BARS", "TOKENIZERS_PARALLELISM")
    environment = {name: value for name, value in os.environ.items() if name not in ours} | variables
    done = run_python("-c", "\n".join([*lines, LEVEL]), env=environment, check=True)
    return done.stdout.split()


def test_transformers_is_not_quiet_by_itself():
    assert level() == ["30", "True"]


@pytest.mark.parametrize("lines", [[TEACHING], [TRANSFORMERS, TEACHING]])
def test_the_lessons_make_it_quiet(lines):
    assert level(*lines) == ["40", "False"]


@pytest.mark.parametrize("lines", [[TEACHING], [TRANSFORMERS, TEACHING]])
def test_what_the_reader_has_set_stays(lines):
    assert level(*lines, TRANSFORMERS_VERBOSITY="info") == ["20", "False"]
    assert level(*lines, HF_HUB_DISABLE_PROGRESS_BARS="0") == ["40", "True"]
