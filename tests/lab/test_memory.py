from helpers.processes import run_python

from pruning_course.lab.memory import peak_mebibytes

CHILD = """
import sys
sys.modules["torch"] = None  # importing it would take a few hundred MiB
from pruning_course.lab.memory import peak_mebibytes
print(peak_mebibytes())
"""


def test_a_small_child_of_a_large_parent_reports_little():
    large = bytearray(600 * 2**20)
    large[:: 2**12] = b"x" * len(large[:: 2**12])  # a page is only held once something is written into it
    child = run_python("-c", CHILD, check=True)
    assert peak_mebibytes() > 600
    assert 5 < float(child.stdout) < 300


def test_the_peak_stays_when_the_memory_is_given_back():
    before = peak_mebibytes()
    large = bytearray(50 * 2**20)
    large[:: 2**12] = b"x" * len(large[:: 2**12])
    during = peak_mebibytes()
    del large
    assert before <= during <= peak_mebibytes()
