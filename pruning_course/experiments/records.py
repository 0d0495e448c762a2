"""What every result says about its run, whatever the run measured: settings, seconds, versions and machine."""

import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from pruning_course.experiments.settings import Settings

PACKAGES = ("pruning-course", "torch", "transformers", "numpy", "scikit-learn")


class Stopwatch:
    """Measures the seconds that each step takes, by its name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Measure the time of a `with` block as that of the step `name`."""
        start = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - start, 2)


def failed(settings: Settings, error: Exception, seconds: float) -> dict[str, Any]:
    """Return the result of a run that ended with `error` after `seconds`."""
    line = " ".join(f"{type(error).__name__}: {error}".split())
    outcome = {"error": line, "seconds": {"total": round(seconds, 2)}}
    return {"status": "failed", **identity(settings), **outcome, **environment()}


def identity(settings: Settings) -> dict[str, Any]:
    """Return the settings of a run, and its seed once more."""
    return {"settings": asdict(settings), "seed": settings.seed}


def describe_processor() -> str:
    """Return the name of the processor, and whether it multiplies bfloat16 by itself."""
    fits = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return f"{_name_processor()}, {'with' if fits else 'without'} bfloat16 products"


def _name_processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def environment() -> dict[str, Any]:
    """Return the versions of Python and the main packages, and the machine."""
    return {
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
        "machine": {
            "system": platform.system(),
            "processor": platform.machine(),
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "device": str(Accelerator().device),
        },
    }
