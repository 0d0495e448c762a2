"""How long calls take, side by side."""

from collections.abc import Callable, Mapping

import torch
from torch.utils.benchmark import Timer


def milliseconds(
    calls: Mapping[str, Callable[[], object]], rounds: int = 9, threads: int = 1
) -> dict[str, list[float]]:
    """Milliseconds of each of `calls`, one number a round.

    They take turns, so that a busy moment of the machine hits all of them: compare medians, or the smallest numbers.
    Each turn is the mean of three calls on `threads` threads, after two that are not counted. No gradients.
    """
    timers = {name: Timer("call()", globals={"call": call}, num_threads=threads) for name, call in calls.items()}
    found = {name: [] for name in timers}
    with torch.no_grad():
        for _ in range(rounds):
            for name, timer in timers.items():
                found[name].append(1000 * timer.timeit(3).mean)
    return found
