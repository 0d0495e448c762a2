"""Schedules (notebook 03)."""

import math
from collections.abc import Callable
from itertools import pairwise
from numbers import Real

from pruning_course.teaching.checks.check import AS_FOUND, Answer, Case, Check, Mistake, WrongKind


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
