from pathlib import Path

import pytest

from pruning_course.teaching.notebook_map import STOPS, course_map

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"


def test_the_map_says_where_you_are():
    text = course_map("01").data
    assert "**you are here →** | **01 mask mechanics**" in text
    assert "[02 global vs local](02_global_vs_local.ipynb)" in text
    assert text.count("you are here") == 1


def test_the_notebooks_are_numbered_in_order():
    assert [stop.slug[:2] for stop in STOPS] == [f"{number:02d}" for number in range(11)]


@pytest.mark.parametrize("stop", STOPS, ids=lambda stop: stop.slug)
def test_the_map_agrees_with_the_notebooks(stop):
    assert (NOTEBOOKS / "source" / f"{stop.slug}.py").exists()
    assert (f"{stop.slug}.ipynb" in course_map("00").data) == (stop.slug[:2] != "00")


def test_an_unknown_number_is_refused():
    with pytest.raises(ValueError, match="00 to 10"):
        course_map("11")
