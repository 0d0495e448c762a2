"""How the sparsity rises while a model trains: pure functions.

A schedule is a function of progress: it takes the share of the way that is done, from 0 to 1, and gives the share of
the rise that is done, from 0 to 1. It never falls, f(0) = 0 and f(1) = 1 exactly.
"""

import math
from collections.abc import Callable

SCHEDULES = ("linear", "cubic", "exponential", "geometric")


def linear(progress: float) -> float:
    """f(p) = p: the same number of weights each time. ValueError for a progress outside [0, 1]."""
    return _checked(progress)


def cubic(progress: float) -> float:
    """f(p) = 1 - (1 - p)^3: fast first, then ever slower; 87.5% of the rise is done at half time.

    Zhu & Gupta 2017, arXiv 1710.01878. ValueError for a progress outside [0, 1].
    """
    left = 1 - _checked(progress)
    return 1 - left * left * left


def exponential(progress: float) -> float:
    """f(p) = (1 - exp(-5p)) / (1 - exp(-5)): faster still at first than `cubic`; 92.4% is done at half time.

    Without the divisor it would end at 0.9933. ValueError for a progress outside [0, 1].
    """
    return math.expm1(-5 * _checked(progress)) / math.expm1(-5)


def geometric(initial: float, target: float) -> Callable[[float], float]:
    """The schedule in which each time the same share of the SURVIVORS goes, as in the rounds of a lottery ticket.

    Its shape depends on the two sparsities: f(p) = (1 - r^p) / (1 - r) with r = (1 - target) / (1 - initial), the share
    of the survivors that is left at the end. With r = exp(-5), a target of 99.3%, it is `exponential`.
    ValueError unless 0 <= initial <= target < 1: by constant shares the last weight never goes.
    """
    _check_range(initial, target)
    if target == 1:
        raise ValueError("The target is 1; a geometric schedule takes a share of what is left and never gets there.")
    rate = math.log1p(-target) - math.log1p(-initial)  # log r
    return linear if rate == 0 else lambda progress: math.expm1(rate * _checked(progress)) / math.expm1(rate)


def sparsity_at(
    step: float,
    start: float,
    end: float,
    initial: float,
    target: float,
    schedule: str | Callable[[float], float] = "cubic",
) -> float:
    """The sparsity after `step` training steps: `initial` before `start`, exactly `target` from `end` on.

    Args:
        step, start, end: in steps. If `start` equals `end`, the sparsity jumps there.
        initial, target: shares of the weights, from 0 to 1.
        schedule: "linear", "cubic", "exponential", "geometric", or a function of progress.

    Raises ValueError for an end before the start, a target below `initial`, an unknown schedule, or a function that
    leaves [0, 1].
    """
    _check_range(initial, target)
    if not start <= end:
        raise ValueError(f"The schedule starts at step {start} and ends at step {end}; the end cannot be earlier.")
    rise = _function(schedule, initial, target)
    if step >= end:
        return target
    if step < start:
        return initial
    done = rise((step - start) / (end - start))
    if not 0 <= done <= 1:
        raise ValueError(f"The schedule gives {done} at step {step}; it must stay between 0 and 1.")
    return min(target, initial + (target - initial) * done)


def incremental_fraction(current: float, target: float) -> float:
    """The share of the weights that are LEFT which must go to raise the sparsity from `current` to `target`.

    (target - current) / (1 - current), both shares of the original count, from 0 to 1. This is what a relative
    `amount`, such as that of torch.nn.utils.prune, has to be. Raises ValueError for a share outside [0, 1] or a
    target below `current`: a mask only grows.
    """
    if not (0 <= current <= 1 and 0 <= target <= 1):
        raise ValueError(f"current is {current} and target is {target}; both are shares from 0 to 1.")
    if target < current:
        raise ValueError(f"The target {target} is below the current sparsity {current}; pruning only ever adds.")
    return 0.0 if target == current else (target - current) / (1 - current)


def _function(schedule: str | Callable[[float], float], initial: float, target: float) -> Callable[[float], float]:
    if callable(schedule):
        return schedule
    if schedule not in SCHEDULES:
        raise ValueError(f"schedule is {schedule!r}; it can be one of {', '.join(SCHEDULES)}, or a function.")
    if schedule == "geometric":
        return geometric(initial, target)
    return {"linear": linear, "cubic": cubic, "exponential": exponential}[schedule]


def _checked(progress: float) -> float:
    if not 0 <= progress <= 1:  # NaN too
        raise ValueError(f"progress is {progress}; it is the share of the way that is done, from 0 to 1.")
    return progress


def _check_range(initial: float, target: float) -> None:
    if not (0 <= initial <= 1 and 0 <= target <= 1):
        raise ValueError(f"initial is {initial} and target is {target}; both are shares from 0 to 1.")
    if target < initial:
        raise ValueError(f"The target {target} is below the initial sparsity {initial}; a schedule only rises.")
