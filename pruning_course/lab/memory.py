"""The memory of this process."""

import re
import sys
from pathlib import Path


def peak_mebibytes() -> float:
    """The most memory that this process has held so far, in MiB.

    On Linux this is the high-water mark of the process itself. The ru_maxrss of getrusage is handed down through fork
    and exec, so a small child of a large parent would report the peak of its parent.
    """
    if sys.platform == "linux":
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        [kibibytes] = re.findall(r"^VmHWM:\s+(\d+) kB", status, re.M)
        return int(kibibytes) / 2**10
    if sys.platform == "win32":
        import psutil

        return psutil.Process().memory_info().peak_wset / 2**20
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # macOS counts bytes
