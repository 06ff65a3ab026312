"""What stands in OpenAI's answers, also where an engine tells less than they demand; and what a stream tells when."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from openai.types.audio import Transcription as OpenAITranscription
from openai.types.audio import TranscriptionTextDoneEvent

from hansard.domain.transcript import DecodingScores, Segment, Transcript, Word
from hansard.domain.transcription import Attempt, Parameters, Transcription
from hansard.http.openai import answers as openai_answers
from hansard.http.openai.errors import Unsupported
from hansard.http.openai.schemas import Language, TextDelta, TextDone, TokenUsage, TranscriptionForm, TranslationForm
from hansard.http.openai.stream import Telling

BARE = Segment(start_seconds=1.25, end_seconds=2.5, text="So be it.")
SCORED = replace(
    BARE,
    scores=DecodingScores(
        average_log_probability=-0.25, compression_ratio=1.5, no_speech_probability=0.01, temperature=0.4
    ),
)
TIMED = replace(BARE, words=(Word("So", 1.25, 1.5, 0.5), Word("be", 1.5, 2.0, 0.5), Word("it.", 2.0, 2.5, 0.5)))


def wish(**fields: Any) -> TranscriptionForm:
    return TranscriptionForm.model_construct(model="whisper-1", **fields)


def transcript(*segments: Segment, language: str | None = "en") -> Transcript:
    return Transcript(language=language, segments=segments)


NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def a_transcription(parameters: Parameters | None = None, *attempts: Attempt) -> Transcription:
    queued = Transcription.queue(audio_id=uuid4(), parameters=parameters or Parameters(), at=NOON)
    return replace(queued, attempts=attempts)


def attempt(input_tokens: int = 0, output_tokens: int = 0, *, recognised_seconds: float = 1.0) -> Attempt:
    return Attempt(
        number=1,
        engine="openai",
        model="gpt-4o-transcribe",
        started_at=NOON,
        recognised_seconds=recognised_seconds,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
    )


def verbose(heard: Transcript, parameters: Parameters | None = None, **fields: Any) -> dict[str, Any]:
    asked = wish(response_format="verbose_json", **fields)
    return json.loads(bytes(openai_answers.answer(a_transcription(parameters), heard, asked).body))


def segment_of(heard: Segment, parameters: Parameters | None = None) -> dict[str, Any]:
    return verbose(transcript(heard), parameters)["segments"][0]


def test_the_engine_s_own_scores_are_given() -> None:
    told = segment_of(SCORED)
    scores = [told[name] for name in ("avg_logprob", "compression_ratio", "no_speech_prob", "temperature")]
    assert scores == [-0.25, 1.5, 0.01, 0.4]


def test_without_scores_it_is_as_sure_as_its_words() -> None:
    assert segment_of(TIMED)["avg_logprob"] == pytest.approx(-0.693147)


def test_without_words_it_is_as_sure_as_the_engine_was_of_the_whole() -> None:
    assert segment_of(replace(BARE, confidence=0.5))["avg_logprob"] == pytest.approx(-0.693147)


def test_of_what_nothing_is_known_there_are_zeros() -> None:
    told = segment_of(BARE)
    assert [told[name] for name in ("avg_logprob", "no_speech_prob", "temperature")] == [0.0, 0.0, 0.0]


def test_a_text_that_repeats_itself_compresses_well() -> None:
    assert (
        segment_of(replace(BARE, text="again " * 50))["compression_ratio"] > 2.4 > segment_of(BARE)["compression_ratio"]
    )


def test_the_temperature_asked_for_is_told_where_the_engine_tells_none() -> None:
    assert segment_of(BARE, Parameters(temperature=0.8))["temperature"] == 0.8


@pytest.mark.parametrize(
    ("heard", "asked", "told"),
    [
        ("de", None, "german"),
        ("pt-BR", None, "portuguese"),
        (None, "fr", "french"),
        (None, None, "unknown"),
        ("tlh", None, "tlh"),
    ],
)
def test_a_language_is_called_by_its_name(heard: str | None, asked: str | None, told: str) -> None:
    assert verbose(transcript(BARE, language=heard), Parameters(language=asked))["language"] == told


def test_segments_without_text_are_none() -> None:
    told = verbose(transcript(replace(BARE, text=""), BARE))["segments"]
    assert [(segment["id"], segment["text"]) for segment in told] == [(0, "So be it.")]


def test_of_an_impossible_word_there_is_a_logarithm_all_the_same() -> None:
    (told,) = openai_answers.logprobs([replace(BARE, words=(Word("No", 0, 1, 0.0),))])
    assert told.logprob < -20


def test_speakers_are_letters_in_the_order_in_which_they_speak() -> None:
    said = [replace(BARE, speaker=speaker) for speaker in ("Zoe", "Ann", "Zoe", None)]
    told = list(openai_answers.diarized_segments(transcript(*said)))
    assert [segment.speaker for segment in told] == ["A", "B", "A", "unknown"]
    assert len({segment.id for segment in told}) == 4


def test_there_are_more_speakers_than_letters() -> None:
    said = [replace(BARE, speaker=str(number)) for number in range(54)]
    told = [segment.speaker for segment in openai_answers.diarized_segments(transcript(*said))]
    assert [told[number] for number in (25, 26, 27, 51, 52, 53)] == ["Z", "AA", "AB", "AZ", "BA", "BB"]


# ── What it took, and what was spoken ────────────────────────────────────────────────────────────────────


def plain(*attempts: Attempt, heard: Transcript | None = None) -> dict[str, Any]:
    asked = wish(response_format="json")
    body = bytes(openai_answers.answer(a_transcription(None, *attempts), heard or transcript(BARE), asked).body)
    OpenAITranscription.model_validate_json(body, strict=True)
    return json.loads(body)


def test_tokens_are_told_where_the_provider_counted_them_those_of_what_failed_too() -> None:
    usage = plain(attempt(10, 2), attempt(5, 0, recognised_seconds=0.0))["usage"]
    assert usage == {"type": "tokens", "input_tokens": 15, "output_tokens": 2, "total_tokens": 17}


def test_an_attempt_that_came_to_nothing_and_was_not_counted_changes_nothing() -> None:
    assert plain(attempt(recognised_seconds=0.0), attempt(10, 2))["usage"]["total_tokens"] == 12


@pytest.mark.parametrize("attempts", [(), (attempt(),), (attempt(10, 2), attempt())])
def test_the_duration_is_told_where_somebody_counted_no_tokens(attempts: tuple[Attempt, ...]) -> None:
    assert plain(*attempts)["usage"]["type"] == "duration"


def test_a_stream_ends_with_the_tokens_that_the_provider_counted() -> None:
    *_, done = Telling(wish(response_format="json")).end(a_transcription(None, attempt(10, 2)), transcript(BARE))
    assert isinstance(done, TextDone)
    assert done.usage == TokenUsage(input_tokens=10, output_tokens=2, total_tokens=12)
    TranscriptionTextDoneEvent.model_validate_json(done.model_dump_json(exclude_none=True), strict=True)


def test_languages_are_told_in_the_order_in_which_they_are_heard() -> None:
    spoken = [replace(BARE, language=language) for language in (None, "de", "en", "de")]
    assert plain(heard=transcript(*spoken))["languages"] == [{"code": "en"}, {"code": "de"}]


def test_a_language_that_the_engine_does_not_tell_is_none() -> None:
    assert plain(heard=transcript(BARE, language=None))["languages"] == []


def test_a_translation_has_no_languages() -> None:
    asked = TranslationForm.model_construct(model="whisper-1", response_format="json")
    answer = openai_answers.answer(a_transcription(), transcript(BARE), asked)
    assert "languages" not in json.loads(bytes(answer.body))


# ── Streams ──────────────────────────────────────────────────────────────────────────────────────────────

LATER = replace(BARE, start_seconds=3.0, end_seconds=4.0, text="So it was.")
WHOLE = TextDone(text="So be it. So it was.", languages=[Language(code="en")])


def test_each_look_tells_what_has_been_added() -> None:
    telling = Telling(wish(response_format="json"))
    assert list(telling.more(transcript())) == []
    assert list(telling.more(transcript(BARE))) == [TextDelta(delta="So be it.")]
    assert list(telling.more(transcript(BARE))) == []
    assert list(telling.end(a_transcription(), transcript(BARE, LATER))) == [TextDelta(delta=" So it was."), WHOLE]


def test_what_is_heard_again_before_what_was_told_is_in_the_whole_only() -> None:
    telling = Telling(wish(response_format="json"))
    list(telling.more(transcript(LATER)))
    assert list(telling.end(a_transcription(), transcript(BARE, LATER))) == [WHOLE]


def test_logprobs_that_an_engine_does_not_tell_end_a_stream() -> None:
    with pytest.raises(Unsupported):
        list(Telling(wish(response_format="json", include=["logprobs"])).more(transcript(BARE)))
