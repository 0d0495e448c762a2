"""Schedules and rounds (notebooks 03 and 04)."""
# mypy: allow-untyped-defs

import math


def slow_fast_slow(p):
    """The share of the rise that is done at progress p: slow at first, fast in the middle, slow at the end."""
    return p * p * (3 - 2 * p)


def fast_then_slow(p):
    """An exponential schedule with rate 5, from 0 at p = 0 to exactly 1 at p = 1."""
    return (1 - math.exp(-5 * p)) / (1 - math.exp(-5))


def cubic_sparsity(step, start, end, target):
    """The sparsity after `step` steps of a cubic schedule: 0 before `start`, `target` from `end` on."""
    if step >= end:
        return target
    if step < start:
        return 0.0
    progress = (step - start) / (end - start)
    return target * (1 - (1 - progress) ** 3)


def pruning_steps(start, end, frequency):
    """The steps that prune: from `start` on every multiple of `frequency`, and always `end`, the last one."""
    return [step for step in range(start, end) if step % frequency == 0] + [end]


def forty_to_sixty():
    """The share of the REMAINING weights that must go to raise a sparsity of 40% to 60%."""
    return (0.6 - 0.4) / (1 - 0.4)


def fraction_to_remove(current, target):
    """The share of the remaining weights that must go; ValueError for a target below `current`."""
    if target < current:
        raise ValueError(f"The target {target} is below the current sparsity {current}.")
    return 0.0 if target == current else (target - current) / (1 - current)


def sparsity_after(amounts):
    """The sparsity after rounds that each remove a share `amount` of what is left."""
    return 1 - math.prod(1 - amount for amount in amounts)
