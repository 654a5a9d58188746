"""Decides how a process's peak memory is read: its own, not what it inherited at its start."""

import resource
import sys
from pathlib import Path


def peak_megabytes(process: int | str = "self") -> float:
    """Return the most memory a process held so far, in MB; 0 for one that is gone.

    `ru_maxrss` also counts the parent as it was when it forked, so Linux is asked for the process's
    own mark.
    """
    try:
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    if process != "self" or sys.platform.startswith("linux"):
        return 0.0
    # macOS counts bytes.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)
