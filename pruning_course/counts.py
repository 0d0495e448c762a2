"""Whole numbers."""


def is_count(value: object, least: int = 1) -> bool:
    """Whether `value` is a whole number, and at least `least`; True and False are not numbers."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least
