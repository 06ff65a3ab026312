"""Rows and domain objects: nothing is lost on the way there and back, and nothing goes that PostgreSQL can't keep."""

import json
import math
from dataclasses import fields
from datetime import UTC, datetime, timedelta, timezone
from types import UnionType
from typing import Any, get_args, get_type_hints
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansard.domain import events
from hansard.domain.audio import AudioFile, AudioProperties, StoredObject
from hansard.domain.circuit import Circuit, CircuitState
from hansard.domain.coverage import Coverage
from hansard.domain.diarization import Turn
from hansard.domain.errors import Category, Failure
from hansard.domain.events import Event
from hansard.domain.revision import Change, Hunk, Revision
from hansard.domain.speech import Span, Speech
from hansard.domain.transcript import DecodingScores, RecognisedPassage, Segment, Transcript, Word
from hansard.domain.transcription import (
    Attempt,
    AttemptOutcome,
    Channels,
    Parameters,
    Result,
    Status,
    Task,
    Transcription,
)
from hansard.persistence import event_mapping, mapping, transcript_mapping
from hansard.persistence.values import Row, storable

ID = UUID(int=7)

texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
maybe_texts = st.none() | texts
moments = st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=-9, minutes=-30))]))
numbers = st.floats(min_value=0, max_value=1e6)
maybe_numbers = st.none() | numbers
counts = st.integers(min_value=0, max_value=2**31)

spans = st.tuples(numbers, numbers).map(lambda ends: Span(min(ends), max(ends)))
failures = st.builds(
    Failure,
    code=texts,
    category=st.sampled_from(Category),
    message=texts,
    retryable=st.booleans(),
    engine=maybe_texts,
    provider_status=st.none() | counts,
    provider_request_id=maybe_texts,
    help=maybe_texts,
)
audio_files = st.builds(
    AudioFile,
    id=st.uuids(),
    file_name=texts,
    media_type=texts,
    stored=st.builds(StoredObject, sha256=texts, size_bytes=counts),
    properties=st.builds(
        AudioProperties,
        container=texts,
        codec=texts,
        channels=counts,
        sample_rate_hz=counts,
        duration_seconds=maybe_numbers,
    ),
    uploaded_at=moments,
    owner=texts,
)
parameters = st.builds(
    Parameters,
    engine=texts,
    fallback=st.none() | st.booleans(),
    model=maybe_texts,
    language=maybe_texts,
    prompt=maybe_texts,
    hotwords=maybe_texts,
    task=st.sampled_from(Task),
    temperature=maybe_numbers,
    diarize=st.booleans(),
    min_speakers=st.none() | counts,
    max_speakers=st.none() | counts,
    channels=st.sampled_from(Channels),
    interactive=st.booleans(),
    priority=counts,
    metadata=st.dictionaries(texts, texts, max_size=3),
)
attempts = st.builds(
    Attempt,
    number=counts,
    engine=texts,
    model=texts,
    started_at=moments,
    ended_at=st.none() | moments,
    outcome=st.sampled_from(AttemptOutcome),
    recognised_seconds=numbers,
    input_tokens=counts,
    output_tokens=counts,
    provider_request_id=maybe_texts,
    failure=st.none() | failures,
)
words = st.builds(Word, texts, numbers, numbers, maybe_numbers, maybe_texts)
scores = st.builds(
    DecodingScores,
    average_log_probability=maybe_numbers,
    compression_ratio=maybe_numbers,
    no_speech_probability=maybe_numbers,
    temperature=maybe_numbers,
)
segments = st.builds(
    Segment,
    start_seconds=numbers,
    end_seconds=numbers,
    text=texts,
    words=st.lists(words, max_size=3).map(tuple),
    confidence=maybe_numbers,
    language=maybe_texts,
    language_probability=maybe_numbers,
    speaker=maybe_texts,
    engine=maybe_texts,
    scores=st.none() | scores,
)
many_segments = st.lists(segments, max_size=3).map(tuple)
coverages = st.builds(
    Coverage,
    speech_seconds=numbers,
    transcribed_seconds=numbers,
    gaps=st.lists(spans, max_size=3).map(tuple),
    dropped=many_segments,
)
results = st.builds(
    Result,
    engine=texts,
    model=texts,
    language=maybe_texts,
    language_probability=maybe_numbers,
    audio_seconds=numbers,
    speech_seconds=numbers,
    word_count=counts,
    processing_seconds=numbers,
    coverage=coverages,
    degraded_reasons=st.lists(texts, max_size=3).map(tuple),
)
transcriptions = st.builds(
    Transcription,
    id=st.uuids(),
    audio_id=st.uuids(),
    parameters=parameters,
    created_at=moments,
    owner=texts,
    request_id=maybe_texts,
    status=st.sampled_from(Status),
    run=counts,
    crashes=counts,
    progress=st.floats(0, 1),
    activity=maybe_texts,
    pipeline_run_id=maybe_texts,
    started_at=st.none() | moments,
    ended_at=st.none() | moments,
    attempts=st.lists(attempts, max_size=3).map(tuple),
    warnings=st.lists(texts, max_size=3).map(tuple),
    failure=st.none() | failures,
    result=st.none() | results,
    _events=st.just([]),
)
circuits = st.builds(
    Circuit,
    engine=texts,
    state=st.sampled_from(CircuitState),
    failures=counts,
    openings=counts,
    retry_at=st.none() | moments,
    disabled=st.booleans(),
    disabled_reason=maybe_texts,
    last_success_at=st.none() | moments,
    last_failure_at=st.none() | moments,
    last_failure=st.none() | failures,
    _events=st.just([]),
)
facts: dict[type, st.SearchStrategy[Any]] = {
    str: texts,
    UUID: st.uuids(),
    datetime: moments,
    int: counts,
    float: numbers,
    bool: st.booleans(),
    Failure: failures,
    tuple[str, ...]: st.lists(texts).map(tuple),
    type(None): st.none(),
}


def any_of(kind: type[Event]) -> st.SearchStrategy[Event]:
    """Of this kind, with anything in its fields that their types allow."""
    hints = get_type_hints(kind)
    types = {
        field.name: get_args(hint) if isinstance(hint := hints[field.name], UnionType) else (hint,)
        for field in fields(kind)
    }
    return st.builds(kind, **{name: st.one_of(*(facts[each] for each in allowed)) for name, allowed in types.items()})


def stored(row: Row) -> Row:
    """The row as the database gives it back: what is in a JSON column has been through JSON."""
    return {
        column: json.loads(json.dumps(value, allow_nan=False)) if isinstance(value, dict | list) else value
        for column, value in row.items()
    }


@given(audio_files)
def test_an_audio_file_comes_back_as_it_went(audio: AudioFile) -> None:
    assert mapping.audio_from_row(stored(mapping.audio_to_row(audio))) == audio


@given(transcriptions)
def test_a_transcription_comes_back_as_it_went(transcription: Transcription) -> None:
    back = mapping.transcription_from_row(stored(mapping.transcription_to_row(transcription)))
    assert vars(back) == vars(transcription)


def test_an_attempt_that_was_kept_by_an_older_version_counted_no_tokens() -> None:
    made = Transcription.queue(audio_id=uuid4(), parameters=Parameters(), at=datetime(2026, 1, 1, tzinfo=UTC))
    made.start(made.created_at)
    made.begin_attempt(engine="whisper", model="small", at=made.created_at)
    row = stored(mapping.transcription_to_row(made))
    for name in ("input_tokens", "output_tokens"):
        del row["attempts"][0][name]
    (attempt,) = mapping.transcription_from_row(row).attempts
    assert (attempt.input_tokens, attempt.output_tokens) == (0, 0)


@given(st.builds(Speech, numbers, st.lists(spans, max_size=4).map(tuple), counts))
def test_speech_comes_back_as_it_went(speech: Speech) -> None:
    assert transcript_mapping.speech_from_row(stored(transcript_mapping.speech_to_row(ID, speech))) == speech


@given(st.builds(RecognisedPassage, span=spans, engine=texts, model=texts, segments=many_segments, decoding=counts))
def test_a_passage_comes_back_as_it_went(passage: RecognisedPassage) -> None:
    assert transcript_mapping.passage_from_row(stored(transcript_mapping.passage_to_row(ID, passage))) == passage


@given(st.builds(Transcript, language=maybe_texts, language_probability=maybe_numbers, segments=many_segments))
def test_a_transcript_comes_back_as_it_went_with_its_text_beside_it(transcript: Transcript) -> None:
    row = transcript_mapping.transcript_to_row(ID, transcript, revision=0)
    assert transcript_mapping.transcript_from_row(stored(row)) == transcript
    assert row["text"] == transcript.text


@given(st.lists(st.builds(Turn, spans, texts), max_size=4).map(tuple))
def test_turns_come_back_as_they_went(turns: tuple[Turn, ...]) -> None:
    assert transcript_mapping.turns_from_row(stored(transcript_mapping.turns_to_row(ID, turns))) == turns


@given(
    st.builds(
        Revision,
        number=counts,
        made_at=moments,
        author=maybe_texts,
        change=st.sampled_from(Change),
        summary=texts,
        hunks=st.lists(st.builds(Hunk, counts, many_segments, many_segments), max_size=3).map(tuple),
    )
)
def test_a_revision_comes_back_as_it_went(revision: Revision) -> None:
    assert transcript_mapping.revision_from_row(stored(transcript_mapping.revision_to_row(ID, revision))) == revision


@pytest.mark.parametrize("kind", event_mapping.EVENT_TYPES.values(), ids=event_mapping.EVENT_TYPES)
@given(st.data())
def test_an_event_comes_back_as_it_went(kind: type[Event], data: st.DataObject) -> None:
    event = data.draw(any_of(kind))
    assert event_mapping.event_from_row(stored(event_mapping.event_to_row(event))) == event


@given(circuits)
def test_a_circuit_comes_back_as_it_went(circuit: Circuit) -> None:
    assert vars(mapping.circuit_from_row(stored(mapping.circuit_to_row(circuit)))) == vars(circuit)


def test_every_kind_of_event_is_known_by_its_name() -> None:
    kinds = [kind for kind in vars(events).values() if isinstance(kind, type) and issubclass(kind, Event)]
    assert {kind.type for kind in kinds if kind is not Event} == set(event_mapping.EVENT_TYPES)


def test_a_fact_that_a_later_version_added_is_passed_over() -> None:
    event = events.TranscriptionCancelled(
        subject=str(ID), occurred_at=datetime(2026, 1, 1, tzinfo=UTC), audio_id=UUID(int=8)
    )
    row = dict(event_mapping.event_to_row(event))
    row["data"] = {**row["data"], "reason": "asked"}
    assert event_mapping.event_from_row(row) == event


@pytest.mark.parametrize(
    ("given_text", "kept_text"),
    [
        ("a\0b", "ab"),
        ("\0", ""),
        ("é\0é", "éé"),
        ("half \ud83d pair", "half \ufffd pair"),
        ("\udc80.mp3", "\ufffd.mp3"),
        ("\ud83d\ude00", "😀"),
        ("as it is: 録音", "as it is: 録音"),
    ],
)
def test_characters_that_postgresql_cannot_keep_do_not_reach_it(given_text: str, kept_text: str) -> None:
    assert storable(given_text) == kept_text


@given(st.text(st.characters(), max_size=20))
def test_whatever_an_engine_says_can_be_kept(said: str) -> None:
    kept = storable(said)
    assert "\0" not in kept
    assert kept.encode().decode() == kept


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_confidence_that_is_no_number_is_kept_as_unknown(number: float) -> None:
    word = Word("hm", 0.0, 1.0, number)
    segment = Segment(start_seconds=0.0, end_seconds=1.0, text="hm", words=(word,), confidence=number)
    row = stored(transcript_mapping.transcript_to_row(ID, Transcript(language=None, segments=(segment,)), revision=0))
    (back,) = transcript_mapping.transcript_from_row(row).segments
    assert back.confidence is None
    assert back.words[0].probability is None
