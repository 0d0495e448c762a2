import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pruning_course import incremental_fraction, sparsity_at
from pruning_course.schedules import SCHEDULES, cubic, exponential, geometric, linear

SHARES = st.floats(0, 1)


@pytest.mark.parametrize(
    ("schedule", "at_a_quarter", "at_half"),
    [(linear, 0.25, 0.5), (cubic, 0.578125, 0.875), (exponential, 0.718336, 0.924142)],
)
def test_the_shapes(schedule, at_a_quarter, at_half):
    assert schedule(0) == 0 and schedule(1) == 1
    assert schedule(0.25) == pytest.approx(at_a_quarter, abs=1e-6)
    assert schedule(0.5) == pytest.approx(at_half, abs=1e-6)


@pytest.mark.parametrize("schedule", [linear, cubic, exponential, geometric(0.2, 0.9), geometric(0.5, 0.5)])
@given(SHARES, SHARES)
def test_every_schedule_rises_from_0_to_1(schedule, one, other):
    low, high = sorted((one, other))
    assert 0 == schedule(0) <= schedule(low) <= schedule(high) + 1e-15 <= schedule(1) + 1e-15 == 1 + 1e-15


@pytest.mark.parametrize("progress", [-0.01, 1.01, math.nan, math.inf])
@pytest.mark.parametrize("schedule", [linear, cubic, exponential, geometric(0, 0.8)])
def test_a_progress_outside_0_to_1_is_refused(schedule, progress):
    with pytest.raises(ValueError, match="progress is"):
        schedule(progress)


@given(st.floats(0, 0.9), st.floats(0, 0.99), st.integers(1, 40))
def test_geometric_takes_the_same_share_of_the_survivors_each_time(one, other, steps):
    initial, target = sorted((one, other))
    left = [1 - sparsity_at(step, 0, steps, initial, target, "geometric") for step in range(steps + 1)]
    shares = [after / before for before, after in pairwise(left)]
    assert shares == pytest.approx([shares[0]] * steps)
    assert left[0] == pytest.approx(1 - initial) and left[-1] == 1 - target


def test_exponential_is_geometric_with_a_target_of_0_993():
    curve = geometric(0, 1 - math.exp(-5))
    assert all(curve(p / 10) == pytest.approx(exponential(p / 10)) for p in range(11))


def test_three_rounds_of_20_percent():
    sparsities = [sparsity_at(step, 0, 3, 0, 1 - 0.8**3, "geometric") for step in range(4)]
    assert sparsities == pytest.approx([0, 0.2, 0.36, 0.488])


@given(
    st.sampled_from([*SCHEDULES, lambda p: p * p]),
    st.tuples(st.integers(0, 50), st.integers(0, 50)).map(sorted),
    st.tuples(st.floats(0, 0.99), st.floats(0, 0.99)).map(sorted),
)
def test_before_start_initial_from_end_on_exactly_the_target_and_never_down(schedule, steps, shares):
    (start, end), (initial, target) = steps, shares
    path = [sparsity_at(step, start, end, initial, target, schedule) for step in range(60)]
    assert path[:start] == [initial] * start
    assert path[end:] == [target] * (60 - end)
    assert all(a <= b + 1e-15 for a, b in pairwise(path))


def test_zhu_and_guptas_formula():
    for step in range(10, 31):
        formula = 0.9 + (0.1 - 0.9) * (1 - (step - 10) / 20) ** 3
        assert sparsity_at(step, 10, 30, 0.1, 0.9, "cubic") == pytest.approx(formula)


def test_start_equal_to_end_is_a_jump():
    assert [sparsity_at(step, 5, 5, 0.1, 0.7) for step in (4, 5, 6)] == [0.1, 0.7, 0.7]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1, 10, 5, 0, 0.5), "starts at step 10 and ends at step 5"),
        ((1, 0, math.nan, 0, 0.5), "the end cannot be earlier"),
        ((1, 0, 5, 0.6, 0.5), "below the initial sparsity 0.6"),
        ((1, 0, 5, 0, 50), "must be between 0 and 1"),
        ((1, 0, 5, 0, 1.5), "must be between 0 and 1"),
        ((1, 0, 5, 1.5, 0.5), "must be between 0 and 1"),
        ((1, 0, 5, math.nan, 0.5), "must be between 0 and 1"),
        ((1, 0, 5, 0, 0.5, "cosine"), "linear, cubic, exponential, geometric, or a function"),
        ((9, 0, 5, 0, 0.5, "cosine"), "schedule is 'cosine'"),  # also where its shape plays no part
        ((1, 0, 5, 0, 1, "geometric"), "never gets there"),
        ((1, 0, 5, 0, 0.5, lambda p: 2.0), "must stay between 0 and 1"),
        ((1, 0, 5, 0, 0.5, lambda p: -0.5), "must stay between 0 and 1"),
        ((1, 0, 5, 0, 0.5, lambda p: math.nan), "must stay between 0 and 1"),
    ],
)
def test_impossible_requests_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        sparsity_at(*arguments)


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
    with pytest.raises(ValueError, match="must be between 0 and 1"):
        incremental_fraction(0.3, 40)
    with pytest.raises(ValueError, match="below the current"):
        incremental_fraction(0.5, 0.4)
