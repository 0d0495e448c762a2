"""Whole numbers."""


def is_count(value: object, least: int = 1) -> bool:
    """Return whether `value` is an int of at least `least`; True and False do not count as numbers.

    >>> is_count(3), is_count(0), is_count(2.0), is_count(True)
    (True, False, False, False)
    """
    return isinstance(value, int) and not isinstance(value, bool) and value >= least
