"""The engine over real HTTP, against a server that behaves as OpenAI's does."""

import math
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from email.utils import formatdate

import numpy as np
import psutil
import pytest

from hansard.application.engine_chain import EngineChain
from hansard.application.origin import acting, trace_given
from hansard.application.ports.engines import EngineCall, EngineState, Recognition, TokenUsage
from hansard.domain.audio import BYTES_PER_SECOND
from hansard.domain.errors import (
    Category,
    EngineError,
    EngineFailed,
    EngineNotAuthenticated,
    EngineRateLimited,
    EngineRejected,
    EngineStopped,
    EngineTimedOut,
    EngineUnavailable,
)
from hansard.domain.speech import Span, Speech
from hansard.domain.transcript import DecodingScores, Segment, Word
from hansard.domain.transcription import Status, Task
from hansard.engines import openai_answers
from hansard.engines.openai import OpenAiEngine
from tests.openai_server import (
    API_KEY,
    LOGPROB,
    TRANSLATIONS,
    Accident,
    Answer,
    OpenAiServer,
    Silence,
    as_json,
    break_off_in_the_middle,
    drop_the_connection,
    half_an_answer,
    html,
    never_answer,
    refusal,
    wrong_key,
)
from tests.workshop import Workshop, speech

CONFIDENCE = math.exp(LOGPROB)
SCORES = DecodingScores(
    average_log_probability=LOGPROB, compression_ratio=0.9, no_speech_probability=0.01, temperature=0.0
)
EASTER_NOON = 1_775_390_400

LEAVES_US_SOON = pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")
"""The SDK says so of translations, because OpenAI means to end them."""


@pytest.fixture
def server() -> Iterator[OpenAiServer]:
    with OpenAiServer() as running:
        yield running


def noise(seconds: float) -> bytes:
    samples = round(seconds * BYTES_PER_SECOND / 2)
    return np.random.default_rng(7).integers(-9000, 9000, samples, dtype="<i2").tobytes()


def recognise(server: OpenAiServer, seconds: float = 4, *, engine: dict | None = None, **asked) -> list[Segment]:
    return list(server.engine(**engine or {}).recognise(noise(seconds), Recognition(**asked)))


def error_after(server: OpenAiServer, *answers: Answer | Accident, engine: dict | None = None) -> EngineError:
    server.answer_with(*answers)
    with pytest.raises(EngineError) as caught:
        recognise(server, engine=engine)
    return caught.value


# ── What each model says ─────────────────────────────────────────────────────────────────────────────────


def test_whisper_gives_segments_with_timed_words(server: OpenAiServer) -> None:
    assert recognise(server, seconds=4, model="whisper-1") == [
        Segment(
            start_seconds=0.0,
            end_seconds=2.0,
            text="Order, order!",
            words=(Word("Order,", 0.0, 1.0), Word("order!", 1.0, 2.0)),
            confidence=CONFIDENCE,
            language="en",
            scores=SCORES,
        ),
        Segment(
            start_seconds=2.0,
            end_seconds=4.0,
            text="The House will rise.",
            words=(Word("The", 2.0, 2.5), Word("House", 2.5, 3.0), Word("will", 3.0, 3.5), Word("rise.", 3.5, 4.0)),
            confidence=CONFIDENCE,
            language="en",
            scores=SCORES,
        ),
    ]


@pytest.mark.parametrize("model", ["gpt-4o-transcribe", "gpt-4o-mini-transcribe", "gpt-4o-mini-transcribe-2025-12-15"])
def test_gpt_4o_gives_one_segment_and_how_sure_it_is(server: OpenAiServer, model: str) -> None:
    (segment,) = recognise(server, seconds=4, model=model, language="en")
    assert (segment.start_seconds, segment.end_seconds) == (0.0, 4.0)
    assert (segment.text, segment.language) == ("Order, order! The House will rise.", "en")
    assert segment.confidence == pytest.approx(CONFIDENCE)


def test_what_an_answer_cost_in_tokens_is_passed_on(server: OpenAiServer) -> None:
    call = EngineCall()
    list(server.engine(model="gpt-4o-transcribe").recognise(noise(1), Recognition(), call))
    assert call.usage == [TokenUsage(input_tokens=14, output_tokens=46)]


def test_an_answer_that_is_paid_by_the_minute_has_no_tokens(server: OpenAiServer) -> None:
    call = EngineCall()
    list(server.engine(model="whisper-1").recognise(noise(1), Recognition(), call))
    assert call.usage == []


@pytest.mark.parametrize(
    "usage", ["some", [], {"type": "tokens", "input_tokens": "many"}, {"input_tokens": -1, "output_tokens": 1}]
)
def test_a_bill_that_makes_no_sense_is_no_reason_to_lose_the_text(usage: object) -> None:
    answer = openai_answers.Answer.model_validate({"text": "Order.", "usage": usage})
    assert (answer.text, answer.tokens()) == ("Order.", ())


def test_gpt_transcribe_gives_one_segment_and_the_language_it_heard(server: OpenAiServer) -> None:
    (segment,) = recognise(server, model="gpt-transcribe")
    assert (segment.text, segment.language) == ("Order, order! The House will rise.", "en")


def test_the_diarizing_model_gives_segments_with_speakers(server: OpenAiServer) -> None:
    segments = recognise(server, seconds=40, model="gpt-4o-transcribe-diarize")
    assert [(segment.speaker, segment.start_seconds, segment.text) for segment in segments] == [
        ("A", 0.0, "Order, order!"),
        ("B", 20.0, "The House will rise."),
    ]


def test_the_engines_own_model_is_used_when_none_is_asked_for(server: OpenAiServer) -> None:
    recognise(server, engine={"model": "gpt-4o-transcribe"})
    assert server.received[0].field("model") == "gpt-4o-transcribe"


# ── Translations, languages, temperatures ────────────────────────────────────────────────────────────────


@LEAVES_US_SOON
def test_a_translation_is_asked_for_at_its_own_endpoint(server: OpenAiServer) -> None:
    segments = recognise(server, task=Task.TRANSLATE, language="de", prompt="A debate.", hotwords="Hansard")
    (received,) = server.received
    assert received.path == TRANSLATIONS
    assert received.fields == {
        "model": ["whisper-1"],
        "response_format": ["verbose_json"],
        "prompt": ["A debate. Hansard"],
    }
    assert [(segment.text, segment.language) for segment in segments] == [
        ("Order, order!", "en"),
        ("The House will rise.", "en"),
    ]


@LEAVES_US_SOON
def test_a_translation_is_english_even_if_the_answer_names_what_is_spoken(server: OpenAiServer) -> None:
    server.answer_with(as_json({"text": "Order!", "language": "german"}))
    call = EngineCall()
    (segment,) = server.engine().recognise(noise(1), Recognition(task=Task.TRANSLATE), call)
    assert (segment.language, call.spoken) == ("en", [])


def test_openais_translations_are_by_the_model_that_translates(server: OpenAiServer) -> None:
    engine = server.engine(base_url=None, model="gpt-4o-transcribe")
    assert engine.model_for(Recognition(task=Task.TRANSLATE)) == "whisper-1"
    with pytest.raises(EngineRejected) as refused:
        engine.model_for(Recognition(task=Task.TRANSLATE, model="gpt-4o-transcribe"))
    assert refused.value.failure.code == "translation_not_supported"


def test_another_server_may_translate_with_any_model(server: OpenAiServer) -> None:
    asked = Recognition(task=Task.TRANSLATE, model="large-v3")
    assert server.engine().model_for(asked) == "large-v3"
    assert server.engine(model="large-v2").model_for(replace(asked, model=None)) == "large-v2"


@LEAVES_US_SOON
@pytest.mark.parametrize("temperature", [0.0, 0.4])
@pytest.mark.parametrize("task", list(Task))
def test_a_temperature_is_passed_on_and_told(server: OpenAiServer, task: Task, temperature: float) -> None:
    segments = recognise(server, task=task, temperature=temperature)
    assert server.received[0].field("temperature") == str(temperature)
    assert {segment.scores and segment.scores.temperature for segment in segments} == {temperature}


def test_without_a_temperature_none_is_sent(server: OpenAiServer) -> None:
    recognise(server)
    assert server.received[0].field("temperature") is None


def test_the_language_that_was_detected_is_told(server: OpenAiServer) -> None:
    server.answer_with(as_json({"text": "Ordnung!", "language": "german"}))
    call = EngineCall()
    (segment,) = server.engine().recognise(noise(1), Recognition(), call)
    assert (segment.language, segment.language_probability, call.spoken) == ("de", None, ["de"])


def test_a_regional_language_is_sent_as_the_api_knows_it(server: OpenAiServer) -> None:
    recognise(server, language="pt-BR")
    assert server.received[0].field("language") == "pt"


@pytest.mark.parametrize("language", ["haw", "tlh"])
def test_a_language_that_openai_does_not_take_is_refused_before_anything_is_sent(
    server: OpenAiServer, language: str
) -> None:
    with pytest.raises(EngineRejected) as refused:
        server.engine(base_url=None).model_for(Recognition(language=language))
    assert refused.value.failure.code == "unsupported_language"


def test_another_server_may_know_any_language(server: OpenAiServer) -> None:
    recognise(server, language="haw")
    assert server.received[0].field("language") == "haw"


# ── What is sent ─────────────────────────────────────────────────────────────────────────────────────────


def test_the_upload_is_the_passage_itself_and_smaller(server: OpenAiServer) -> None:
    pcm = speech(3) + noise(1)
    list(server.engine().recognise(pcm, Recognition()))
    (received,) = server.received
    assert received.pcm == pcm
    assert len(received.file) < len(pcm)


def test_a_passage_too_short_for_the_api_is_filled_with_silence(server: OpenAiServer) -> None:
    segments = recognise(server, seconds=0.06)
    assert server.received[0].pcm == noise(0.06).ljust(3200, b"\0")
    assert segments[-1].end_seconds == 0.06


def test_a_planned_passage_never_comes_near_the_apis_limits(server: OpenAiServer) -> None:
    limits = server.engine().limits
    assert limits.seconds * BYTES_PER_SECOND < 25_000_000
    assert limits.seconds < 1400


@pytest.mark.parametrize("model", ["whisper-1", "gpt-4o-transcribe", "gpt-4o-transcribe-diarize"])
def test_the_language_is_sent_as_a_code(server: OpenAiServer, model: str) -> None:
    recognise(server, model=model, language="cy")
    assert server.received[0].fields["language"] == ["cy"]


def test_gpt_transcribe_is_told_the_language_in_its_own_field(server: OpenAiServer) -> None:
    recognise(server, model="gpt-transcribe", language="cy")
    (received,) = server.received
    assert received.fields["languages[]"] == ["cy"]
    assert "language" not in received.fields


def test_nothing_is_sent_that_was_not_asked_for(server: OpenAiServer) -> None:
    recognise(server, model="whisper-1")
    assert server.received[0].fields == {
        "model": ["whisper-1"],
        "response_format": ["verbose_json"],
        "timestamp_granularities[]": ["word", "segment"],
    }


@pytest.mark.parametrize("model", ["whisper-1", "gpt-4o-transcribe"])
def test_hotwords_are_heard_at_the_end_of_the_prompt(server: OpenAiServer, model: str) -> None:
    recognise(server, model=model, prompt="A debate.", hotwords="Hansard, Erskine May")
    assert server.received[0].fields["prompt"] == ["A debate. Hansard, Erskine May"]


def test_gpt_transcribe_takes_hotwords_as_keywords(server: OpenAiServer) -> None:
    recognise(server, model="gpt-transcribe", prompt="A debate.", hotwords="Hansard, Erskine May,")
    (received,) = server.received
    assert received.fields["prompt"] == ["A debate."]
    assert received.fields["keywords[]"] == ["Hansard", "Erskine May"]


# ── What comes back ──────────────────────────────────────────────────────────────────────────────────────


def test_times_beyond_the_passage_are_drawn_in(server: OpenAiServer) -> None:
    heard = {"start": 3.0, "end": 30.0, "text": " Order!", "avg_logprob": 0.1}
    server.answer_with(
        as_json({"text": "Order!", "segments": [heard], "words": [{"word": "Order", "start": 29.0, "end": 30.0}]})
    )
    (segment,) = recognise(server, seconds=4)
    assert (segment.start_seconds, segment.end_seconds, segment.confidence) == (3.0, 4.0, 1.0)
    assert segment.words == (Word("Order!", 4.0, 4.0),)


@pytest.mark.parametrize(
    ("text", "bare", "spelled"),
    [
        ('"Order," he said — "order!"', "Order he said order", ['"Order,"', "he", "said —", '"order!"']),
        ("twenty-one", "twenty one", ["twenty-", "one"]),
        ("静粛に、静粛に。", "静粛に 静粛に", ["静粛に、", "静粛に。"]),
        ("Order!", "Silence", ["Silence"]),
        ("Order!", "", []),
    ],
)
def test_words_are_spelled_as_in_the_text(server: OpenAiServer, text: str, bare: str, spelled: list[str]) -> None:
    words = [{"word": word, "start": at, "end": at + 1} for at, word in enumerate(bare.split())]
    server.answer_with(as_json({"text": text, "segments": [{"start": 0, "end": 4, "text": text}], "words": words}))
    (segment,) = recognise(server, seconds=4)
    assert [word.text for word in segment.words] == spelled


def test_words_timed_against_their_segment_are_brought_into_order(server: OpenAiServer) -> None:
    words = [
        {"word": word, "start": start, "end": end}
        for word, start, end in (("a", 0.0, 0.6), ("b", 0.5, 1.1), ("c", 1.0, 1.9), ("d", 1.8, 3.5))
    ]
    segments = [{"start": 0.2, "end": 1, "text": "a b"}, {"start": 1.2, "end": 3, "text": "c d"}]
    server.answer_with(as_json({"text": "a b c d", "segments": segments, "words": words}))
    first, second = recognise(server, seconds=4)
    assert first.words == (Word("a", 0.2, 0.6), Word("b", 0.6, 1.0))
    assert second.words == (Word("c", 1.2, 1.9), Word("d", 1.9, 3.0))


def test_a_segment_without_text_is_no_segment(server: OpenAiServer) -> None:
    empty, full = ({"start": at, "end": at + 1, "text": text} for at, text in ((0, " "), (1, "Hm.")))
    server.answer_with(as_json({"text": "Hm.", "segments": [empty, full]}))
    assert [segment.text for segment in recognise(server)] == ["Hm."]


@pytest.mark.parametrize("answer", [{"text": ""}, {"text": "", "segments": [], "words": []}])
def test_nothing_heard_is_no_segment(server: OpenAiServer, answer: dict) -> None:
    server.answer_with(as_json(answer))
    assert recognise(server) == []


@pytest.mark.parametrize(
    ("said", "understood"),
    [
        ({"language": "Haitian Creole"}, "ht"),
        ({"language": "de"}, "de"),
        ({"language": "klingon"}, None),
        ({"languages": [{"code": "fr"}]}, "fr"),
        ({"languages": [{"code": "fr"}, {"code": "en"}]}, None),
        ({"languages": []}, None),
        ({}, None),
    ],
)
def test_the_language_is_understood_or_left_open(server: OpenAiServer, said: dict, understood: str | None) -> None:
    server.answer_with(as_json({"text": "Hm.", **said}))
    assert recognise(server)[0].language == understood


def test_a_language_asked_for_is_believed_where_the_model_names_none(server: OpenAiServer) -> None:
    server.answer_with(as_json({"text": "Hm."}))
    assert recognise(server, language="cy")[0].language == "cy"


def test_a_server_that_times_nothing_gives_one_segment(server: OpenAiServer) -> None:
    server.answer_with(as_json({"text": "Hm.", "language": "english"}))
    (segment,) = recognise(server, seconds=4)
    assert (segment.start_seconds, segment.end_seconds, segment.confidence) == (0.0, 4.0, None)


# ── Readiness and models ─────────────────────────────────────────────────────────────────────────────────


def test_with_a_key_it_is_ready(server: OpenAiServer) -> None:
    assert server.engine().status().state is EngineState.READY


@pytest.mark.parametrize(
    ("engine", "cure"),
    [
        ({"api_key": None}, "OPENAI_API_KEY"),
        ({"api_key": " \n"}, "OPENAI_API_KEY"),
        ({"api_key": "sk-ключ"}, "OPENAI_API_KEY"),
        ({"offline": True}, "HANSARD_OFFLINE"),
    ],
)
def test_what_keeps_it_from_working_is_said_with_its_cure(server: OpenAiServer, engine: dict, cure: str) -> None:
    status = server.engine(**engine).status()
    assert status.state is EngineState.UNAVAILABLE
    assert cure in (status.help or "")
    with pytest.raises(EngineUnavailable):
        recognise(server, engine=engine)
    assert server.received == []


def test_a_key_that_ends_in_a_newline_still_works(server: OpenAiServer) -> None:
    assert recognise(server, engine={"api_key": f"{API_KEY}\n"})


def test_openai_itself_has_known_models_only(server: OpenAiServer) -> None:
    with pytest.raises(EngineRejected) as caught:
        server.engine(base_url=None).model_for(Recognition(model="parrot-1"))
    assert caught.value.failure.code == "unknown_model"
    assert "whisper-1, gpt-transcribe" in (caught.value.failure.help or "")


def test_a_model_of_the_settings_that_openai_does_not_have_is_told_at_once(server: OpenAiServer) -> None:
    engine = server.engine(base_url=None, model="parrot-1")
    assert engine.status().state is EngineState.UNAVAILABLE
    assert engine.status(Recognition(model="whisper-1")).state is EngineState.READY
    with pytest.raises(EngineUnavailable) as caught:
        engine.model_for(Recognition())
    assert caught.value.failure.code == "model_not_found"
    assert "HANSARD_OPENAI_MODEL" in (caught.value.failure.help or "")


def test_another_server_may_have_models_of_any_name(server: OpenAiServer) -> None:
    server.answer_with(as_json({"text": "Hm.", "segments": [{"start": 0, "end": 1, "text": "Hm."}]}))
    assert recognise(server, model="Systran/faster-whisper-base")[0].text == "Hm."
    assert server.received[0].field("response_format") == "verbose_json"


@pytest.mark.parametrize("asked", [{"prompt": "A debate."}, {"hotwords": "Hansard"}])
def test_the_diarizing_model_refuses_a_prompt_rather_than_ignore_it(server: OpenAiServer, asked: dict) -> None:
    with pytest.raises(EngineRejected) as caught:
        server.engine().model_for(Recognition(model="gpt-4o-transcribe-diarize", **asked))
    assert caught.value.failure.code == "prompt_not_supported"


# ── What goes wrong ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        (refusal(400, "Invalid file format."), EngineRejected, "engine_rejected"),
        (refusal(403, "Project may not use it."), EngineNotAuthenticated, "engine_not_authenticated"),
        (refusal(404, "No such model.", code="model_not_found"), EngineUnavailable, "model_not_found"),
        (refusal(408, "Request timeout."), EngineTimedOut, "engine_timed_out"),
        (refusal(409, "Conflict."), EngineFailed, "engine_failed"),
        (refusal(413, "Maximum content size limit exceeded."), EngineUnavailable, "passage_too_large"),
        (refusal(415, "Unsupported media type."), EngineRejected, "engine_rejected"),
        (as_json({"detail": "Not a language."}, status=422), EngineRejected, "engine_rejected"),
        (refusal(429, "Slow down.", code="rate_limit_exceeded"), EngineRateLimited, "engine_rate_limited"),
        (refusal(429, "No credit.", code="insufficient_quota"), EngineUnavailable, "quota_exhausted"),
        (refusal(429, "No credit.", type="insufficient_quota"), EngineUnavailable, "quota_exhausted"),
        (refusal(500, "The server had an error.", type="server_error"), EngineFailed, "engine_failed"),
        (refusal(503, "Overloaded."), EngineFailed, "engine_failed"),
        (html(502), EngineFailed, "engine_failed"),
    ],
)
def test_each_status_is_told_apart_by_what_to_do(
    server: OpenAiServer, answer: Answer, kind: type[EngineError], code: str
) -> None:
    error = error_after(server, answer)
    assert type(error) is kind
    assert error.failure.code == code
    assert (error.failure.engine, error.failure.provider_status) == ("openai", answer.status)
    assert error.failure.provider_request_id == "req_1"


def test_a_model_that_the_request_named_is_the_callers_to_put_right(server: OpenAiServer) -> None:
    with pytest.raises(EngineRejected) as caught:
        recognise(server, model="parrot-1")
    assert (caught.value.failure.code, caught.value.failure.provider_status) == ("unknown_model", 404)


def test_a_model_of_the_settings_is_the_operators_to_put_right(server: OpenAiServer) -> None:
    with pytest.raises(EngineUnavailable) as caught:
        recognise(server, engine={"model": "parrot-1"})
    assert caught.value.failure.category is Category.CONFIGURATION
    assert "HANSARD_OPENAI_MODEL" in (caught.value.failure.help or "")


def test_the_servers_own_words_are_passed_on(server: OpenAiServer) -> None:
    error = error_after(server, refusal(400, "Invalid language 'xx'."))
    assert str(error) == "127.0.0.1 answered 400: Invalid language 'xx'."


def test_a_page_of_html_is_not(server: OpenAiServer) -> None:
    assert str(error_after(server, html(502))) == "127.0.0.1 answered 502: Bad Gateway."


def test_it_does_not_try_again_by_itself(server: OpenAiServer) -> None:
    error_after(server, refusal(500, "The server had an error."))
    assert len(server.received) == 1


def test_no_money_is_not_a_rate_limit(server: OpenAiServer) -> None:
    error = error_after(server, refusal(429, "You exceeded your current quota.", code="insufficient_quota"))
    assert (error.failure.category, error.failure.retryable) == (Category.CONFIGURATION, False)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry_after": "20"}, 20),
        ({"retry_after": formatdate(EASTER_NOON + 90, usegmt=True), "date": formatdate(EASTER_NOON, usegmt=True)}, 90),
        ({"retry_after": formatdate(EASTER_NOON - 90, usegmt=True), "date": formatdate(EASTER_NOON, usegmt=True)}, 0),
        ({"retry_after": "0"}, 0),
        ({"retry_after": "1.5"}, 1.5),
        ({"retry_after_ms": "1500", "retry_after": "2"}, 1.5),
        ({"retry_after_ms": "soon", "retry_after": "2"}, 2),
        ({"retry_after": "soon"}, None),
        ({"retry_after": "-20"}, None),
        ({"retry_after": "nan"}, None),
        ({"retry_after": "inf"}, None),
        ({"retry_after": "9" * 400}, None),
        ({"retry_after": "86400"}, 86_400),
        ({"retry_after": "86401"}, None),
        ({"retry_after": "Sun, 05 Apr 2099 12:00:00 GMT"}, None),
        ({"retry_after": "Sun, 05 Apr 99999999 12:00:00 GMT"}, None),
        ({"retry_after": "Sun, 05 Apr 2026 12:00:00 +" + "9" * 400}, None),
        ({"retry_after": formatdate(EASTER_NOON, usegmt=True), "date": "noon"}, None),
        ({}, None),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_the_servers_wish_when_to_come_back_is_heard(
    server: OpenAiServer, status: int, headers: dict[str, str], seconds: float | None
) -> None:
    assert error_after(server, refusal(status, "Slow down.", **headers)).retry_after_seconds == seconds


def test_a_refused_key_is_not_shown(server: OpenAiServer) -> None:
    error = error_after(server, wrong_key())
    assert isinstance(error, EngineNotAuthenticated)
    assert API_KEY[-4:] not in str(error)
    assert "OPENAI_API_KEY" in (error.failure.help or "")


def test_a_key_that_a_server_repeats_is_not_shown(server: OpenAiServer) -> None:
    assert API_KEY not in str(error_after(server, refusal(400, f"Bad header: Bearer {API_KEY}")))


def test_a_word_that_stands_in_for_a_key_is_no_secret(server: OpenAiServer) -> None:
    error = error_after(server, refusal(400, "None of these."), engine={"api_key": "None"})
    assert str(error).endswith("None of these.")


def test_no_answer_in_time_is_a_time_out(server: OpenAiServer) -> None:
    error = error_after(server, never_answer, engine={"timeout_seconds": 0.2})
    assert isinstance(error, EngineTimedOut)
    assert "within 0.2 s" in str(error)


@pytest.mark.parametrize("accident", [drop_the_connection, break_off_in_the_middle])
def test_a_lost_connection_is_worth_another_try(server: OpenAiServer, accident: Accident) -> None:
    error = error_after(server, accident)
    assert isinstance(error, EngineFailed)
    assert (error.failure.code, error.failure.retryable) == ("connection_failed", True)


def test_a_call_names_the_request_and_the_trace_it_is_made_for(server: OpenAiServer) -> None:
    traceparent = f"00-{'a' * 32}-{'b' * 16}-01"
    with acting(request_id="r-1", **trace_given([traceparent], ["vendor=1"])):
        recognise(server)
        recognise(server)

    first, second = (received.headers for received in server.received)
    assert (first["x-request-id"], first["traceparent"], first["tracestate"]) == ("r-1", traceparent, "vendor=1")
    assert first["x-client-request-id"].startswith("r-1-")
    assert first["x-client-request-id"] != second["x-client-request-id"]


def test_a_call_for_nobody_still_has_an_id_of_its_own(server: OpenAiServer) -> None:
    recognise(server)

    headers = server.received[0].headers
    assert headers["x-client-request-id"]
    assert "traceparent" not in headers


@pytest.mark.parametrize(
    ("answer", "request_ids"),
    [
        (as_json({"text": "Hm."}), ["req_1"]),
        (as_json({"text": None}), ["req_1"]),
        (refusal(500, "The server had an error."), ["req_1"]),
        (wrong_key(), ["req_1"]),
        (break_off_in_the_middle, ["req_half"]),
        (drop_the_connection, []),
    ],
)
def test_the_request_id_is_told_however_it_ends(
    server: OpenAiServer, answer: Answer | Accident, request_ids: list[str]
) -> None:
    server.answer_with(answer)
    call = EngineCall()
    failure = None
    try:
        list(server.engine().recognise(noise(1), Recognition(), call))
    except EngineError as error:
        failure = error.failure
    assert call.request_ids == request_ids
    assert failure is None or failure.provider_request_id == next(iter(request_ids), None)


def test_each_request_of_a_call_is_told(server: OpenAiServer) -> None:
    engine, call = server.engine(), EngineCall()
    for _ in range(2):
        list(engine.recognise(noise(1), Recognition(), call))
    assert call.request_ids == ["req_1", "req_2"]


def test_nobody_at_that_address_says_where_it_looked() -> None:
    with OpenAiServer() as gone:
        engine = gone.engine()
    with pytest.raises(EngineFailed, match=r"No connection to 127\.0\.0\.1") as caught:
        list(engine.recognise(noise(1), Recognition()))
    assert caught.value.failure.code == "connection_failed"


@pytest.mark.parametrize("base_url", ["localhost:9", "ftp://localhost/v1", "http://[oops/v1"])
def test_an_address_that_is_none_is_an_engines_error(server: OpenAiServer, base_url: str) -> None:
    with pytest.raises(EngineError):
        recognise(server, engine={"base_url": base_url})


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, b"", {"content-type": "application/json"}),
        Answer(200, b"Order, order!", {"content-type": "text/plain"}),
        Answer(200, b'{"text": "Ord', {"content-type": "application/json"}),
        html(200, "<html>Log in to the network</html>"),
        as_json([]),
        as_json("Order!"),
        as_json({"object": "list"}),
        as_json({"text": None}),
        as_json({"text": "Hm.", "segments": [{"text": "Hm."}]}),
        as_json({"text": "Hm.", "segments": [{"start": "soon", "end": 1, "text": "Hm."}]}),
        as_json({"text": "Hm.", "segments": [{"start": math.nan, "end": 1, "text": "Hm."}]}),
        as_json({"text": "Hm.", "segments": "none"}),
        as_json({"text": "Hm.", "words": [{"start": 0, "end": 1}]}),
    ],
)
def test_an_answer_that_is_no_transcription_is_a_failure(server: OpenAiServer, answer: Answer) -> None:
    error = error_after(server, answer)
    assert isinstance(error, EngineFailed)
    assert (error.failure.code, error.failure.provider_status) == ("bad_answer", 200)
    assert error.failure.provider_request_id == "req_1"


def test_a_bad_answers_words_stay_out_of_the_errors_chain(server: OpenAiServer) -> None:
    error = error_after(server, as_json({"text": "The secret is out.", "segments": ["The secret is out."]}))
    assert "secret" not in str(error)
    assert "secret" not in str(error.__cause__)


# ── Giving up ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


def begin(pool: ThreadPoolExecutor, engine: OpenAiEngine, call: EngineCall) -> "Future[list[Segment]]":
    return pool.submit(list, engine.recognise(noise(1), Recognition(), call))


@pytest.mark.parametrize(("silence", "request_ids"), [(Silence, []), (half_an_answer, ["req_half"])])
def test_a_call_wanted_no_more_is_given_up_and_its_connection_closed(
    server: OpenAiServer, pool: ThreadPoolExecutor, silence: Callable[[], Silence], request_ids: list[str]
) -> None:
    silent, engine, call = silence(), server.engine(), EngineCall()
    server.answer_with(silent)
    asked = begin(pool, engine, call)
    assert silent.asked.wait(10)
    while call.request_ids != request_ids:
        time.sleep(0.001)
    call.stop.set()
    with pytest.raises(EngineStopped):
        asked.result()
    assert silent.left.wait(10)
    assert list(engine.recognise(noise(1), Recognition()))


def test_a_connection_that_does_not_come_about_is_given_up(server: OpenAiServer, pool: ThreadPoolExecutor) -> None:
    with ExitStack() as stack:
        deaf = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        fill_the_backlog(deaf, stack)
        call = EngineCall()
        engine = server.engine(base_url=f"http://127.0.0.1:{deaf.getsockname()[1]}/v1")
        asked = begin(pool, engine, call)
        while not is_knocking_at(deaf):
            time.sleep(0.01)
        call.stop.set()
        with pytest.raises(EngineStopped):
            asked.result()


def fill_the_backlog(deaf: socket.socket, stack: ExitStack) -> None:
    """Until the system leaves the next one without an answer."""
    while True:
        knocking = stack.enter_context(socket.socket())
        knocking.settimeout(0.2)
        try:
            knocking.connect(deaf.getsockname())
        except TimeoutError:
            knocking.close()
            return


def is_knocking_at(deaf: socket.socket) -> bool:
    ours = psutil.Process().net_connections("tcp4")
    return any(one.status == psutil.CONN_SYN_SENT and one.raddr == deaf.getsockname() for one in ours)


def test_a_call_given_up_does_not_disturb_the_others(server: OpenAiServer, pool: ThreadPoolExecutor) -> None:
    silences, calls, engine = [Silence() for _ in range(3)], [EngineCall() for _ in range(3)], server.engine()
    server.answer_with(*silences)
    asked = [begin(pool, engine, call) for call in calls]
    assert all(silent.asked.wait(10) for silent in silences)
    calls[1].stop.set()
    with pytest.raises(EngineStopped):
        asked[1].result()
    assert list(engine.recognise(noise(1), Recognition()))
    assert [answer.done() for answer in asked] == [False, True, False]
    for call in calls:
        call.stop.set()


def test_a_call_stopped_beforehand_sends_nothing(server: OpenAiServer) -> None:
    call = EngineCall()
    call.stop.set()
    with pytest.raises(EngineStopped):
        list(server.engine().recognise(noise(1), Recognition(), call))
    assert server.received == []


# ── Through the use case ─────────────────────────────────────────────────────────────────────────────────


def test_a_recording_too_long_for_the_api_is_cut_at_silences_and_stitched(server: OpenAiServer) -> None:
    """1600 s: four stretches of speech, each of another loudness, with pauses of 20 s between them."""
    stretches = [Span(0, 280), Span(300, 560), Span(580, 1150), Span(1170, 1600)]
    shop = Workshop(engine=server.engine(model="gpt-4o-transcribe"))
    transcription = shop.submitted(speech(1))
    recording = bytearray(1600 * BYTES_PER_SECOND)
    for loudness, span in enumerate(stretches, start=1):
        start, end = (round(seconds * BYTES_PER_SECOND) for seconds in (span.start_seconds, span.end_seconds))
        recording[start:end] = bytes([loudness]) * (end - start)
    with shop.database.unit_of_work() as uow:
        taken = uow.transcriptions.get(transcription.id)
        run = taken.start(shop.clock())
        uow.transcriptions.save(taken)
        uow.transcripts.save_speech(taken.id, Speech(audio_seconds=1600, regions=tuple(stretches)))
        uow.commit()
    shop.prepared.write(transcription.id, [bytes(recording)])

    # The server says far too little for so long a recording: that is not what this is about.
    replace(shop.steps.recognise, gap_seconds=math.inf)(transcription.id, run)
    shop.steps.settle(transcription.id, run)

    planned = [(0, 280), (300, 560), (580, 865), (865, 1150), (1170, 1385), (1385, 1600)]
    segments = shop.database.transcripts[transcription.id].segments
    assert [(segment.start_seconds, segment.end_seconds) for segment in segments] == planned
    heard = [recording[start * BYTES_PER_SECOND : end * BYTES_PER_SECOND] for start, end in planned]
    assert [received.pcm for received in server.received] == heard


def test_the_provider_is_tried_again_when_it_said_and_the_record_tells_so(server: OpenAiServer) -> None:
    shop = Workshop(engine=server.engine())
    server.answer_with(refusal(429, "Slow down.", retry_after="30"))
    done = shop.transcribe(shop.submitted(speech(2)).id)
    assert done.status is Status.COMPLETED
    assert sum(shop.clock.slept) == 30
    failure = done.attempts[0].failure
    assert failure is not None
    assert (failure.code, failure.provider_status, failure.provider_request_id) == ("engine_rate_limited", 429, "req_1")


def test_the_language_heard_first_is_asked_for_afterwards(server: OpenAiServer) -> None:
    shop = Workshop(engine=server.engine())
    silence = bytes(len(speech(12)))
    shop.transcribe(shop.submitted(speech(2) + silence + speech(2)).id)
    assert [received.field("language") for received in server.received] == [None, "en"]


def test_an_engine_without_a_key_is_passed_over(server: OpenAiServer) -> None:
    engine = server.engine(api_key=None)
    chain = EngineChain({engine.name: engine}, (engine.name,))
    with pytest.raises(EngineUnavailable, match="no API key"):
        chain.require_ready(engine, Recognition(), on_wait=[].append, wait=[].append)
