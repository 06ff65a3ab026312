"""What `GET /metrics` tells, for Prometheus: `docs/metrics.md` lists it.

Counts are fed in every process by events, requests and engines, and told for all processes of the machine together (see
`shared_metrics`). What is the same for all processes and machines is read from the database when somebody asks.
"""

import platform
from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily
from prometheus_client.registry import Collector

from hansard import __version__
from hansard.observability.build import revision
from hansard.timing.decorators import time_it


class MetricsPage:
    """All that the `collectors` tell, beside what is running, as text."""

    def __init__(self, *collectors: Collector) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Build())
        for collector in collectors:
            self._registry.register(collector)

    @time_it
    def render(self) -> bytes:
        """In Prometheus' text format, version 0.0.4. Never fails because the database does."""
        return generate_latest(self._registry)


class _Build(Collector):
    def collect(self) -> Iterable[Metric]:
        build = {"version": __version__, "python": platform.python_version(), "revision": revision()}
        yield InfoMetricFamily("hansard_build", "What runs here: the version, its commit, and Python's version.", build)


class MachineCollector(Collector):
    """What this machine's data directory has. `disk` gives its size and what is free, in bytes."""

    def __init__(self, disk: Callable[[], tuple[int, int]], uploads: Callable[[], int]) -> None:
        self._disk, self._uploads = disk, uploads

    def collect(self) -> Iterable[Metric]:
        size_bytes, free_bytes = self._disk()
        yield GaugeMetricFamily("hansard_disk_size_bytes", "Size of the disk of the data directory.", size_bytes)
        yield GaugeMetricFamily(
            "hansard_disk_free_bytes", "What is free on the disk of the data directory.", free_bytes
        )
        yield GaugeMetricFamily(
            "hansard_resumable_uploads_open", "Resumable uploads that have begun and are not whole.", self._uploads()
        )
