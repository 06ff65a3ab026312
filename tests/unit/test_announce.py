"""Who is told of what, and in what words."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest

from hansard.application.announce import Announce, Occasion
from hansard.application.ports.notifications import Level
from hansard.domain.errors import Category, Failure
from hansard.domain.events import (
    AlertFired,
    AlertResolved,
    EngineEnabled,
    TranscriptionCompleted,
    TranscriptionFailed,
)

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
FIRED = AlertFired(
    subject="disk@one",
    occurred_at=NOON,
    severity="critical",
    value=1.0,
    threshold=5.0,
    message="1.0 GB are free in the data directory.",
    help="Make room.",
)
RESOLVED = AlertResolved(
    subject="disk@one", occurred_at=NOON, severity="critical", value=9.0, threshold=5.0, firing_seconds=4000.0
)
COMPLETED = TranscriptionCompleted(
    subject="7",
    occurred_at=NOON,
    audio_id=uuid4(),
    engine="whisper",
    model="small",
    language="en",
    audio_seconds=61.0,
    word_count=99,
    degraded=True,
)
FAILED = TranscriptionFailed(
    subject="7",
    occurred_at=NOON,
    audio_id=uuid4(),
    failure=Failure(
        code="engine_failed", category=Category.SERVER, message="It broke.", engine="openai", help="Ask again."
    ),
)


def announce(*occasions, recipients=("mail-1",), public_url="https://talks.example.org/"):
    return Announce(recipients=recipients, occasions=frozenset(occasions), public_url=public_url)


def said(event, **how):
    (notification,) = announce(*Occasion, **how)(event)
    return notification


@pytest.mark.parametrize(
    ("occasion", "told"),
    [
        (Occasion.ALERTS, [FIRED, RESOLVED]),
        (Occasion.COMPLETED, [COMPLETED]),
        (Occasion.FAILED, [FAILED]),
    ],
)
def test_people_are_told_of_what_they_want_to_hear(occasion, told):
    everything = [FIRED, RESOLVED, COMPLETED, FAILED, EngineEnabled(subject="fake", occurred_at=NOON)]

    assert [event for event in everything if announce(occasion)(event)] == told


def test_each_recipient_is_told_for_himself():
    told = announce(Occasion.ALERTS, recipients=("mail-1", "chat-2"))(FIRED)

    assert [notification.recipient for notification in told] == ["mail-1", "chat-2"]


def test_where_nobody_is_to_be_told_nothing_is_made():
    assert announce(*Occasion, recipients=())(FIRED) == ()


def test_an_alert_says_what_is_wrong_and_what_to_do():
    told = said(FIRED)

    assert told.title == "Hansard: disk@one is firing (critical)"
    assert told.body.splitlines() == [
        "1.0 GB are free in the data directory.",
        "Make room.",
        "https://talks.example.org/analytics/alerts",
    ]
    assert told.level is Level.FAILURE


def test_the_end_of_an_alert_says_how_long_it_was():
    told = said(RESOLVED)

    assert told.title == "Hansard: disk@one is resolved (critical)"
    assert "after 1 h 6 min" in told.body


def test_a_finished_job_says_which_how_long_by_whom_and_where():
    told = said(COMPLETED)

    assert told.body.splitlines() == [
        "Transcription 7",
        "1 min 1 s of audio, by whisper (small)",
        "Its quality is not what it should be: the transcription says why.",
        "https://talks.example.org/transcriptions/7",
    ]


def test_a_failed_job_says_why():
    told = said(FAILED)

    assert told.level is Level.FAILURE
    assert told.body.splitlines() == [
        "Transcription 7",
        "Engine: openai",
        "It broke. (engine_failed)",
        "Ask again.",
        "https://talks.example.org/transcriptions/7",
    ]


def test_without_a_public_url_there_are_no_links():
    assert "http" not in said(COMPLETED, public_url=None).body
