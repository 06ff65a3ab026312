"""What operators look at and are told by: metrics, health, timing, webhooks, alerts, what is kept how long."""

import random
import re
import shutil
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from itertools import chain
from typing import cast

import sqlalchemy
from prometheus_client import CollectorRegistry
from sqlalchemy.pool import QueuePool

from hansard import __version__
from hansard.analytics.database import AnalyticsDatabase
from hansard.analytics.performance import SqlPerformanceRecords
from hansard.analytics.projection import Projection
from hansard.application.alert_rules import Look, default_rules
from hansard.application.alerts import Alerts
from hansard.application.backlog import measure_backlog
from hansard.application.deliver import Deliver, Sent
from hansard.application.health import HealthMonitor
from hansard.application.health_checks import HealthChecks
from hansard.application.live_sessions import LiveSessions
from hansard.application.performance import (
    OldPerformance,
    PerformanceRecorder,
)
from hansard.application.ports.engines import SpeechEngine
from hansard.application.ports.notifications import Notifier
from hansard.application.ports.records import UnitOfWork
from hansard.application.ports.storage import AudioStore
from hansard.application.ports.work import PipelineRunner
from hansard.application.receive import Receive
from hansard.application.retention import (
    Holding,
    Kept,
    OldCheckpoints,
    OldDeliveries,
    OldEvents,
    OldPipelineRuns,
    Prune,
)
from hansard.application.webhooks import Webhooks
from hansard.bootstrap import foundations
from hansard.bootstrap.foundations import now
from hansard.domain.alert import Rule
from hansard.domain.audio import DEFAULT_OWNER
from hansard.domain.costs import Price, Prices
from hansard.engines.openai_models import OPENAI_PRICES
from hansard.observability import shared_metrics, tracing
from hansard.observability.alerts import log_unmeasured
from hansard.observability.build import UNKNOWN, revision
from hansard.observability.event_counters import Counters
from hansard.observability.health import log_health
from hansard.observability.metrics import MachineCollector, MetricsPage
from hansard.observability.performance import log_recording
from hansard.observability.process_gauges import Holdings
from hansard.observability.resources import ResourceSampler, this_process
from hansard.observability.service_state import ServiceState, StateCollector
from hansard.observability.webhooks import log_sent
from hansard.persistence import database, embedded
from hansard.remote.apprise_notifier import AppriseNotifier
from hansard.remote.webhooks import HttpWebhookSender, make_secret
from hansard.settings import Settings

PRUNE_SECONDS_EACH = 60.0
WORKERS_AWAITED = timedelta(seconds=30)
"""After the start of the API. They need up to ten seconds, on a busy machine more."""


def metrics(
    settings: Settings,
    registry: CollectorRegistry,
    engine: sqlalchemy.Engine,
    unit_of_work: Callable[[], UnitOfWork],
    engines: Sequence[str],
    receive: Receive,
) -> MetricsPage:
    def read() -> ServiceState:
        with unit_of_work() as uow:
            return ServiceState(
                circuits=tuple(uow.circuits.get(name) for name in engines),
                backlog=measure_backlog(uow, DEFAULT_OWNER),
                alerts=uow.alerts.all(),
                outstanding=uow.deliveries.outstanding(now()),
                database_bytes=database.sizes_bytes(engine),
            )

    def disk() -> tuple[int, int]:
        usage = shutil.disk_usage(settings.data_dir)
        return usage.total, usage.free

    return MetricsPage(
        shared_metrics.collector(registry),
        MachineCollector(disk, lambda: len(receive.uploads.ids())),
        StateCollector(read),
    )


def holdings(engine: sqlalchemy.Engine, engines: Mapping[str, SpeechEngine], live: LiveSessions) -> Holdings:
    pool, load = cast("QueuePool", engine.pool), live.load()
    return Holdings(
        connections_in_use=pool.checkedout(),
        connections_idle=pool.checkedin(),
        models={name: len(engine.models_in_memory) for name, engine in engines.items()},
        live_sessions=load.sessions,
        live_backlog_seconds=load.backlog_seconds,
        live_audio_seconds=load.heard_seconds,
    )


def health(
    settings: Settings,
    engine: sqlalchemy.Engine,
    unit_of_work: Callable[[], UnitOfWork],
    store: AudioStore,
    engines: Mapping[str, SpeechEngine],
) -> HealthMonitor:
    checks = HealthChecks(
        unit_of_work=unit_of_work,
        ping=partial(database.ping, engine),
        pending_migrations=lambda: foundations.pending_migrations(engine),
        store=store,
        free_disk_bytes=partial(foundations.free_disk_bytes, settings),
        scarce_disk_bytes=settings.scarce_disk_bytes,
        engines=engines,
        chain=settings.engine_chain,
        workers_awaited_until=now() + WORKERS_AWAITED,
        clock=now,
    )
    return HealthMonitor(checks.checks(), now, log_health)


def performance_recorder(settings: Settings, analytics: AnalyticsDatabase, process: str) -> PerformanceRecorder:
    host = socket.gethostname()
    samplers = [ResourceSampler(process, this_process, host=host)]
    if settings.database_url is None and process == "api":  # one of the processes of a machine
        find = partial(embedded.server_process, settings.data_dir)
        samplers.append(ResourceSampler("postgres", find, host=host, shares_memory=True))
    return PerformanceRecorder(
        process=process.partition(".")[0],  # worker.1 and worker.2 do the same
        version=__version__ if revision() == UNKNOWN else f"{__version__}+{revision()[:7]}",
        records=SqlPerformanceRecords(analytics),
        is_timing=settings.timing,
        sample=lambda now: chain.from_iterable(sampler(now) for sampler in samplers),
        observe=log_recording,
        clock=now,
    )


def prices(settings: Settings) -> Prices:
    is_openai_itself = settings.openai_base_url is None and settings.currency == "USD"
    given = {name: Price(**price.model_dump()) for name, price in settings.prices.items()}
    return Prices(of={**(OPENAI_PRICES if is_openai_itself else {}), **given}, currency=settings.currency)


def webhooks(
    settings: Settings, unit_of_work: Callable[[], UnitOfWork], counters: Counters
) -> tuple[Webhooks, Deliver]:
    def observe(sent: Sent) -> None:
        log_sent(sent)
        tracing.trace_sent(sent)
        counters.count_sent(sent)

    sender = HttpWebhookSender(timeout_seconds=settings.webhooks_timeout_seconds, allowed=settings.webhooks_allowed)
    source = settings.public_url or "hansard"
    webhooks = Webhooks(unit_of_work=unit_of_work, sender=sender, make_secret=make_secret, source=source, clock=now)
    deliver = Deliver(
        unit_of_work=unit_of_work,
        sender=sender,
        source=source,
        dead_after_seconds=settings.webhooks_dead_after_seconds,
        jitter=random.random,
        clock=now,
        observe=observe,
    )
    return webhooks, deliver


def alerts(settings: Settings, unit_of_work: Callable[[], UnitOfWork]) -> Alerts:
    def tuned(rule: Rule) -> Rule:
        tuning = settings.alerts.get(rule.name)
        return replace(rule, **tuning.model_dump(exclude_none=True, exclude={"enabled"})) if tuning else rule

    rules = default_rules(scarce_disk_bytes=settings.scarce_disk_bytes)
    look = partial(
        Look,
        unit_of_work=unit_of_work,
        free_disk_bytes=partial(foundations.free_disk_bytes, settings),
        chain=settings.engine_chain,
        window_seconds=settings.alert_window_seconds,
        least_jobs=settings.alert_least_jobs,
        low_coverage=settings.alert_low_coverage,
        clock=now,
    )
    return Alerts(
        rules=[tuned(rule) for rule in rules if rule.name not in settings.alerts or settings.alerts[rule.name].enabled],
        look=look,
        machine=socket.gethostname(),
        unit_of_work=unit_of_work,
        tell_trouble=log_unmeasured,
        clock=now,
    )


def notifier(settings: Settings) -> Notifier:
    urls = settings.notify_urls.get_secret_value() if settings.notify_urls else ""
    # A comma may stand within a URL, so it ends one only where another begins.
    return AppriseNotifier(url for url in re.split(r"[\s,]+(?=[a-z][a-z0-9+.-]*://)|\s+", urls.strip(" ,")) if url)


def prune(
    settings: Settings,
    unit_of_work: Callable[[], UnitOfWork],
    runner: PipelineRunner,
    projection: Projection,
    analytics: AnalyticsDatabase,
) -> Prune:
    deliveries = OldDeliveries(unit_of_work=unit_of_work)
    unread = (deliveries.first_unread, lambda: projection.state().position + 1)

    def kept(name: str, days: float, holding: Holding) -> Kept:
        return Kept(name=name, keep_for=timedelta(days=days) if days else None, holding=holding)

    return Prune(
        kept=(
            kept(
                "events",
                settings.events_keep_days,
                OldEvents(unit_of_work=unit_of_work, unread=unread, clock=now),
            ),
            kept("webhook deliveries", settings.webhook_deliveries_keep_days, deliveries),
            kept("checkpoints", settings.checkpoints_keep_days, OldCheckpoints(unit_of_work=unit_of_work)),
            kept(
                "performance", settings.performance_keep_days, OldPerformance(records=SqlPerformanceRecords(analytics))
            ),
            kept(
                "pipeline runs",
                settings.pipeline_runs_keep_days,
                OldPipelineRuns(unit_of_work=unit_of_work, runner=runner),
            ),
        ),
        seconds_each=PRUNE_SECONDS_EACH,
        clock=now,
    )
