import pytest
from helpers.processes import run_python

from pruning_course.extras import extra


def test_what_is_missing_is_named_with_its_extra():
    with pytest.raises(ImportError) as error, extra("course"):
        import no_such_package_here  # noqa: F401
    assert str(error.value) == (
        "no_such_package_here is not installed; it comes with the extra 'course': "
        "run `pip install 'pruning-course[course]'`."
    )


def test_another_error_passes():
    with pytest.raises(ValueError, match="mine"), extra("course"):
        raise ValueError("mine")


ROOMS = """
import sys
sys.modules["obonet"] = sys.modules["matplotlib"] = None
from pruning_course import lab
for enter in (lambda: lab.load_phenotypes, lambda: __import__("pruning_course.teaching")):
    try:
        enter()
    except ImportError as error:
        print(error)
"""


def test_a_room_says_which_extra_it_needs():
    said = run_python("-c", ROOMS, check=True).stdout.splitlines()
    assert [line.partition(":")[0] for line in said] == [
        f"{missing} is not installed; it comes with the extra 'course'" for missing in ("obonet", "matplotlib")
    ]
