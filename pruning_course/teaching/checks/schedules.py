"""Schedules and rounds (notebooks 03 and 04)."""

import math
from collections.abc import Callable
from itertools import pairwise
from numbers import Real

from pruning_course.teaching.checks.check import AS_FOUND, Answer, Case, Check, Mistake, WrongKind
from pruning_course.teaching.checks.compare import plain


def _shape_of(schedule: Answer) -> dict[str, bool] | None:
    """What a schedule is like, whatever its formula."""
    at = [schedule(i / 5) for i in range(6)]
    if None in at:
        return None
    if not all(isinstance(share, Real) for share in at):
        raise WrongKind("it should return a number.")
    first, _, middle, _, last = (after - before for before, after in pairwise(at))
    return {
        "0 at the start": abs(at[0]) < 1e-9,
        "1 at the end": abs(at[-1] - 1) < 1e-9,
        "never falls": at == sorted(at),
        "slow at first (less than half as fast as in the middle)": first < middle / 2,
        "slow at the end (less than half as fast as in the middle)": last < middle / 2,
    }


check_slow_fast_slow = Check(
    "slow_fast_slow",
    [Case("The shape of the schedule", (), dict.fromkeys(_shape_of(lambda p: p) or (), True))],
    [
        Mistake(
            lambda p: 1 - (1 - p) ** 3,
            AS_FOUND,
            "Its slope is 3 at the start and 0 at the end. You need slope 0 at both ends.",
        ),
        Mistake(lambda p: p**3, "That starts slowly and is fastest at the end.", "It must be slow there, too."),
        Mistake(lambda p: p, "That is linear: never slow, never fast."),
        Mistake(
            lambda p: 1 / (1 + math.exp(-10 * (p - 0.5))),
            "A sigmoid has the right shape, but does not start at 0 and does not arrive at 1.",
            "Subtract its first value and divide by the rise, or take a polynomial.",
        ),
    ],
    "A polynomial does it: try a * p**2 + b * p**3 with value 1 and slope 0 at p = 1.",
    _shape_of,
)

check_fast_then_slow = Check(
    "fast_then_slow",
    [
        Case("At the start", (0.0,), 0.0),
        Case("At half time", (0.5,), 0.924142),
        Case("Just before the end", (0.99,), 0.999651),
        Case("At the end", (1.0,), 1.0),
    ],
    [
        Mistake(
            lambda p: 1 - math.exp(-5 * p), AS_FOUND, "What is its value at p = 1, and what would make that value 1?"
        ),
        Mistake(
            lambda p: 1.0 if p == 1 else 1 - math.exp(-5 * p),
            "It arrives, but with a jump in the last step.",
            "Divide the whole curve by its last value.",
        ),
        Mistake(
            lambda p: (math.exp(5 * p) - 1) / (math.exp(5) - 1),
            "That starts slowly and is fast at the end: the lecture's words, not its formula.",
            "Keep 1 - exp(-5p) and divide.",
        ),
    ],
    "Divide the curve by its own last value.",
)


def _clamped(
    step: int, start: int, end: int, target: float, *, shape: Callable[[float], float] = lambda p: 1 - (1 - p) ** 3
) -> float:
    progress = 1.0 if step >= end else max(0.0, (step - start) / (end - start))
    return target * shape(progress)


check_cubic_sparsity = Check(
    "cubic_sparsity",
    [
        Case("Before the start", (5, 10, 110, 0.8), 0.0),
        Case("At the start", (10, 10, 110, 0.8), 0.0),
        Case("Half way", (60, 10, 110, 0.8), 0.7),
        Case("At the end", (110, 10, 110, 0.8), 0.8),
        Case("Long after the end", (500, 10, 110, 0.8), 0.8),
        Case("A start that is the end", (10, 10, 10, 0.5), 0.5),
    ],
    [
        Mistake(
            lambda step, start, end, target: _clamped(step, 0, end, target),
            "Progress is counted from step 0, not from `start`.",
            "Progress is (step - start) / (end - start).",
        ),
        Mistake(
            lambda step, start, end, target: target * (1 - (1 - (step - start) / (end - start)) ** 3),
            "The formula holds between start and end only; before and after, it runs away.",
            "Answer the two simple cases first, with `if`.",
        ),
        Mistake(lambda *given: _clamped(*given, shape=lambda p: p), "That is the linear schedule."),
        Mistake(
            lambda *given: _clamped(*given, shape=lambda p: p**3),
            "That is p³, slow first. Cubic is 1 - (1 - p)³.",
        ),
    ],
    "Three cases: the end has come, the start has not come, in between.",
)

check_pruning_steps = Check(
    "pruning_steps",
    [
        Case("Steps 1 to 10, every 4", (1, 10, 4), [4, 8, 10]),
        Case("Steps 50 to 100, every 40", (50, 100, 40), [80, 100]),
        Case("An end that is a multiple", (4, 12, 4), [4, 8, 12]),
        Case("Fewer steps than the frequency", (1, 3, 100), [3]),
    ],
    [
        Mistake(
            lambda start, end, frequency: [s for s in range(1, end + 1) if s % frequency == 0],
            AS_FOUND,
            "Which of its three arguments does it not use, and what is the last step that it returns?",
        ),
        Mistake(
            lambda start, end, frequency: [s for s in range(start, end + 1) if s % frequency == 0],
            "The start counts now, but the end is missed when it is no multiple of the frequency.",
            "The end always prunes.",
        ),
        Mistake(
            lambda start, end, frequency: [s for s in range(start, end + 1) if s % frequency == 0] + [end],
            "The end comes twice when it is a multiple of the frequency.",
        ),
        Mistake(
            lambda start, end, frequency: [*range(start, end, frequency), end],
            "That counts the frequency from the start; the driver prunes at *multiples* of it.",
        ),
    ],
    "All multiples from `start` to just before `end`, then `end`.",
)


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
