import time

import torch

from pruning_course.lab import milliseconds


def test_calls_take_turns_without_gradients_on_the_threads_that_were_asked_for():
    threads, turns = torch.get_num_threads(), []

    def call(name, seconds):
        turns.append((name, torch.get_num_threads(), torch.is_grad_enabled()))
        time.sleep(seconds)

    found = milliseconds({"short": lambda: call("short", 0), "long": lambda: call("long", 0.01)}, rounds=2, threads=2)
    assert turns == 2 * (5 * [("short", 2, False)] + 5 * [("long", 2, False)])
    assert [len(values) for values in found.values()] == [2, 2]
    assert min(found["long"]) >= 10 and min(found["short"]) < 10
    assert torch.get_num_threads() == threads
