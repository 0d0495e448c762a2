"""Start programs, and end them together with everything that they have started in turn."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import psutil

PATIENCE = 300  # seconds; a Python that imports torch takes many on a busy machine


def run(command: Sequence[object], timeout: float = PATIENCE, check: bool = False, **options: Any):
    """`subprocess.run` with the output as text, whose timeout ends the children of the program, too."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with started(command, **pipes | options) as process:
        stdout, stderr = process.communicate(timeout=timeout)
    assert not (check and process.returncode), stderr
    return subprocess.CompletedProcess(command, process.returncode, stdout, stderr)


def run_python(*arguments: object, **options: Any):
    """`run` this Python with `arguments`."""
    return run([sys.executable, *arguments], **options)


@contextmanager
def started(command: Sequence[object], **options: Any) -> Iterator[subprocess.Popen]:
    """A running program, which is killed at the end of the block if it has not ended by itself."""
    with subprocess.Popen([str(word) for word in command], start_new_session=True, **options) as process:
        try:
            yield process
        finally:
            if process.returncode is None:  # so nobody has waited for it, and its number is still its own
                _kill(process)


def _kill(process: subprocess.Popen) -> None:
    """Kill the group of a process and all its descendants: the workers of torchrun have groups of their own."""
    with suppress(psutil.NoSuchProcess):
        for child in psutil.Process(process.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                child.kill()
    if os.name == "nt":
        process.kill()
    else:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
