"""From what is known of the service's health to what anybody may read of it.

Left out on purpose: the message of an engine's failure and the detail of one that is unavailable, which may quote
a provider or a library, and an operator's reason to disable one.
"""

from hansard import __version__
from hansard.application import health_checks as found
from hansard.application.backlog import Backlog
from hansard.application.health import HealthReport, Part
from hansard.application.ports.engines import EngineState
from hansard.application.ports.work import WorkerState
from hansard.domain.circuit import Circuit
from hansard.domain.events import CanaryRecognised
from hansard.http.schemas.health import (
    DiskHealth,
    EngineCanary,
    EngineHealth,
    EngineTrouble,
    Health,
    HealthPart,
    HealthTrouble,
    PastHealthTrouble,
    QueueHealth,
    WorkerHealth,
)


def health_json(report: HealthReport) -> Health:
    engines = report.detail(found.Engines)
    workers = report.detail(found.Workers)
    queue = report.detail(Backlog)
    disk = report.detail(found.Disk)
    return Health(
        status=report.status,
        version=__version__,
        parts={part.name: _part_json(part) for part in report.parts},
        engines=None if engines is None else [_engine_json(engine) for engine in engines.items],
        workers=None if workers is None else [_worker_json(worker) for worker in workers.items],
        queue=None if queue is None else _queue_json(queue),
        disk=None if disk is None else DiskHealth(free_bytes=disk.free_bytes, scarce_bytes=disk.scarce_bytes),
    )


def _part_json(part: Part) -> HealthPart:
    trouble, past = part.trouble, part.last_error
    return HealthPart(
        status=part.status,
        decides_readiness=part.decides_readiness,
        trouble=trouble and HealthTrouble(code=trouble.code, message=trouble.message, help=trouble.help),
        latency_seconds=part.latency_seconds,
        checked_at=part.checked_at,
        last_error=past and PastHealthTrouble(code=past.code, message=past.message, at=past.at),
    )


def _engine_json(engine: found.EngineHealth) -> EngineHealth:
    is_unavailable = engine.status.state is EngineState.UNAVAILABLE
    return EngineHealth(
        name=engine.name,
        chain_position=engine.chain_position,
        state=engine.status.state,
        usable=engine.usable,
        detail=None if is_unavailable else engine.status.detail,
        help=engine.status.help,
        circuit=engine.circuit.state,
        failures=engine.circuit.failures,
        retry_at=engine.circuit.retry_at,
        disabled=engine.circuit.disabled,
        loaded_by=list(engine.loaded_by),
        last_success_at=engine.circuit.last_success_at,
        last_error=_engine_trouble_json(engine.circuit),
        canary=engine.canary and _canary_json(engine.canary),
    )


def _engine_trouble_json(circuit: Circuit) -> EngineTrouble | None:
    failure = circuit.last_failure
    return failure and EngineTrouble(
        code=failure.code,
        category=failure.category,
        provider_status=failure.provider_status,
        at=circuit.last_failure_at,
    )


def _canary_json(canary: CanaryRecognised) -> EngineCanary:
    return EngineCanary(
        passed=canary.passed,
        word_accuracy=canary.word_accuracy,
        processing_seconds=canary.processing_seconds,
        error_code=canary.failure and canary.failure.code,
        at=canary.occurred_at,
    )


def _worker_json(worker: WorkerState) -> WorkerHealth:
    return WorkerHealth(
        name=worker.name,
        host=worker.host,
        pid=worker.pid,
        started_at=worker.started_at,
        seen_at=worker.seen_at,
        transcription_id=worker.transcription_id,
        models=list(worker.models),
    )


def _queue_json(backlog: Backlog) -> QueueHealth:
    return QueueHealth(
        waiting=backlog.jobs,
        running=backlog.running,
        oldest_seconds=backlog.oldest_seconds,
        audio_seconds=backlog.audio_seconds,
        backlog_seconds=backlog.seconds,
    )
