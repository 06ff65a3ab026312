"""`hansard transcriptions`, `hansard audio` and `hansard engines`: an operator's hand on what is on record."""

import io
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from typer.testing import CliRunner

from hansard import cli
from hansard.cli.engines import described
from hansard.domain.circuit import Circuit, CircuitState
from hansard.domain.errors import EngineFailed, EngineRejected, NotFound
from hansard.domain.transcription import Parameters, Status
from tests.unit.http.api import TALK, FakeContainer


@pytest.fixture
def container(monkeypatch):
    container = FakeContainer()

    @contextmanager
    def opened_container():
        yield container

    monkeypatch.setattr("hansard.cli.start.opened_container", opened_container)
    return container


def run(*arguments):
    """Fails where the command does, with its own error."""
    return CliRunner().invoke(cli.app, [str(argument) for argument in arguments], catch_exceptions=False)


def test_a_transcription_is_cancelled(container):
    transcription = container.submitted(TALK)

    assert run("transcriptions", "cancel", transcription.id).exit_code == 0
    assert container.transcription(transcription.id).status is Status.CANCELLED


def test_a_transcription_that_failed_is_asked_for_again(container):
    transcription = container.submitted(TALK, Parameters(engine="fake"))
    container.engine.failures = [EngineRejected("That cannot be heard.", engine="fake")]
    container.transcribe(transcription.id)

    assert run("transcriptions", "retry", transcription.id).exit_code == 0
    assert container.transcription(transcription.id).status is Status.QUEUED


def test_a_transcription_is_deleted_and_its_recording_stays(container):
    transcription = container.submitted(TALK)

    assert run("transcriptions", "delete", transcription.id).exit_code == 0
    assert not container.database.transcriptions
    assert container.database.audio


def test_a_recording_is_deleted(container):
    transcription = container.submitted(TALK)

    assert run("audio", "delete", transcription.audio_id).exit_code == 0
    assert not container.database.audio


@pytest.mark.parametrize(
    "command",
    [("transcriptions", "cancel"), ("transcriptions", "retry"), ("transcriptions", "delete"), ("audio", "delete")],
)
@pytest.mark.usefixtures("container")
def test_an_id_that_names_nothing_is_told(command):
    with pytest.raises(NotFound):
        run(*command, uuid4())


def test_what_is_no_id_is_a_usage_error(container):
    transcription = container.submitted(TALK)

    assert run("audio", "delete", "talk.wav").exit_code == 2
    assert transcription.audio_id in container.database.audio


def test_an_engine_is_disabled_and_enabled_again(container):
    assert run("engines", "disable", "fake", "--reason", "Over budget.").exit_code == 0
    assert container.database.circuits["fake"].disabled_reason == "Over budget."

    assert run("engines", "enable", "fake").exit_code == 0
    assert not container.database.circuits["fake"].disabled


def test_a_reset_forgets_the_failures(container):
    container.circuit_breaker.failed("fake", EngineFailed("Down.", engine="fake").failure)

    assert run("engines", "reset", "fake").exit_code == 0
    assert container.database.circuits["fake"].failures == 0


@pytest.mark.parametrize("action", ["reset", "disable", "enable"])
def test_an_engine_that_nobody_has_is_told_with_the_known_ones(container, action):
    with pytest.raises(NotFound) as refused:
        run("engines", action, "whispr")

    assert "second, fake" in refused.value.failure.help
    assert not container.database.circuits


DOWN = EngineFailed("The provider broke.", engine="fake").failure
SOON = datetime(2026, 1, 1, 12, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("circuit", "described_as"),
    [
        (Circuit(engine="fake"), "closed"),
        (Circuit(engine="fake", failures=2, last_failure=DOWN), "closed: The provider broke."),
        (Circuit(engine="fake", last_failure=DOWN), "closed"),
        (
            Circuit(engine="fake", state=CircuitState.OPEN, failures=5, last_failure=DOWN, retry_at=SOON),
            f"open until {SOON.astimezone():%H:%M:%S}: The provider broke.",
        ),
        (
            Circuit(engine="fake", state=CircuitState.HALF_OPEN, failures=5, last_failure=DOWN, retry_at=SOON),
            "half open: The provider broke.",
        ),
        (Circuit(engine="fake", state=CircuitState.OPEN, disabled=True), "disabled"),
        (Circuit(engine="fake", disabled=True, disabled_reason="Over budget."), "disabled: Over budget."),
    ],
)
def test_a_circuit_is_described_by_what_an_operator_needs(circuit, described_as):
    assert described(circuit) == described_as


def orphan(container):
    stored = container.store.put(io.BytesIO(b"an upload that was cut off"))
    container.store.stored_at[stored.sha256] = container.clock() - timedelta(days=2)
    return stored.sha256


def test_bytes_that_no_recording_has_are_listed_and_stay(container):
    name = orphan(container)

    said = run("audio", "orphans").output
    assert f"{name}  26 bytes" in said
    assert "--delete" in said
    assert name in container.store.objects


def test_they_are_removed_when_asked_to(container):
    name = orphan(container)

    assert name in run("audio", "orphans", "--delete").output
    assert container.store.objects == {}


def test_where_there_are_none_it_is_said(container):
    container.submitted(TALK)

    assert "belongs to a recording" in run("audio", "orphans").output
