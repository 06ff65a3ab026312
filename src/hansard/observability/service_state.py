"""The service as its database has it: circuits, queue, alerts, deliveries. The same on every machine.

The database is asked when somebody wants metrics, at most every few seconds, and nobody waits long for it.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Lock, Thread
from typing import Generic, TypeVar

from loguru import logger
from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from hansard.application.backlog import Backlog
from hansard.application.ports.webhooks import Outstanding
from hansard.domain.alert import Alert, RuleName
from hansard.domain.circuit import Circuit, CircuitState

T = TypeVar("T")

FRESH_SECONDS = 5.0
"""How old an answer of the database may be, so that many who ask cost no more than one."""

PATIENCE_SECONDS = 2.0
"""How long the database may keep somebody waiting who asks for metrics: Prometheus gives up after ten by default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceState:
    """`database_bytes` has the size of each database that can be reached, by name."""

    circuits: tuple[Circuit, ...]
    backlog: Backlog
    alerts: tuple[Alert, ...]
    outstanding: Outstanding
    database_bytes: Mapping[str, int]


class StateCollector(Collector):
    """What `read` gives, now or some seconds ago. What it raises is logged, and the page lacks what it would tell."""

    def __init__(self, read: Callable[[], ServiceState], clock: Callable[[], float] = time.monotonic) -> None:
        self._read_lately = _Lately(read, clock)

    def collect(self) -> Iterable[Metric]:
        state = self._read_lately()
        yield GaugeMetricFamily(
            "hansard_database_up",
            "Whether the database answers; where not, what is in it is not told.",
            state is not None,
        )
        if state is not None:
            yield from _circuit_metrics(state.circuits)
            yield from _queue_metrics(state.backlog)
            yield _alerts(state.alerts)
            yield from _webhook_metrics(state.outstanding)
            yield _sizes(state.database_bytes)


def _circuit_metrics(circuits: Iterable[Circuit]) -> Iterable[Metric]:
    state = GaugeMetricFamily(
        "hansard_engine_circuit_state", "1 for the state that an engine's circuit is in.", labels=["engine", "state"]
    )
    disabled = GaugeMetricFamily(
        "hansard_engine_disabled", "Whether an operator took an engine out of use.", labels=["engine"]
    )
    for circuit in circuits:
        for possible in CircuitState:
            state.add_metric([circuit.engine, possible], circuit.state is possible)
        disabled.add_metric([circuit.engine], circuit.disabled)
    return state, disabled


def _queue_metrics(backlog: Backlog) -> Iterable[Metric]:
    yield GaugeMetricFamily("hansard_queue_waiting_jobs", "Transcriptions that wait for a worker.", backlog.jobs)
    yield GaugeMetricFamily("hansard_queue_running_jobs", "Transcriptions that a worker is at.", backlog.running)
    yield GaugeMetricFamily(
        "hansard_queue_oldest_waiting_seconds",
        "How long the first of the waiting transcriptions has waited.",
        backlog.oldest_seconds,
    )
    yield GaugeMetricFamily(
        "hansard_queue_waiting_audio_seconds",
        "Length of the recordings whose transcriptions wait.",
        backlog.audio_seconds,
    )
    yield GaugeMetricFamily(
        "hansard_queue_backlog_seconds",
        "How long the workers need for all that waits, going by how fast they were of late.",
        backlog.seconds,
    )
    yield GaugeMetricFamily("hansard_workers", "Workers that are alive, on all machines.", backlog.workers)


def _alerts(alerts: Iterable[Alert]) -> Metric:
    """Each rule from the beginning: a series that appears only when it fires has not risen."""
    firing = GaugeMetricFamily(
        "hansard_alerts_firing", "Alerts that fire now; a rule may have one for each machine.", labels=["rule"]
    )
    rules = Counter[str](alert.rule_name for alert in alerts if alert.is_firing)
    for rule in RuleName:
        firing.add_metric([rule], rules[rule])
    return firing


def _webhook_metrics(outstanding: Outstanding) -> Iterable[Metric]:
    yield GaugeMetricFamily(
        "hansard_webhook_deliveries_pending", "Deliveries to webhooks that are due or will be.", outstanding.pending
    )
    yield GaugeMetricFamily(
        "hansard_webhook_lag_seconds",
        "How long the delivery that should have been sent first has been due.",
        outstanding.overdue_seconds,
    )


def _sizes(database_bytes: Mapping[str, int]) -> Metric:
    sizes = GaugeMetricFamily("hansard_database_size_bytes", "Size of a database on its disk.", labels=["database"])
    for name, size_bytes in database_bytes.items():
        sizes.add_metric([name], size_bytes)
    return sizes


class _Lately(Generic[T]):
    """An answer that may be `FRESH_SECONDS` old, of somebody who may not answer at all.

    `ask` is called in a thread of its own, once at a time; nobody waits for it longer than `PATIENCE_SECONDS`.
    """

    def __init__(self, ask: Callable[[], T], clock: Callable[[], float]) -> None:
        self._ask, self._clock = ask, clock
        self._lock = Lock()
        self._answer: Future[T] | None = None
        self._asked_at = 0.0

    def __call__(self) -> T | None:
        """None when there is no answer; the log has the reason."""
        try:
            return self._latest().result(PATIENCE_SECONDS)
        except Exception as error:  # noqa: BLE001 - whatever it is, the rest can be told
            reason = str(error) or type(error).__name__
            logger.warning("The metrics lack what the database would have to tell: {}", reason)
            return None

    def _latest(self) -> Future[T]:
        with self._lock:
            now = self._clock()
            is_old = now - self._asked_at >= FRESH_SECONDS
            if self._answer is None or (self._answer.done() and is_old):
                self._answer, self._asked_at = Future(), now
                Thread(target=_answer, args=(self._ask, self._answer), name="metrics", daemon=True).start()
            return self._answer


def _answer(ask: Callable[[], T], answer: "Future[T]") -> None:
    try:
        answer.set_result(ask())
    except Exception as error:  # noqa: BLE001 - it is raised again, where somebody waits for it
        answer.set_exception(error)
