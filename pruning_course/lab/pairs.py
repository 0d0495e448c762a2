"""The difference of paired runs, and how well it is known."""

from collections.abc import Sequence
from statistics import mean, stdev

# The quantiles of Student's t for 95%, two-sided, with 1, 2, ... degrees of freedom.
STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201)
MOST = len(STUDENT) + 1


def paired_difference(first: Sequence[float], second: Sequence[float]) -> tuple[float, float]:
    """Return the mean of second - first, pair by pair, and its margin: the true mean is that near, with 95% confidence.

    A true difference smaller than the margin could not have been told from none. The margin is that of Student's t.

    Args:
        first, second: results of the same runs in the same order, for example one for each seed; 2 to 12 pairs.

    Raises ValueError if there are fewer or more pairs, or the two have different lengths.

    >>> paired_difference([0.50, 0.52, 0.54], [0.60, 0.61, 0.66])  # differences of 0.10, 0.09, 0.12
    (0.103..., 0.037...)
    """
    if len(first) != len(second) or not 2 <= len(first) <= MOST:
        raise ValueError(f"There are {len(first)} and {len(second)} results; 2 to {MOST} pairs are needed.")
    differences = [after - before for before, after in zip(first, second, strict=True)]
    return mean(differences), STUDENT[len(differences) - 2] * stdev(differences) / len(differences) ** 0.5
