"""What workers do again and again beside their jobs."""

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from importlib.resources import files

from hansard.analytics.database import AnalyticsDatabase
from hansard.analytics.performance import SqlPerformanceRecords
from hansard.analytics.projection import Projection
from hansard.application.alerts import Alerts
from hansard.application.canary import Canary
from hansard.application.deliver import Deliver
from hansard.application.performance import (
    ROLL_UP_SECONDS,
    TidyPerformance,
)
from hansard.application.ports.engines import SpeechEngine
from hansard.application.ports.records import UnitOfWork
from hansard.application.ports.storage import PreparedAudio
from hansard.application.ports.work import Chore
from hansard.application.receive import Receive
from hansard.application.reconcile import Reconcile
from hansard.application.retention import (
    Prune,
)
from hansard.application.verify_audit import VerifyAudit
from hansard.audio.decoder import PyAvDecoder
from hansard.bootstrap.foundations import now
from hansard.observability.alerts import log_pruned
from hansard.observability.analytics import quiet_while_away
from hansard.observability.audit import log_audit
from hansard.observability.events import log_mended, log_swept
from hansard.observability.webhooks import log_recovered
from hansard.queue.notifications import NotifyWithoutWorkers
from hansard.settings import Settings

RECONCILE_SECONDS = 60.0
RECOVER_WEBHOOKS_SECONDS = 60.0
NOTIFY_SECONDS = 15.0
PROJECT_SECONDS = 15.0
SWEEP_UPLOADS_SECONDS = 300.0
VERIFY_AUDIT_SECONDS = 24 * 3600.0
CANARY_PATIENCE_SECONDS = 60.0
"""Two seconds of speech take less than that even where a model has to be loaded first."""


def upkeep(
    settings: Settings,
    unit_of_work: Callable[[], UnitOfWork],
    prepared: PreparedAudio,
    engines: Mapping[str, SpeechEngine],
    receive: Receive,
    verify_audit: VerifyAudit,
) -> Iterator[Chore]:
    reconcile = Reconcile(unit_of_work=unit_of_work, prepared=prepared, clock=now)
    yield Chore(
        name="reconcile",
        every_seconds=RECONCILE_SECONDS,
        run=lambda: log_mended(reconcile()),
        on_each_machine=True,
    )
    yield Chore(
        name="uploads",
        every_seconds=SWEEP_UPLOADS_SECONDS,
        run=lambda: log_swept(receive.sweep()),
        on_each_machine=True,
    )
    yield Chore(name="audit", every_seconds=VERIFY_AUDIT_SECONDS, run=lambda: log_audit(verify_audit()))
    if settings.canary_seconds:
        canary = Canary(
            unit_of_work=unit_of_work,
            engines=engines,
            chain=settings.engine_chain,
            decoder=PyAvDecoder(),
            clip=files("hansard.audio").joinpath("canary.mp3").read_bytes,
            patience_seconds=CANARY_PATIENCE_SECONDS,
            clock=now,
        )
        yield Chore(name="canary", every_seconds=settings.canary_seconds, run=canary)


def webhooks(deliver: Deliver) -> Chore:
    return Chore(name="webhooks", every_seconds=RECOVER_WEBHOOKS_SECONDS, run=lambda: log_recovered(deliver.recover()))


def analytics(settings: Settings, projection: Projection, database: AnalyticsDatabase) -> Iterator[Chore]:
    yield Chore(name="analytics", every_seconds=PROJECT_SECONDS, run=quiet_while_away(projection.catch_up))
    raw = timedelta(hours=settings.performance_raw_hours)
    tidy = TidyPerformance(records=SqlPerformanceRecords(database), raw=raw, clock=now)
    yield Chore(name="performance", every_seconds=ROLL_UP_SECONDS, run=quiet_while_away(tidy))


def operators(
    settings: Settings, alerts: Alerts, prune: Prune, notify_without_workers: NotifyWithoutWorkers
) -> Iterator[Chore]:
    every_seconds = settings.alert_seconds
    yield Chore(name="alerts", every_seconds=every_seconds, run=alerts.evaluate, needs_no_worker=True)
    yield Chore(
        name="alerts of a machine",
        every_seconds=every_seconds,
        run=alerts.evaluate_here,
        on_each_machine=True,
        needs_no_worker=True,
    )
    yield Chore(name="notify", every_seconds=NOTIFY_SECONDS, run=notify_without_workers, needs_no_worker=True)
    yield Chore(
        name="prune",
        every_seconds=settings.prune_seconds,
        run=lambda: log_pruned(prune()),
        on_each_machine=True,  # for ZenML's store, which each may have of its own
    )
