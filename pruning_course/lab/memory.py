"""The memory of this process."""

import re
import sys
from pathlib import Path


def peak_mebibytes() -> float:
    """The most memory that this process has held so far, in MiB.

    On Linux its own high-water mark: what getrusage calls ru_maxrss is handed down through fork and exec, so that a
    small child of a large parent would report its parent's.
    """
    if sys.platform == "linux":
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        return int(re.search(r"^VmHWM:\s+(\d+) kB", status, re.M)[1]) / 2**10
    if sys.platform == "win32":
        import psutil

        return psutil.Process().memory_info().peak_wset / 2**20
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # macOS counts bytes
