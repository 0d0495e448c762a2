import pytest
from helpers.imports import imported_anew

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


@pytest.mark.parametrize(
    ("missing", "code"),
    [
        ("obonet", "from pruning_course import lab; lab.load_phenotypes"),
        ("matplotlib", "import pruning_course.teaching"),
    ],
)
def test_a_room_says_which_extra_it_needs(missing, code):
    message = f"^{missing} is not installed; it comes with the extra 'course'"
    with imported_anew(missing), pytest.raises(ImportError, match=message):
        exec(code)
