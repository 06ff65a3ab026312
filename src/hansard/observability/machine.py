"""What kind of machine this is, for those who compare times that were measured on several."""

import os
import platform
from hashlib import sha256
from pathlib import Path

import psutil

from hansard.domain.benchmark import Machine

GIBIBYTE = 1 << 30


def this_machine() -> Machine:
    """The `id` is of its kind, not of itself: machines that are rented alike have the same, and nobody's name is in it.

    `cores` are those that this process may use.
    """
    processor, cores = (
        _processor(),
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
    )
    memory_bytes = psutil.virtual_memory().total
    system = f"{platform.system()} {platform.machine()}"
    kind = f"{processor}|{cores}|{round(memory_bytes / GIBIBYTE)}|{system}"
    return Machine(
        id=sha256(kind.encode()).hexdigest()[:12],
        processor=processor,
        cores=cores or 1,
        memory_bytes=memory_bytes,
        system=system,
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:  # not Linux
        return platform.processor() or platform.machine()
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, "") or platform.machine()
