"""How the sparsity rises while a model trains: pure functions.

A schedule maps progress, from 0 (pruning begins) to 1 (pruning ends), to the fraction of the rise that should be
finished by then. It never falls, and f(0) = 0 and f(1) = 1 exactly.

>>> linear(0.5), cubic(0.5), round(exponential(0.5), 3)
(0.5, 0.875, 0.924)
"""

import math
from collections.abc import Callable

SCHEDULES = ("linear", "cubic", "exponential", "geometric")


def linear(progress: float) -> float:
    """Return f(p) = p: every step removes the same number of weights. Raises ValueError if p is outside [0, 1]."""
    return _require_progress(progress)


def cubic(progress: float) -> float:
    """Return f(p) = 1 - (1 - p)^3, which is fast at first and then ever slower (Zhu & Gupta 2017, arXiv 1710.01878).

    Raises ValueError if `progress` is outside [0, 1].
    """
    left = 1 - _require_progress(progress)
    return 1 - left * left * left


def exponential(progress: float) -> float:
    """Return f(p) = (1 - exp(-5p)) / (1 - exp(-5)), which starts even faster than `cubic`.

    Without the divisor the schedule would end at 0.9933. Raises ValueError if `progress` is outside [0, 1].
    """
    return math.expm1(-5 * _require_progress(progress)) / math.expm1(-5)


def geometric(initial: float, target: float) -> Callable[[float], float]:
    """Return the schedule that removes the same share of the SURVIVORS at every step, as lottery tickets do per round.

    f(p) = (1 - r^p) / (1 - r), where r = (1 - target) / (1 - initial) is the share of the survivors that remains at the
    end. With r = exp(-5), a target of 99.3%, it is `exponential`.

    Raises ValueError unless 0 <= initial <= target < 1: a constant share never removes the last weight.
    """
    _check_range(initial, target)
    if target == 1:
        raise ValueError("The target is 1; a geometric schedule takes a share of what is left and never gets there.")
    rate = math.log1p(-target) - math.log1p(-initial)  # log r
    return linear if rate == 0 else lambda progress: math.expm1(rate * _require_progress(progress)) / math.expm1(rate)


def sparsity_at(
    step: float,
    start: float,
    end: float,
    initial: float,
    target: float,
    schedule: str | Callable[[float], float] = "cubic",
) -> float:
    """Return the sparsity after `step` training steps: `initial` before `start`, exactly `target` from `end` on.

    Args:
        step, start, end: numbers of steps. If `start` equals `end`, the sparsity jumps there.
        initial, target: shares of the weights, from 0 to 1.
        schedule: "linear", "cubic", "exponential", "geometric", or a function of progress.

    Raises ValueError if `end` is before `start`, not 0 <= initial <= target <= 1, the schedule is unknown or leaves
    [0, 1], or it is "geometric" and the target is 1.

    >>> [sparsity_at(step, start=0, end=10, initial=0.0, target=0.8, schedule="linear") for step in (-1, 5, 11)]
    [0.0, 0.4, 0.8]
    """
    _check_range(initial, target)
    if not start <= end:
        raise ValueError(f"The schedule starts at step {start} and ends at step {end}; the end cannot be earlier.")
    function = _resolve(schedule, initial, target)
    if step >= end:
        return target
    if step < start:
        return initial
    finished = function((step - start) / (end - start))
    if not 0 <= finished <= 1:
        raise ValueError(f"The schedule returns {finished} at step {step}; it must stay between 0 and 1.")
    return min(target, initial + (target - initial) * finished)


def incremental_fraction(current: float, target: float) -> float:
    """Return which share of the REMAINING weights must be removed to raise the sparsity from `current` to `target`.

    It is (target - current) / (1 - current), where both are shares of the original count. A relative `amount`, such as
    that of torch.nn.utils.prune, has to be this number.

    Raises ValueError if a share is outside [0, 1], or if `target` is below `current`, because a mask only grows.

    >>> incremental_fraction(current=0.5, target=0.75)
    0.5
    """
    if not (0 <= current <= 1 and 0 <= target <= 1):
        raise ValueError(f"current is {current} and target is {target}; both must be between 0 and 1.")
    if target < current:
        raise ValueError(
            f"The target {target} is below the current sparsity {current}; pruning never lowers the sparsity."
        )
    return 0.0 if target == current else (target - current) / (1 - current)


def _resolve(schedule: str | Callable[[float], float], initial: float, target: float) -> Callable[[float], float]:
    if callable(schedule):
        return schedule
    if schedule not in SCHEDULES:
        raise ValueError(f"schedule is {schedule!r}; it can be one of {', '.join(SCHEDULES)}, or a function.")
    if schedule == "geometric":
        return geometric(initial, target)
    return {"linear": linear, "cubic": cubic, "exponential": exponential}[schedule]


def _require_progress(progress: float) -> float:
    if not 0 <= progress <= 1:  # true for NaN, too
        raise ValueError(f"progress is {progress}; it must be between 0 and 1.")
    return progress


def _check_range(initial: float, target: float) -> None:
    if not (0 <= initial <= 1 and 0 <= target <= 1):
        raise ValueError(f"initial is {initial} and target is {target}; both must be between 0 and 1.")
    if target < initial:
        raise ValueError(f"The target {target} is below the initial sparsity {initial}; a schedule never falls.")
