"""A test that gives up leaves no process behind."""

import subprocess
import sys
import time

import psutil
import pytest
from helpers.processes import run_python, started

PARENT = """
import subprocess, sys, time
sleep = [sys.executable, "-c", "import time; time.sleep(100)"]
print(*(subprocess.Popen(sleep, start_new_session=alone).pid for alone in (False, True)), flush=True)
time.sleep(100)
"""


def has_ended(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE  # nobody may be there to ask how an orphan ended
    except psutil.NoSuchProcess:
        return True


def test_a_timeout_ends_the_children_too():
    found = []
    with (
        pytest.raises(subprocess.TimeoutExpired),
        started([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as process,
    ):
        found += [psutil.Process(int(pid)) for pid in [process.pid, *process.stdout.readline().split()]]
        assert len(found) == 3 and not any(map(has_ended, found))
        process.communicate(timeout=0.01)
    for _ in range(200):
        if all(map(has_ended, found)):
            return
        time.sleep(0.1)
    raise AssertionError(found)


def test_what_a_program_writes_and_returns():
    done = run_python("-c", "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)")
    assert (done.returncode, done.stdout, done.stderr) == (3, "out\n", "err\n")
    with pytest.raises(AssertionError, match="no such name"):
        run_python("-c", "raise SystemExit('no such name')", check=True)
    with pytest.raises(subprocess.TimeoutExpired):
        run_python("-c", "import time; time.sleep(100)", timeout=0.01)
