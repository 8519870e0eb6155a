"""How long something takes and how much memory: medians over rounds, and what the computer is."""

import gc
import importlib.metadata
import os
import platform
import statistics
import time
from typing import Callable, Dict, Optional

MEGABYTE = 1e6


def interleaved(
    actions: Dict[str, Callable[[], object]], repeats: int, warm_up: int = 1
) -> Dict[str, Dict[str, float]]:
    """Median, fastest and slowest of some calls of each action, in seconds.

    Every round runs every action once, so that a computer whose speed wobbles treats all alike.

    :param actions: what returns a float has measured itself, in seconds; else the time of the call counts.
    :param warm_up: rounds before, which are not counted.
    """
    times = {name: [] for name in actions}
    for number in range(warm_up + repeats):
        for name, action in actions.items():
            start = time.perf_counter()
            own = action()
            seconds = own if isinstance(own, float) else time.perf_counter() - start
            if number >= warm_up:
                times[name].append(seconds)
    return {name: summary(values) for name, values in times.items()}


def summary(seconds) -> Dict[str, float]:
    """Median, fastest and slowest of some times, and their number."""
    return {
        "median_s": statistics.median(seconds),
        "fastest_s": min(seconds),
        "slowest_s": max(seconds),
        "repeats": len(seconds),
    }


def resident_mb() -> Optional[float]:
    """Memory in use by this process; from here on :func:`peak_resident_mb` counts. None but on Linux."""
    gc.collect()
    try:
        with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
            file.write("5")
    except OSError:
        return None
    return _status_mb("VmRSS")


def peak_resident_mb() -> Optional[float]:
    """The most memory in use since :func:`resident_mb`; None but on Linux."""
    return _status_mb("VmHWM")


def _status_mb(key: str) -> Optional[float]:
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as file:
            lines = [line for line in file if line.startswith(key + ":")]
        return int(lines[0].split()[1]) * 1024 / MEGABYTE
    except (OSError, IndexError, ValueError):
        return None


def machine() -> Dict[str, object]:
    """What the figures depend on."""
    return {
        "processor": processor(),
        "cores": usable_cores(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "numpy": importlib.metadata.version("numpy"),
        "torch": importlib.metadata.version("torch"),
    }


def usable_cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def processor() -> str:
    """What the computer calls its processor."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
