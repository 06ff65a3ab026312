"""Probes: what they say of each part, that they wait for nothing, and that they give nothing away."""

from datetime import datetime, timedelta
from uuid import UUID

import pytest

from hansard.application.ports.engines import EngineState, EngineStatus
from hansard.application.ports.work import WorkerState
from hansard.domain.circuit import Circuit, CircuitPolicy
from hansard.domain.errors import EngineNotAuthenticated, StorageError
from hansard.domain.events import CanaryRecognised
from tests.unit.http.api import FakeContainer, client_of, settings

SECRETS = ("sk-proj-planted0123456789", "hunter2", "AKIAPLANTEDKEY", "org-planted")
LEAKY = "postgresql://hansard:hunter2@db sk-proj-planted0123456789 AKIAPLANTEDKEY org-planted"
BROKEN = EngineStatus(state=EngineState.UNAVAILABLE, detail="no model", help="Run `hansard models pull`.")
POLICY = CircuitPolicy(failures=1, open_seconds=30, longest_open_seconds=30, probe_seconds=30)


def fail(*_):
    raise StorageError(LEAKY)


def looked_at(container: FakeContainer):
    container.health.check_now()
    return client_of(container)


def a_worker(container: FakeContainer, **changes) -> WorkerState:
    facts = {
        "name": "worker.1",
        "host": "box",
        "pid": 42,
        "started_at": container.clock.now,
        "seen_at": container.clock.now,
        "models": (),
        "transcription_id": None,
    }
    return WorkerState(**{**facts, **changes})


def failing_circuit(container: FakeContainer, engine: str) -> Circuit:
    circuit = Circuit(engine=engine)
    refusal = EngineNotAuthenticated(f"Incorrect API key: {LEAKY}", engine=engine, provider_status=401)
    circuit.fail(refusal.failure, container.clock.now, POLICY)
    return circuit


# ── Live ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_process_is_alive_whatever_else_is_not(container):
    container.unit_of_work = fail
    answer = looked_at(container).get("/health/live")

    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


# ── Ready ────────────────────────────────────────────────────────────────────────────────────────────────


def test_not_ready_before_the_first_look(client):
    answer = client.get("/health/ready")

    assert answer.status_code == 503
    assert answer.json()["code"] == "starting"
    assert answer.headers["retry-after"] == "1"


def test_ready_once_every_part_that_decides_was_found_well(container):
    answer = looked_at(container).get("/health/ready")

    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_not_ready_while_the_database_does_not_answer(container):
    container.unit_of_work = fail
    answer = looked_at(container).get("/health/ready")
    problem = answer.json()

    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["retry-after"] == "2"
    assert (problem["code"], problem["category"]) == ("not_ready", "server")
    assert problem["detail"] == "The database does not answer."


def test_each_part_that_is_missing_is_named(container):
    container.unit_of_work = container.store.check = fail
    problem = looked_at(container).get("/health/ready").json()

    assert problem["detail"] == "The database does not answer. Recordings cannot be stored."
    assert [(each["field"], each["code"]) for each in problem["errors"]] == [
        ("database", "storage_unavailable"),
        ("storage", "storage_unavailable"),
        ("engines", "unknown"),
    ]


def test_not_ready_with_tables_of_another_version(container):
    container.pending_migrations = ["0003"]
    problem = looked_at(container).get("/health/ready").json()

    assert [each["code"] for each in problem["errors"]] == ["migrations_pending"]


def test_not_ready_without_an_engine_for_auto(container):
    container.engine.states = [BROKEN]
    problem = looked_at(container).get("/health/ready").json()

    assert [(each["field"], each["code"]) for each in problem["errors"]] == [("engines", "no_engine")]


def test_ready_while_the_model_is_being_fetched(container):
    container.engine.states = [EngineStatus(state=EngineState.PREPARING, detail="fetching small")]

    assert looked_at(container).get("/health/ready").status_code == 200


def test_ready_while_another_engine_of_the_chain_can_work(container):
    container.settings = settings(engine_chain=("fake", "second"))
    container.engine.states = [BROKEN]

    assert looked_at(container).get("/health/ready").status_code == 200


def test_not_ready_while_the_only_engine_is_left_alone(container):
    container.database.circuits["fake"] = failing_circuit(container, "fake")

    assert looked_at(container).get("/health/ready").json()["errors"][0]["code"] == "no_engine"


def test_ready_again_when_the_engine_may_be_tried_again(container):
    container.database.circuits["fake"] = failing_circuit(container, "fake")
    container.clock.advance(30)

    assert looked_at(container).get("/health/ready").status_code == 200


def test_not_ready_while_the_only_engine_is_disabled(container):
    circuit = Circuit(engine="fake")
    circuit.disable(container.clock.now)
    container.database.circuits["fake"] = circuit

    assert looked_at(container).get("/health/ready").status_code == 503


@pytest.mark.parametrize("free_disk_bytes", [10**9, 0])
def test_ready_without_workers_and_short_of_disk_space(container, free_disk_bytes):
    container.free_disk_bytes = free_disk_bytes

    assert looked_at(container).get("/health/ready").status_code == 200


def test_what_was_seen_too_long_ago_is_not_trusted(container):
    client = looked_at(container)
    container.clock.advance(3600)
    problem = client.get("/health/ready").json()

    assert problem["code"] == "not_ready"
    assert problem["errors"][0] == {
        "field": "database",
        "code": "stale",
        "message": "The last look at the database was 3600 s ago.",
    }


# ── Health ───────────────────────────────────────────────────────────────────────────────────────────────


def test_all_is_well(container):
    container.database.workers = [a_worker(container)]
    answer = looked_at(container).get("/health")
    health = answer.json()

    assert answer.status_code == 200
    assert health["status"] == "ok"
    assert {part["status"] for part in health["parts"].values()} == {"ok"}


def test_down_is_told_by_the_status_too(container):
    container.store.check = fail
    answer = looked_at(container).get("/health")

    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["status"] == "down"


def test_a_part_tells_how_it_was_when_and_what_was_wrong_last(container):
    check, container.store.check = container.store.check, fail
    container.health.check_now()
    container.store.check = check
    failed_at = container.clock.now
    container.clock.advance(7)
    part = looked_at(container).get("/health").json()["parts"]["storage"]

    assert part == {
        "status": "ok",
        "decides_readiness": True,
        "trouble": None,
        "latency_seconds": 0.0,
        "checked_at": "2026-01-01T00:00:07Z",
        "last_error": {
            "code": "storage_unavailable",
            "message": "Recordings cannot be stored.",
            "at": failed_at.isoformat().replace("+00:00", "Z"),
        },
    }


def test_without_a_worker_the_service_is_degraded(container):
    health = looked_at(container).get("/health").json()

    assert health["status"] == "degraded"
    assert health["parts"]["workers"]["trouble"]["code"] == "no_worker"
    assert health["workers"] == []


def test_workers_tell_their_heartbeat_and_the_job_in_their_hands(container):
    container.database.workers = [a_worker(container, transcription_id=UUID(int=7), models=("fake-1",))]
    (worker,) = looked_at(container).get("/health").json()["workers"]

    assert worker == {
        "name": "worker.1",
        "host": "box",
        "pid": 42,
        "started_at": "2026-01-01T00:00:00Z",
        "seen_at": "2026-01-01T00:00:00Z",
        "transcription_id": str(UUID(int=7)),
        "models": ["fake-1"],
    }


def test_the_queue_tells_its_depth_its_oldest_job_and_its_backlog(container):
    container.database.jobs = [UUID(int=1), UUID(int=2)]
    container.database.job_seconds = {UUID(int=1): 60.0, UUID(int=2): 40.0}
    container.database.oldest_job_seconds = 12.5
    queue = looked_at(container).get("/health").json()["queue"]

    assert queue == {
        "waiting": 2,
        "running": 0,
        "oldest_seconds": 12.5,
        "audio_seconds": 100.0,
        "backlog_seconds": pytest.approx(20.0),  # at a fifth of the recordings' length, with nothing to go by
    }


@pytest.mark.parametrize(("free_bytes", "status"), [(5_000, "ok"), (4_999, "degraded"), (500, "down")])
def test_disk_space_runs_out_by_degrees(container, free_bytes, status):
    container.settings = settings(scarce_disk_bytes=5_000)
    container.free_disk_bytes = free_bytes
    health = looked_at(container).get("/health").json()

    assert health["parts"]["disk"]["status"] == status
    assert health["disk"] == {"free_bytes": free_bytes, "scarce_bytes": 5_000}


def test_engines_come_in_the_order_of_the_chain(container):
    engines = looked_at(container).get("/health").json()["engines"]

    assert [(engine["name"], engine["chain_position"]) for engine in engines] == [("fake", 1), ("second", None)]


def test_an_engine_tells_whether_it_can_work_who_has_its_model_and_when_it_last_did(container):
    circuit = Circuit(engine="fake")
    circuit.succeed(container.clock.now)
    container.database.circuits["fake"] = circuit
    container.database.workers = [
        a_worker(container, models=("fake-1",)),
        a_worker(container, name="worker.2", models=("other",)),
    ]
    engine = looked_at(container).get("/health").json()["engines"][0]

    assert engine == {
        "name": "fake",
        "chain_position": 1,
        "state": "ready",
        "usable": True,
        "detail": "ready",
        "help": None,
        "circuit": "closed",
        "failures": 0,
        "retry_at": None,
        "disabled": False,
        "loaded_by": ["worker.1"],
        "last_success_at": "2026-01-01T00:00:00Z",
        "last_error": None,
        "canary": None,
    }


def test_an_engine_that_fails_degrades_the_service_while_another_does_its_work(container):
    container.settings = settings(engine_chain=("fake", "second"))
    container.database.circuits["fake"] = failing_circuit(container, "fake")
    health = looked_at(container).get("/health").json()
    first, second = health["engines"]

    assert health["parts"]["engines"]["trouble"]["code"] == "engine_paused"
    assert (first["usable"], second["usable"]) == (False, True)
    assert (first["circuit"], first["failures"], first["retry_at"]) == ("open", 1, "2026-01-01T00:00:30Z")
    assert first["last_error"] == {
        "code": "engine_not_authenticated",
        "category": "authentication",
        "provider_status": 401,
        "at": "2026-01-01T00:00:00Z",
    }


def test_one_engine_that_cannot_even_be_asked_leaves_the_others_known(container):
    def broken(*_):
        raise ImportError(LEAKY)

    container.settings = settings(engine_chain=("fake", "second"))
    container.engine.status = broken
    first, second = looked_at(container).get("/health").json()["engines"]

    assert (first["state"], second["state"]) == ("unavailable", "ready")


def test_an_engine_shows_its_last_canary(container):
    for seconds, passed in ((0, True), (60, False)):
        container.database.events.append(
            CanaryRecognised(
                subject="fake",
                occurred_at=container.clock.now + timedelta(seconds=seconds),
                passed=passed,
                word_accuracy=0.5,
                processing_seconds=1.5,
                failure=EngineNotAuthenticated(LEAKY, engine="fake").failure,
            )
        )
    engine = looked_at(container).get("/health").json()["engines"][0]

    assert engine["canary"] == {
        "passed": False,
        "word_accuracy": 0.5,
        "processing_seconds": 1.5,
        "error_code": "engine_not_authenticated",
        "at": "2026-01-01T00:01:00Z",
    }


def test_what_could_not_be_found_out_is_null(container):
    container.unit_of_work = fail
    health = looked_at(container).get("/health").json()

    assert (health["engines"], health["workers"], health["queue"]) == (None, None, None)
    assert health["parts"]["queue"]["status"] == "unknown"
    assert health["disk"]["free_bytes"] == 10**12


# ── Secrets ──────────────────────────────────────────────────────────────────────────────────────────────


def assert_gives_nothing_away(container: FakeContainer) -> None:
    client = looked_at(container)
    told = "".join(client.get(path).text for path in ("/health", "/health/ready", "/health/live"))
    assert not [secret for secret in SECRETS if secret in told]


@pytest.mark.parametrize("error", [StorageError(LEAKY), OSError(LEAKY), RuntimeError(LEAKY)])
def test_what_a_part_raises_is_not_shown(container, error):
    def broken(*_):
        raise error

    container.unit_of_work = container.store.check = broken
    assert_gives_nothing_away(container)


def test_what_a_provider_said_is_not_shown(container):
    container.database.circuits["fake"] = failing_circuit(container, "fake")
    assert_gives_nothing_away(container)


def test_why_an_engine_is_unavailable_is_not_shown(container):
    container.engine.states = [EngineStatus(state=EngineState.UNAVAILABLE, detail=LEAKY)]
    assert_gives_nothing_away(container)


def test_an_operators_reason_to_disable_an_engine_is_not_shown(container):
    circuit = Circuit(engine="fake")
    circuit.disable(container.clock.now, LEAKY)
    container.database.circuits["fake"] = circuit
    assert_gives_nothing_away(container)


def test_names_of_pending_migrations_are_not_shown(container):
    container.pending_migrations = [LEAKY]
    assert_gives_nothing_away(container)


# ── In the request ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("path", ["/health", "/health/ready", "/health/live"])
def test_no_look_is_taken_in_a_request(container, path):
    client = looked_at(container)
    container.unit_of_work = fail
    container.engine.status = fail

    assert client.get(path).status_code == 200


@pytest.mark.parametrize("path", ["/health", "/health/ready", "/health/live"])
def test_answers_are_not_kept_by_caches(container, path):
    assert looked_at(container).get(path).headers["cache-control"] == "no-store"
    container.clock.advance(3600)
    assert client_of(container).get(path).headers["cache-control"] == "no-store"


def test_looking_begins_and_ends_with_the_app(container):
    calls = []
    container.health.start = lambda: calls.append("start")
    container.health.stop = lambda: calls.append("stop")
    with client_of(container):
        assert calls == ["start"]
    assert calls == ["start", "stop"]


def test_the_same_document_is_described_for_both_statuses(client):
    responses = client.get("/openapi.json").json()["paths"]["/health"]["get"]["responses"]

    assert responses["503"]["content"] == responses["200"]["content"]


def test_workers_that_have_not_had_time_to_start_are_awaited() -> None:
    class Starting(FakeContainer):
        @property
        def workers_awaited_until(self) -> datetime:
            return self.clock() + timedelta(seconds=30)

    container = Starting()
    container.health.check_now()
    workers = client_of(container).get("/health").json()["parts"]["workers"]
    assert (workers["status"], workers["trouble"]["code"]) == ("unknown", "workers_awaited")
