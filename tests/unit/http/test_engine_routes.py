"""What can listen is shown with its circuit, and an operator's hand on it is felt."""

from datetime import timedelta

import pytest

from hansard.application.ports.engines import EngineState, EngineStatus
from hansard.domain.errors import EngineFailed, EngineNotAuthenticated
from tests.unit.http.api import client_of, settings

REFUSED_KEY = EngineNotAuthenticated("The key was refused.", engine="fake", help="Set another.", provider_status=401)


def circuit_of(client, name="fake"):
    return client.get(f"/engines/{name}").json()["circuit"]


def test_engines_come_in_the_order_of_the_chain(client):
    engines = client.get("/engines").json()["items"]

    assert [(engine["name"], engine["chain_position"]) for engine in engines] == [("fake", 1), ("second", None)]


def test_an_engine_says_why_it_cannot_work_and_what_to_do(container):
    container.settings = settings(engine_chain=("second", "fake"))
    container.engine.degraded_reason = "recognised by the offline engine"
    container.engine.states = [
        EngineStatus(state=EngineState.UNAVAILABLE, detail="no model", help="Run `hansard models pull`.")
    ]

    second, fake = client_of(container).get("/engines").json()["items"]
    del fake["circuit"]

    assert second["state"] == "ready"
    assert fake == {
        "name": "fake",
        "state": "unavailable",
        "detail": "no model",
        "help": "Run `hansard models pull`.",
        "chain_position": 2,
        "degraded_reason": "recognised by the offline engine",
    }


def test_an_engine_that_was_never_used_has_a_closed_circuit(client):
    assert circuit_of(client) == {
        "state": "closed",
        "failures": 0,
        "retry_at": None,
        "disabled": False,
        "disabled_reason": None,
        "last_success_at": None,
        "last_failure_at": None,
        "last_failure": None,
    }


def test_an_open_circuit_tells_the_failure_and_when_the_engine_is_tried_again(client, container):
    container.circuit_breaker.failed("fake", REFUSED_KEY.failure)

    circuit = circuit_of(client)

    retry_at = container.clock() + timedelta(seconds=container.circuit_breaker.policy.open_seconds)
    assert circuit["state"] == "open"
    assert circuit["failures"] == 1
    assert circuit["retry_at"] == retry_at.isoformat().replace("+00:00", "Z")
    assert circuit["last_failure"] == {
        "code": "engine_not_authenticated",
        "category": "authentication",
        "message": "The key was refused.",
        "retryable": False,
        "engine": "fake",
        "provider_status": 401,
        "provider_request_id": None,
        "help": "Set another.",
    }


def test_the_list_shows_each_circuit(client, container):
    container.circuit_breaker.failed("second", EngineFailed("Down.", engine="second").failure)

    fake, second = client.get("/engines").json()["items"]

    assert (fake["circuit"]["failures"], second["circuit"]["failures"]) == (0, 1)


def test_the_last_success_is_shown(client, container):
    container.circuit_breaker.succeeded("fake")

    assert circuit_of(client)["last_success_at"] == "2026-01-01T00:00:00Z"


def test_a_reset_closes_the_circuit(client, container):
    container.circuit_breaker.failed("fake", REFUSED_KEY.failure)

    answer = client.post("/engines/fake/reset")

    assert answer.status_code == 200
    assert answer.json()["name"] == "fake"
    assert answer.json()["circuit"]["state"] == "closed"
    assert circuit_of(client)["failures"] == 0


def test_a_disabled_engine_says_so_and_why(client):
    answer = client.post("/engines/fake/disable", json={"reason": "Over budget."})

    assert answer.status_code == 200
    assert answer.json()["circuit"]["disabled"] is True
    assert circuit_of(client)["disabled_reason"] == "Over budget."


def test_an_engine_is_disabled_without_a_reason_too(client):
    circuit = client.post("/engines/fake/disable").json()["circuit"]

    assert (circuit["disabled"], circuit["disabled_reason"]) == (True, None)


@pytest.mark.parametrize("body", [{"reason": "r" * 501}, {"reason": "nul\0byte"}, {"why": "a misspelt field"}])
def test_a_reason_that_cannot_be_kept_is_refused_and_nothing_changes(client, body):
    answer = client.post("/engines/fake/disable", json=body)

    assert answer.status_code == 422
    assert circuit_of(client)["disabled"] is False


def test_an_enabled_engine_is_in_use_again(client):
    client.post("/engines/fake/disable", json={"reason": "Over budget."})

    circuit = client.post("/engines/fake/enable").json()["circuit"]

    assert (circuit["disabled"], circuit["disabled_reason"]) == (False, None)


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", ""), ("POST", "/reset"), ("POST", "/disable"), ("POST", "/enable")],
)
def test_an_engine_that_nobody_has_is_not_found_and_gets_no_circuit(client, container, method, path):
    answer = client.request(method, f"/engines/whispr{path}")

    assert answer.status_code == 404
    assert answer.json()["code"] == "unknown_engine"
    assert "second, fake" in answer.json()["help"]
    assert not container.database.circuits
