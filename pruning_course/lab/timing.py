"""How long calls take, side by side."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from time import perf_counter
from timeit import Timer

import torch

UNCOUNTED, COUNTED = 2, 3  # calls in a turn


def milliseconds(
    calls: Mapping[str, Callable[[], object]], rounds: int = 9, threads: int = 1
) -> dict[str, list[float]]:
    """Milliseconds of each of `calls`, one number a round.

    They take turns, so that a busy moment of the machine hits all of them: compare medians, or the smallest numbers.
    Each turn is the mean of three calls on `threads` threads, after two that are not counted. No gradients.
    """
    timers = {name: Timer(call, timer=_now) for name, call in calls.items()}
    found = {name: [] for name in timers}
    with torch.no_grad(), _threads(threads):
        for _ in range(rounds):
            for name, timer in timers.items():
                timer.timeit(UNCOUNTED)
                found[name].append(1000 * timer.timeit(COUNTED) / COUNTED)
    return found


# torch.utils.benchmark does the same, but importing it loads torch's compiler for extensions. A CUDA build of torch
# then warns on stderr where there is no GPU, and no notebook with a warning passes its comparison.


def _now() -> float:
    """Seconds, after the GPU has finished what it was given: a call on a GPU returns before its work is done."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return perf_counter()


@contextmanager
def _threads(number: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
