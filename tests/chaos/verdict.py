"""Holds the evidence against the book. What it finds are sentences that begin with the id they are about.

It knows nothing of how the service works, only what it promises: whatever was acknowledged is there, has come to one
end each time it was asked for, and that end is the truth.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from tests.chaos.book import Book, Promise
from tests.chaos.evidence import Event, Evidence
from tests.openai_server import SAID

BEGINNINGS = {"transcription.queued", "transcription.retried"}
ENDS = {"transcription.completed", "transcription.failed", "transcription.cancelled"}
DELETED = "transcription.deleted"

HEARD_BY_MOCK = re.compile(r"mock heard [\d.]+ seconds|second \d+")
OVERLAP_SECONDS = 0.1


def judge(book: Book, evidence: Evidence, *, workers: int) -> list[str]:
    """What is wrong; nothing, if all is well."""
    return [
        *book.lies,
        *(problem for promise in book.promises for problem in _of_promise(promise, evidence)),
        *(problem for row in evidence.transcriptions.values() for problem in _of_row(row, evidence)),
        *(f"{subject}: {problem}" for subject, events in evidence.events.items() for problem in _of_events(events)),
        *_of_the_rest(book, evidence, workers),
    ]


# ── What was promised ────────────────────────────────────────────────────────────────────────────────────


def _of_promise(promise: Promise, evidence: Evidence) -> Iterator[str]:
    found, downloaded = evidence.details[promise.id], evidence.downloads[promise.audio_id]
    if promise.audio_deleted:
        if downloaded != 404:
            yield f"{promise.id}: its recording was deleted, and is answered with {downloaded}"
    elif downloaded != promise.order.recording.sha256:
        yield f"{promise.id}: its recording {promise.order.recording.name} does not come back: {downloaded}"
    if promise.deleted:
        if found != 404:
            yield f"{promise.id}: it was deleted, and is still there"
    elif isinstance(found, int):
        yield f"{promise.id}: it was acknowledged, and is answered with {found}"
    else:
        for problem in _of_outcome(promise, found):
            yield f"{promise.id} ({promise.order.name}, {promise.order.recording.name}): {problem}"


def _of_outcome(promise: Promise, found: dict[str, Any]) -> Iterator[str]:
    match found["status"]:
        case "completed":
            if promise.cancelled:
                yield "its cancellation was acknowledged, and it is completed"
            if not promise.order.completes:
                yield f"it cannot have been completed, and its text is {found['text']!r}"
            yield from _of_text(promise, found)
        case "failed":
            error = found["error"]
            if error["code"] not in promise.order.failures:
                yield f"it failed with {error['code']} ({error['message']}), which is not why"
            if not error["message"] or found["text"] is not None:
                yield f"its failure is not told: {error}, {found['text']!r}"
        case "cancelled":
            if not promise.cancel_asked:
                yield "it is cancelled, and nobody asked for that"
        case status:
            yield f"it is stuck: {status}, {found['activity']}"


def _of_text(promise: Promise, found: dict[str, Any]) -> Iterator[str]:
    segments = found["segments"]
    if not found["text"] or not segments:
        yield "it is completed without words"
    for segment in segments:
        if not _is_plausible(segment, promise.order.recording.words):
            yield f"{segment['engine']} cannot have heard {segment['text']!r}"
    engines = {segment["engine"] for segment in segments}
    if engines == {"pocketsphinx"} and found["text"] != promise.order.recording.words:
        yield f"the words are {found['text']!r}, not {promise.order.recording.words!r}"
    for one, next_one in pairwise(segments):
        if next_one["start_seconds"] < one["end_seconds"] - OVERLAP_SECONDS:
            yield f"one stretch was recognised twice: {one['text']!r}, {next_one['text']!r}"


def _is_plausible(segment: dict[str, Any], words: str | None) -> bool:
    match segment["engine"]:
        case "openai":
            return segment["text"] in SAID
        case "mock":
            return HEARD_BY_MOCK.fullmatch(segment["text"]) is not None
        case "pocketsphinx":
            return words is None or set(segment["text"].split()) <= set(words.split())
        case _:
            return False


# ── What is on record ────────────────────────────────────────────────────────────────────────────────────


def _of_row(row: dict[str, Any], evidence: Evidence) -> Iterator[str]:
    """Also of those that nobody was told of: their request was cut off after the commit."""
    name, status = str(row["id"]), row["status"]
    if status not in {"completed", "failed", "cancelled"}:
        yield f"{name}: its row is stuck: {status}, run {row['run']}, {row['activity']}"
    ends = [event.type for event in evidence.events.get(name, []) if event.type in ENDS]
    if ends[-1:] != [f"transcription.{status}"]:
        yield f"{name}: it is {status}, and its events say {ends}"
    if any(attempt["outcome"] == "running" for attempt in row["attempts"]):
        yield f"{name}: it has ended, and an attempt is running: {row['attempts']}"


def _of_events(events: Sequence[Event]) -> Iterator[str]:
    """Each beginning has one end, and between an end and a new beginning nothing happens."""
    types = [event.type for event in events]
    if types[0] not in BEGINNINGS:
        return
    is_alive = False
    for number, event in enumerate(types):
        if (event in BEGINNINGS or event == DELETED) and is_alive:
            yield f"{event} before its end: {types}"
        elif event not in BEGINNINGS | {DELETED} and not is_alive:
            yield f"{event} after its end: {types}"
        if event == DELETED and number != len(types) - 1:
            yield f"it lived on after it was deleted: {types}"
        is_alive = event not in ENDS | {DELETED}
    if is_alive:
        yield f"it has not ended: {types}"
    for counted, name in (("transcription.started", "run"), ("transcription.attempted", "number")):
        numbers = [event.data[name] for event in events if event.type == counted]
        if numbers != list(range(1, len(numbers) + 1)):
            yield f"{counted} is numbered {numbers}"


# ── What is left behind ──────────────────────────────────────────────────────────────────────────────────


def _of_the_rest(book: Book, evidence: Evidence, workers: int) -> Iterator[str]:
    yield from (f"{job['lock']}: a job is left in the queue: {job}" for job in evidence.jobs)
    yield from (f"{name}: prepared audio is left" for name in evidence.prepared)
    yield from (f"something is left of what was deleted: {place}" for place in evidence.remains)
    yield from (f"{sha256}: a recording's bytes are lost" for sha256 in evidence.kept_bytes - evidence.objects)
    yield from (
        problem for promise in book.promises if promise.audio_deleted for problem in _of_erased(promise, evidence)
    )
    if evidence.workers != workers:
        yield f"{evidence.workers} workers are alive, not {workers}"
    if evidence.health != "ok":
        yield f"health is {evidence.health}"


def _of_erased(promise: Promise, evidence: Evidence) -> Iterator[str]:
    types = [event.type for event in evidence.events.get(promise.audio_id, [])]
    if types != ["audio.uploaded", "audio.deleted", "audio.erased"]:
        yield f"{promise.audio_id}: it was deleted, and its events say {types}"
    # Other bytes may also be those of an upload that was cut off.
    if promise.order.recording.unique and promise.order.recording.sha256 in orphans(evidence):
        yield f"{promise.audio_id}: it was deleted, and its bytes are there"


def orphans(evidence: Evidence) -> set[str]:
    """Bytes that no recording has."""
    return evidence.objects - evidence.kept_bytes
