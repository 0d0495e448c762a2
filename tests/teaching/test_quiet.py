"""Importing `pruning_course.teaching` makes transformers quiet; see also test_imports.py."""

import importlib
import os

import pytest
from helpers.processes import run_python
from transformers.utils import logging

import pruning_course.teaching

OURS = ("TRANSFORMERS_VERBOSITY", "HF_HUB_DISABLE_PROGRESS_BARS", "TOKENIZERS_PARALLELISM")
QUIET = {"TRANSFORMERS_VERBOSITY": "error", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "TOKENIZERS_PARALLELISM": "false"}
LEVEL = "from transformers.utils import logging; print(logging.get_verbosity(), logging.is_progress_bar_enabled())"


def test_transformers_is_not_quiet_by_itself():
    environment = {name: value for name, value in os.environ.items() if name not in OURS}
    assert run_python("-c", LEVEL, env=environment, check=True).stdout.split() == ["30", "True"]


@pytest.fixture
def loud(monkeypatch):
    """Transformers as it is after its import, and no variable that the lessons set."""
    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    for name in OURS:
        monkeypatch.setenv(name, "")  # so that what the lessons set is taken back
        monkeypatch.delenv(name)
    logging.set_verbosity_warning()
    logging.enable_progress_bar()
    yield
    logging.set_verbosity(before[0])
    (logging.enable_progress_bar if before[1] else logging.disable_progress_bar)()


@pytest.mark.parametrize(
    ("given", "expected"),  # a variable that was given before the import is left to transformers
    [
        ({}, (40, False)),
        ({"TRANSFORMERS_VERBOSITY": "warning"}, (30, False)),
        ({"HF_HUB_DISABLE_PROGRESS_BARS": "0"}, (40, True)),
        ({"TRANSFORMERS_VERBOSITY": "warning", "HF_HUB_DISABLE_PROGRESS_BARS": "0"}, (30, True)),
    ],
)
def test_what_the_reader_has_set_stays(loud, monkeypatch, given, expected):
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    importlib.reload(pruning_course.teaching)
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == expected
    assert {name: os.environ[name] for name in OURS} == QUIET | given
