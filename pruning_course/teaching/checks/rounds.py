"""Rounds: how much of what is left must go (notebook 04)."""

import math
from numbers import Real

from pruning_course.teaching.checks.check import AS_FOUND, Answer, Case, Check, Mistake
from pruning_course.teaching.checks.compare import plain


def _three_digits(function: Answer) -> object:
    """The answer to three digits, if it is a number: 0.333 is as right as a fraction."""
    value = plain(function())
    return round(value, 3) if isinstance(value, Real) else value


check_forty_to_sixty = Check(
    "forty_to_sixty",
    [Case("40% to 60%", (), 0.333)],
    [
        Mistake(lambda: 0.2, "That is a share of the original weights.", "How many of 100 are left at 40%?"),
        Mistake(lambda: 0.5, "That divides by what is gone.", "Divide by what is left."),
        Mistake(lambda: 0.6, "That is the target itself: passed as an amount it gives 76%."),
        Mistake(lambda: 0.33, "That is rounded too much.", "Return a fraction, or three digits."),
        Mistake(lambda: 33.333, "That is in percent.", "Return a share, from 0 to 1."),
    ],
    "Take 100 weights. How many are left, and how many of them must go?",
    _three_digits,
    tells=False,
)


def _checked(current: float, target: float, below: float) -> float:
    if target < current:
        raise ValueError
    return 0.0 if target == current else (target - current) / below


check_fraction_to_remove = Check(
    "fraction_to_remove",
    [
        Case("From 30% to 40%", (0.3, 0.4), 1 / 7),
        Case("From nothing to 50%", (0.0, 0.5), 0.5),
        Case("From 80% to everything", (0.8, 1.0), 1.0),
        Case("Where it is already", (0.5, 0.5), 0.0),
        Case("Everything is gone already", (1.0, 1.0), 0.0),
        Case("A target below the current sparsity", (0.5, 0.4), ValueError),
    ],
    [
        Mistake(
            lambda current, target: _checked(current, target, 1.0),
            "That is a share of the original weights.",
            "Divide by what is left.",
        ),
        Mistake(
            lambda current, target: (target - current) / (1 - current),
            "The formula is right; its edges are not.",
            "Treat a target below `current`, and a target that is reached already, before you divide.",
        ),
        Mistake(
            lambda current, target: 0.0 if current == 1 else (target - current) / (1 - current),
            "A mask only grows: a target below `current` must be refused, not answered with a negative share.",
            "Raise a ValueError.",
        ),
        Mistake(lambda current, target: _checked(current, target, target), "That divides by the target."),
    ],
    "What is left now is 1 - current. What must go is target - current.",
)

check_sparsity_after = Check(
    "sparsity_after",
    [
        Case("30%, then 10%", ([0.3, 0.1],), 0.37),
        Case("20%, 40%, 60%", ([0.2, 0.4, 0.6],), 0.808),
        Case("Ten rounds of 10%", ([0.1] * 10,), 0.651322),
        Case("No round", ([],), 0.0),
    ],
    [
        Mistake(sum, AS_FOUND, "Ten rounds of 10%: is everything gone? What does each round take its 10% of?"),
        Mistake(
            lambda amounts: max(amounts, default=0.0), "That is the largest amount, as if each round started afresh."
        ),
        Mistake(
            lambda amounts: math.prod(1 - amount for amount in amounts),
            "That is what is *left*.",
            "The sparsity is 1 minus that.",
        ),
    ],
    "Follow what is left: each round multiplies it by 1 - amount.",
)
