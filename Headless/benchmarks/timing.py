"""How long something takes: the median over repeats, and what the computer is."""

import os
import platform
import statistics
import time
from typing import Callable, Dict


def median_seconds(action: Callable[[], object], repeats: int, warm_up: int = 2) -> Dict[str, float]:
    """Median, fastest and slowest of some calls, in seconds; the first ones are not counted."""
    times = []
    for number in range(warm_up + repeats):
        start = time.perf_counter()
        action()
        if number >= warm_up:
            times.append(time.perf_counter() - start)
    return {"median_s": statistics.median(times), "fastest_s": min(times), "slowest_s": max(times)}


def machine() -> Dict[str, object]:
    """What the figures depend on."""
    import numpy

    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "numpy": numpy.__version__,
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
