import os
import time

import pytest
import torch
from helpers.processes import run_python

from pruning_course.lab import milliseconds

# What torch.utils.cpp_extension sees in a CUDA build of torch on a machine without a GPU.
CUDA_BUILD_WITHOUT_GPU = """\
import sys
import torch
import torch.utils.flop_counter  # before torch.version.cuda is set: it would miss triton, which CUDA builds have
torch.cuda._is_compiled = lambda: sys._getframe(1).f_globals["__name__"] == "torch.utils.cpp_extension"
torch.cuda.is_available = lambda: False
torch.version.cuda = "12.6"
"""


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


def test_the_threads_are_given_back_when_a_call_fails():
    threads = torch.get_num_threads()
    with pytest.raises(ZeroDivisionError):
        milliseconds({"broken": lambda: 1 / 0}, threads=threads + 1)
    assert torch.get_num_threads() == threads


def test_a_gpu_has_finished_before_the_clock_is_read(monkeypatch):
    events = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: events.append("wait"))
    milliseconds({"": lambda: events.append("call")}, rounds=1)
    assert events == ["wait", "call", "call", "wait", "wait", "call", "call", "call", "wait"]


def test_timing_and_the_experiments_are_silent_where_a_cuda_build_finds_no_gpu():
    ours = "import pruning_course.lab.timing, pruning_course.experiments.run\n"
    loud = "print('loud:', file=sys.stderr)\nimport torch.utils.cpp_extension\n"  # what must not happen before
    environment = os.environ | {"CUDA_HOME": "/usr/local/cuda"}
    done = run_python("-c", CUDA_BUILD_WITHOUT_GPU + ours + loud, env=environment, check=True)
    before, _, after = done.stderr.partition("loud:\n")
    assert before == "" and "No CUDA runtime is found" in after
