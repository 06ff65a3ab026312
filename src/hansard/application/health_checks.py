"""What is looked at, and when it is well: the parts of the service, each with its own idea of health."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from hansard.application.backlog import measure_backlog
from hansard.application.engine_chain import in_order, position
from hansard.application.health import Check, Finding, HealthStatus, Trouble
from hansard.application.ports.clock import Clock
from hansard.application.ports.engines import ANYTHING, EngineState, EngineStatus, SpeechEngine
from hansard.application.ports.records import UnitOfWork
from hansard.application.ports.storage import AudioStore
from hansard.application.ports.work import WorkerState
from hansard.domain.audio import DEFAULT_OWNER
from hansard.domain.circuit import Circuit, CircuitState
from hansard.domain.errors import EngineError
from hansard.domain.events import CanaryRecognised

DANGEROUS_PART = 0.1
"""With no more than this part of the scarce disk space left, PostgreSQL is in danger."""

_SEE_LOG = "The API's log says why."

DATABASE_AWAY = Trouble(
    code="database_unavailable",
    message="The database does not answer.",
    help="It is tried again by itself. If it stays away, look at the server's log, and at `hansard doctor`.",
)
MIGRATIONS_UNKNOWN = Trouble(
    code="migrations_unknown",
    message="Whether the database has the version that this Hansard needs could not be found out.",
    help="`hansard db status` says more.",
)
MIGRATIONS_PENDING = Trouble(
    code="migrations_pending",
    message="The database has not been brought to the version that this Hansard needs.",
    help="`hansard up` does it when it starts; now: hansard db upgrade",
)
STORAGE_AWAY = Trouble(
    code="storage_unavailable",
    message="Recordings cannot be stored.",
    help="The store may be away, full or closed to us: `hansard doctor` says which.",
)
ENGINES_UNKNOWN = Trouble(
    code="engines_unknown", message="Which engines can work could not be found out.", help=_SEE_LOG
)
NO_ENGINE = Trouble(
    code="no_engine",
    message="No engine that `auto` may use can work now.",
    help="`engines` in GET /health tells how each is; GET /engines tells what to do about it.",
)
ENGINE_PAUSED = Trouble(
    code="engine_paused",
    message="An engine that `auto` would use fails, and is left alone for now; others do its work.",
    help="`engines` in GET /health tells which, and why.",
)
WORKERS_UNKNOWN = Trouble(code="workers_unknown", message="The workers could not be counted.", help=_SEE_LOG)
WORKERS_AWAITED = Trouble(
    code="workers_awaited",
    message="No worker is alive yet.",
    help="They start beside the API, and take some seconds more than it does.",
)
NO_WORKER = Trouble(
    code="no_worker",
    message="No worker is alive: recordings are taken, and wait.",
    help="`hansard up` and `hansard worker` run workers; their log says why they ended.",
)
QUEUE_UNKNOWN = Trouble(code="queue_unknown", message="The queue could not be read.", help=_SEE_LOG)
DISK_UNKNOWN = Trouble(
    code="disk_unknown",
    message="The free space in the data directory could not be found out.",
    help="Is the disk of HANSARD_DATA_DIR still there?",
)
DISK_SCARCE = Trouble(
    code="disk_scarce",
    message="The data directory is running out of disk space.",
    help="Make room, or set HANSARD_DATA_DIR to a larger disk.",
)


# ── What there is to tell of a part, beside its status; of the queue, that is its `Backlog` ──────────────


@dataclass(frozen=True, slots=True)
class Disk:
    free_bytes: int
    scarce_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineHealth:
    """`usable`: it would be tried for a job that came now. `loaded_by` are the workers with its model in memory."""

    name: str
    chain_position: int | None
    status: EngineStatus
    usable: bool
    circuit: Circuit
    loaded_by: tuple[str, ...]
    canary: CanaryRecognised | None


@dataclass(frozen=True, slots=True)
class Engines:
    """In the order of the chain; those that it lacks come last."""

    items: tuple[EngineHealth, ...]


@dataclass(frozen=True, slots=True)
class Workers:
    items: tuple[WorkerState, ...]


# ── The looks ────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthChecks:
    """`ping` asks the database anything; `pending_migrations` names those that it lacks; `free_disk_bytes` is about
    the data directory, where less than `scarce_disk_bytes` is too little.
    """

    unit_of_work: Callable[[], UnitOfWork]
    ping: Callable[[], object]
    pending_migrations: Callable[[], Sequence[str]]
    store: AudioStore
    free_disk_bytes: Callable[[], int]
    scarce_disk_bytes: int
    engines: Mapping[str, SpeechEngine]
    chain: tuple[str, ...]
    workers_awaited_until: datetime
    clock: Clock

    def checks(self) -> tuple[Check, ...]:
        return (
            Check("database", self.database, DATABASE_AWAY, every_seconds=5, timeout_seconds=2, decides=True),
            Check("migrations", self.migrations, MIGRATIONS_UNKNOWN, every_seconds=30, decides=True, needs="database"),
            Check("storage", self.storage, STORAGE_AWAY, every_seconds=30, decides=True),
            Check("engines", self.engines_now, ENGINES_UNKNOWN, every_seconds=5, decides=True, needs="database"),
            Check("workers", self.workers_now, WORKERS_UNKNOWN, every_seconds=5, needs="database"),
            Check("queue", self.queue_now, QUEUE_UNKNOWN, every_seconds=5, needs="database"),
            Check("disk", self.disk, DISK_UNKNOWN, every_seconds=30),
        )

    def database(self) -> Finding:
        self.ping()
        return Finding()

    def migrations(self) -> Finding:
        return _down(MIGRATIONS_PENDING) if self.pending_migrations() else Finding()

    def storage(self) -> Finding:
        self.store.check()
        return Finding()

    def disk(self) -> Finding:
        free_bytes = self.free_disk_bytes()
        disk = Disk(free_bytes, self.scarce_disk_bytes)
        if free_bytes >= self.scarce_disk_bytes:
            return Finding(detail=disk)
        is_dangerous = free_bytes <= self.scarce_disk_bytes * DANGEROUS_PART
        return _down(DISK_SCARCE, disk) if is_dangerous else _degraded(DISK_SCARCE, disk)

    def workers_now(self) -> Finding:
        with self.unit_of_work() as uow:
            workers = Workers(uow.jobs.workers())
        if workers.items:
            return Finding(detail=workers)
        if self.clock() < self.workers_awaited_until:
            return Finding(status=HealthStatus.UNKNOWN, trouble=WORKERS_AWAITED, detail=workers)
        return _degraded(NO_WORKER, workers)

    def queue_now(self) -> Finding:
        with self.unit_of_work() as uow:
            return Finding(detail=measure_backlog(uow, DEFAULT_OWNER))

    def engines_now(self) -> Finding:
        """Down when `auto` has nothing to use, degraded while it has to do without an engine that should work."""
        with self.unit_of_work() as uow:
            workers = uow.jobs.workers()
            found = Engines(tuple(self._engine(name, uow, workers) for name in in_order(self.engines, self.chain)))
        of_chain = [engine for engine in found.items if engine.chain_position is not None]
        if not any(engine.usable for engine in of_chain):
            return _down(NO_ENGINE, found)
        is_paused = any(engine.circuit.state is not CircuitState.CLOSED for engine in of_chain)
        return _degraded(ENGINE_PAUSED, found) if is_paused else Finding(detail=found)

    def _engine(self, name: str, uow: UnitOfWork, workers: Sequence[WorkerState]) -> EngineHealth:
        status, model = _ask(self.engines[name])
        circuit = uow.circuits.get(name)
        is_shut = circuit.disabled or circuit.is_paused(self.clock())
        return EngineHealth(
            name=name,
            chain_position=position(name, self.chain),
            status=status,
            usable=status.state is not EngineState.UNAVAILABLE and not is_shut,
            circuit=circuit,
            loaded_by=tuple(worker.name for worker in workers if model in worker.models),
            canary=uow.events.latest(CanaryRecognised, name),
        )


def _ask(engine: SpeechEngine) -> tuple[EngineStatus, str | None]:
    """How it is, and its model, where it can name one. An engine with a broken library is one that can't work."""
    try:
        return engine.status(), _model_of(engine)
    except Exception:  # noqa: BLE001 - of many engines, one is no reason to know nothing of the others
        return EngineStatus(state=EngineState.UNAVAILABLE, detail="it could not be asked", help=_SEE_LOG), None


def _model_of(engine: SpeechEngine) -> str | None:
    try:
        return engine.model_for(ANYTHING)
    except EngineError:
        return None


def _down(trouble: Trouble, detail: object = None) -> Finding:
    return Finding(status=HealthStatus.DOWN, trouble=trouble, detail=detail)


def _degraded(trouble: Trouble, detail: object = None) -> Finding:
    return Finding(status=HealthStatus.DEGRADED, trouble=trouble, detail=detail)
