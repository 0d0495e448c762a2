"""Compare how long calls take."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from time import perf_counter
from timeit import Timer

import torch

UNCOUNTED, COUNTED = 2, 3  # calls in each turn


def milliseconds(
    calls: Mapping[str, Callable[[], object]], rounds: int = 9, threads: int = 1
) -> dict[str, list[float]]:
    """Measure the milliseconds that each of `calls` takes: one number for each of `rounds`.

    The calls take turns, so that a busy moment of the machine hits all of them: compare medians, or the smallest
    numbers. A number is the mean of three calls on `threads` threads, without gradients, after two uncounted calls.
    """
    timers = {name: Timer(call, timer=_now) for name, call in calls.items()}
    times: dict[str, list[float]] = {name: [] for name in timers}
    with torch.no_grad(), _threads(threads):
        for _ in range(rounds):
            for name, timer in timers.items():
                timer.timeit(UNCOUNTED)
                times[name].append(1000 * timer.timeit(COUNTED) / COUNTED)
    return times


# torch.utils.benchmark does the same, but importing it loads torch's compiler for extensions. On a machine without a
# GPU, a CUDA build of torch then warns on stderr, and a notebook with a warning fails its comparison.


def _now() -> float:
    """The time in seconds, once the GPU has finished: a call on a GPU returns before its work is done."""
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
