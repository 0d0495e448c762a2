import pytest

from pruning_course.lab.pairs import paired_difference


def test_the_mean_and_students_margin():
    # Differences 0.1, 0.2, 0.3: mean 0.2, standard deviation 0.1; t for 2 degrees of freedom is 4.303.
    assert paired_difference([1.0, 2.0, 3.0], [1.1, 2.2, 3.3]) == pytest.approx((0.2, 4.3027 * 0.1 / 3**0.5), rel=1e-4)


def test_what_all_pairs_share_does_not_widen_the_margin():
    assert paired_difference([0.1, 0.5, 0.9], [0.2, 0.6, 1.0]) == pytest.approx((0.1, 0.0))


def test_it_needs_pairs():
    with pytest.raises(ValueError, match="1 and 1 results; 2 to 12 pairs"):
        paired_difference([1.0], [2.0])
    with pytest.raises(ValueError, match="2 and 3 results"):
        paired_difference([1.0, 2.0], [2.0, 3.0, 4.0])
