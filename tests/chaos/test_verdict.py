"""The verdict is worth something only if it can be guilty: each of these takes a service that is well and spoils it."""

from copy import deepcopy
from typing import Any

import pytest

from tests.chaos.book import Book, Promise
from tests.chaos.evidence import Event, Evidence
from tests.chaos.orders import FIVE, Order, Recording
from tests.chaos.verdict import judge

HEARD = Recording("five.wav", b"five", FIVE, unique=True)
SEGMENT = {"engine": "pocketsphinx", "text": FIVE, "start_seconds": 0.1, "end_seconds": 1.6}
OF_RUN = {"run": 1, "number": 1}


def kept_promise() -> Promise:
    return Promise("t", "a", Order("auto", HEARD))


def of_a_life(end: str) -> list[Event]:
    types = ["queued", "started", "attempted", end]
    return [Event(f"transcription.{each}", OF_RUN) for each in types]


def good_evidence() -> Evidence:
    return Evidence(
        transcriptions={"t": {"id": "t", "status": "completed", "run": 1, "activity": None, "attempts": []}},
        events={"t": of_a_life("completed"), "a": [Event("audio.uploaded", {})]},
        details={"t": {"status": "completed", "text": FIVE, "segments": [SEGMENT]}},
        downloads={"a": HEARD.sha256},
        objects={HEARD.sha256},
        kept_bytes={HEARD.sha256},
        workers=2,
        health="ok",
    )


def verdict(evidence: Evidence, promise: Promise | None = None, **book: Any) -> list[str]:
    return judge(Book(promises=[promise or kept_promise()], **book), evidence, workers=2)


def failed(code: str, *, text: str | None = None) -> Evidence:
    evidence = good_evidence()
    evidence.transcriptions["t"]["status"] = "failed"
    evidence.events["t"] = of_a_life("failed")
    evidence.details["t"] = {"status": "failed", "text": text, "error": {"code": code, "message": "It broke."}}
    return evidence


def cancelled() -> Evidence:
    evidence = good_evidence()
    evidence.transcriptions["t"]["status"] = "cancelled"
    evidence.events["t"] = of_a_life("cancelled")
    evidence.details["t"] = {"status": "cancelled"}
    return evidence


def test_all_is_well_where_all_is_well() -> None:
    assert verdict(good_evidence()) == []


def test_a_row_that_is_stuck_is_found_without_a_promise() -> None:
    evidence = good_evidence()
    evidence.transcriptions["s"] = {**evidence.transcriptions["t"], "id": "s", "status": "running"}
    evidence.events["s"] = of_a_life("completed")[:-1]
    assert [problem[:2] for problem in verdict(evidence)] == ["s:"] * 3


@pytest.mark.parametrize("status", ["queued", "running"])
def test_a_promise_that_is_stuck_is_found(status: str) -> None:
    evidence = good_evidence()
    evidence.details["t"] = {"status": status, "activity": "recognising"}
    (problem,) = verdict(evidence)
    assert "stuck" in problem


@pytest.mark.parametrize(
    "types",
    [
        ["queued", "started", "completed", "completed"],
        ["queued", "started", "failed", "completed"],
        ["queued", "started", "completed", "started", "completed"],
        ["queued", "started", "retried", "started", "completed"],
        ["queued", "started", "cancelled", "deleted", "completed"],
        ["queued", "started", "deleted", "completed"],
    ],
)
def test_a_history_that_cannot_be_is_found(types: list[str]) -> None:
    runs = iter(range(1, 9))
    evidence = good_evidence()
    evidence.events["t"] = [
        Event(f"transcription.{each}", {"run": next(runs)} if each == "started" else {}) for each in types
    ]
    assert verdict(evidence)


def test_a_run_that_is_counted_twice_is_found() -> None:
    evidence = good_evidence()
    started = Event("transcription.started", {"run": 1})
    evidence.events["t"].insert(1, started)
    (problem,) = verdict(evidence)
    assert "[1, 1]" in problem


def test_a_lost_transcription_is_found() -> None:
    evidence = good_evidence()
    evidence.details["t"] = 404
    assert verdict(evidence) == ["t: it was acknowledged, and is answered with 404"]


@pytest.mark.parametrize("download", [404, "0" * 64])
def test_a_recording_that_is_lost_or_changed_is_found(download: int | str) -> None:
    evidence = good_evidence()
    evidence.downloads["a"] = download
    (problem,) = verdict(evidence)
    assert "does not come back" in problem


def test_lost_bytes_are_found_without_a_promise() -> None:
    evidence = good_evidence()
    evidence.kept_bytes.add("beef")
    assert verdict(evidence) == ["beef: a recording's bytes are lost"]


def test_a_transcript_without_words_is_found() -> None:
    evidence = good_evidence()
    evidence.details["t"] = {"status": "completed", "text": "", "segments": []}
    assert any("without words" in problem for problem in verdict(evidence))


@pytest.mark.parametrize(
    "segment",
    [
        {**SEGMENT, "text": "The server had an error"},
        {**SEGMENT, "engine": "openai"},
        {**SEGMENT, "engine": None},
        {**SEGMENT, "text": "one two three"},
    ],
)
def test_words_that_nobody_can_have_heard_are_found(segment: dict[str, Any]) -> None:
    evidence = good_evidence()
    evidence.details["t"] = {"status": "completed", "text": segment["text"], "segments": [segment]}
    assert verdict(evidence)


def test_a_stretch_that_was_recognised_twice_is_found() -> None:
    evidence = good_evidence()
    evidence.details["t"] = {"status": "completed", "text": FIVE, "segments": [SEGMENT, SEGMENT]}
    (problem,) = verdict(evidence)
    assert "twice" in problem


def test_a_failure_for_a_reason_that_is_none_is_found() -> None:
    (problem,) = verdict(failed("internal_error"))
    assert "internal_error" in problem


def test_a_failure_for_a_true_reason_is_none_of_the_services() -> None:
    promise = Promise("t", "a", Order("auto", HEARD, failures=frozenset({"engine_crashed"})))
    assert verdict(failed("engine_crashed"), promise) == []
    assert verdict(failed("engine_crashed", text="An error occurred."), promise)


def test_silence_with_a_transcript_is_found() -> None:
    silent = Promise("t", "a", Order("silence", HEARD, completes=False, failures=frozenset({"no_speech"})))
    (problem,) = verdict(good_evidence(), silent)
    assert "cannot have been completed" in problem


def test_a_cancellation_that_nobody_asked_for_is_found() -> None:
    assert len(verdict(cancelled())) == 1
    asked = kept_promise()
    asked.cancel_asked = asked.cancelled = True
    assert verdict(cancelled(), asked) == []


def test_a_cancellation_that_was_forgotten_is_found() -> None:
    promise = kept_promise()
    promise.cancel_asked = promise.cancelled = True
    (problem,) = verdict(good_evidence(), promise)
    assert "its cancellation was acknowledged" in problem


def test_a_deleted_transcription_that_is_there_still_is_found() -> None:
    promise = kept_promise()
    promise.deleted = True
    (problem,) = verdict(good_evidence(), promise)
    assert "still there" in problem


def test_a_deleted_recording_that_was_not_erased_is_found() -> None:
    promise = kept_promise()
    promise.deleted = promise.audio_deleted = True
    evidence = good_evidence()
    evidence.transcriptions.clear()
    evidence.details["t"], evidence.downloads["a"] = 404, 404
    evidence.events["t"].append(Event("transcription.deleted", {}))
    evidence.kept_bytes.clear()
    erased = deepcopy(evidence)
    erased.events["a"] += [Event("audio.deleted", {}), Event("audio.erased", {})]
    erased.objects.clear()
    assert verdict(erased, promise) == []
    assert [problem[:17] for problem in verdict(evidence, promise)] == ["a: it was deleted"] * 2


@pytest.mark.parametrize(
    "left",
    [
        {"jobs": [{"lock": "t"}]},
        {"prepared": ["t.pcm"]},
        {"remains": ["transcripts: t"]},
        {"workers": 1},
        {"health": "degraded"},
    ],
)
def test_what_is_left_behind_is_found(left: dict[str, Any]) -> None:
    evidence = Evidence(**{**vars(good_evidence()), **left})
    assert verdict(evidence)


def test_a_lie_that_a_client_was_told_is_found() -> None:
    assert verdict(good_evidence(), lies=["POST /audio was answered with 500"]) == ["POST /audio was answered with 500"]
