import pytest
from hypothesis import given
from hypothesis import strategies as st

from pruning_course import incremental_fraction


@pytest.mark.parametrize(
    ("current", "target", "expected"),
    [(0.3, 0.4, 1 / 7), (0.4, 0.6, 1 / 3), (0, 0.5, 0.5), (0.7, 0.8, 1 / 3), (1, 1, 0)],
)
def test_the_share_of_what_is_left(current, target, expected):
    assert incremental_fraction(current, target) == pytest.approx(expected)


@given(st.floats(0, 0.999), st.floats(0, 1))
def test_it_lands_on_the_target(current, target):
    low, high = sorted((current, target))
    share = incremental_fraction(low, high)
    assert 0 <= share <= 1
    assert low + share * (1 - low) == pytest.approx(high)


def test_bad_shares_are_refused():
    with pytest.raises(ValueError, match="shares from 0 to 1"):
        incremental_fraction(0.3, 40)
    with pytest.raises(ValueError, match="below the current"):
        incremental_fraction(0.5, 0.4)
