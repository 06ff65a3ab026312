"""The offline engine hears real speech, in a process of its own."""

import os
import signal
import wave
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from hansard.application.ports.engines import EngineCall, Recognition
from hansard.domain.audio import BYTES_PER_SECOND
from hansard.domain.errors import EngineCrashed, EngineRejected, EngineStopped
from hansard.domain.transcription import Task
from hansard.engines.pocketsphinx import PocketSphinxEngine, written

WORDS = "one two three four five"


@pytest.fixture(scope="module")
def engine() -> Iterator[PocketSphinxEngine]:
    engine = PocketSphinxEngine()
    yield engine
    engine.child.stop()


@pytest.fixture(scope="module")
def five() -> bytes:
    with wave.open(str(Path(__file__).parent.parent / "data" / "five.wav")) as recording:
        return recording.readframes(recording.getnframes())


def text(engine: PocketSphinxEngine, pcm: bytes) -> str:
    return " ".join(segment.text for segment in engine.recognise(pcm, Recognition()))


def test_it_hears_what_was_said(engine: PocketSphinxEngine, five: bytes) -> None:
    assert text(engine, five) == WORDS


def test_words_have_times_of_their_own(engine: PocketSphinxEngine, five: bytes) -> None:
    (segment,) = engine.recognise(five, Recognition())
    assert [word.text for word in segment.words] == WORDS.split()
    assert all(0.1 < word.end_seconds - word.start_seconds < 0.6 for word in segment.words)
    assert segment.start_seconds == segment.words[0].start_seconds > 0.1


def test_a_segment_says_nothing_that_the_engine_does_not_know(engine: PocketSphinxEngine, five: bytes) -> None:
    (segment,) = engine.recognise(five, Recognition())
    assert (segment.language, segment.language_probability, segment.scores) == ("en", None, None)
    assert "takes all speech for US English" in engine.degraded_reason


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (Recognition(task=Task.TRANSLATE), "translation_not_supported"),
        (Recognition(temperature=0.0), "temperature_not_supported"),
        (Recognition(language="de"), "unsupported_language"),
    ],
)
def test_what_it_cannot_do_it_refuses(engine: PocketSphinxEngine, request_: Recognition, code: str) -> None:
    with pytest.raises(EngineRejected) as refused:
        engine.model_for(request_)
    assert refused.value.failure.code == code


def test_a_pause_leaves_no_mark_in_the_text(engine: PocketSphinxEngine, five: bytes) -> None:
    pause = bytes(BYTES_PER_SECOND)
    assert text(engine, five + pause + five) == f"{WORDS} {WORDS}"


@pytest.mark.parametrize(
    ("heard", "text"),
    [("read(2)", "read"), ("<sil>", ""), ("</s>", ""), ("[NOISE]", ""), ("++UM++", ""), ("o'er", "o'er")],
)
def test_the_decoders_own_marks_are_not_words(heard: str, text: str) -> None:
    assert written(heard) == text


def test_a_passage_does_not_colour_the_next_one(engine: PocketSphinxEngine, five: bytes) -> None:
    noise = (np.random.default_rng(0).normal(0, 8000, 5 * 16_000)).astype("<i2").tobytes()
    before = tuple(engine.recognise(five, Recognition()))
    text(engine, noise)
    assert tuple(engine.recognise(five, Recognition())) == before


@pytest.mark.parametrize("pcm", [b"", b"\0", bytes(2), bytes(320)])
def test_next_to_nothing_holds_no_words(engine: PocketSphinxEngine, pcm: bytes, five: bytes) -> None:
    assert text(engine, pcm) == ""
    assert text(engine, five) == WORDS


@pytest.mark.parametrize("language", [None, "en", "en-GB", "EN"])
def test_english_by_any_name_is_understood(engine: PocketSphinxEngine, language: str | None) -> None:
    assert engine.model_for(Recognition(language=language)) == "en-us"


def test_other_languages_are_refused_with_the_way_out(engine: PocketSphinxEngine) -> None:
    with pytest.raises(EngineRejected, match="English only") as refused:
        engine.model_for(Recognition(language="de"))
    assert refused.value.failure.code == "unsupported_language"
    assert "Whisper" in (refused.value.failure.help or "")


def test_other_models_are_refused(engine: PocketSphinxEngine) -> None:
    with pytest.raises(EngineRejected) as refused:
        engine.model_for(Recognition(model="whisper-1"))
    assert refused.value.failure.code == "unknown_model"


def test_a_long_passage_is_given_up_when_it_is_wanted_no_more(engine: PocketSphinxEngine, five: bytes) -> None:
    call = EngineCall()
    with ThreadPoolExecutor(1) as pool:
        heard = pool.submit(list, engine.recognise(100 * five, Recognition(), call))
        call.stop.set()
        with pytest.raises(EngineStopped):
            heard.result()
    assert text(engine, five) == WORDS


def test_a_decoder_killed_at_work_is_a_crash_and_the_next_call_works(engine: PocketSphinxEngine, five: bytes) -> None:
    text(engine, five)
    pid = engine.child.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    with ThreadPoolExecutor(1) as pool:
        heard = pool.submit(text, engine, five)
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(EngineCrashed) as crashed:
            heard.result()
    assert crashed.value.failure.engine == "pocketsphinx"
    assert text(engine, five) == WORDS
