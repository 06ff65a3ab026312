"""What every `SpeechEngine` promises. To hold another engine to it, add it to `ENGINES`."""

import wave
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path

import pytest

from hansard.application.ports.engines import EngineCall, EngineState, Recognition, SpeechEngine
from hansard.domain.audio import BYTES_PER_SECOND
from hansard.domain.errors import EngineError, EngineRejected, EngineStopped
from hansard.domain.transcript import Segment
from hansard.engines.mock import MockEngine
from hansard.engines.pocketsphinx import PocketSphinxEngine
from hansard.engines.whisper import WhisperEngine
from hansard.engines.whisper_models import WhisperModels
from tests.fakes import FakeEngine
from tests.openai_server import OpenAiServer
from tests.tiny_whisper import build_tiny_whisper

FIVE = Path(__file__).parent.parent / "data" / "five.wav"


def whisper(directory: Path, *, batch_size: int) -> SpeechEngine:
    model = build_tiny_whisper(directory / "tiny-whisper")
    return WhisperEngine(
        WhisperModels(directory / "models", offline=True),
        model=str(model),
        device="cpu",
        compute_type="default",
        beam_size=5,
        batch_size=batch_size,
        threads=1,
    )


# Each is made once for the module, with an empty directory of its own.
ENGINES: dict[str, Callable[[Path], SpeechEngine]] = {
    "fake": lambda directory: FakeEngine(),
    "mock": lambda directory: MockEngine(testing=True),
    "openai": lambda directory: OpenAiServer.lasting_engine(),
    "pocketsphinx": lambda directory: PocketSphinxEngine(),
    "whisper": lambda directory: whisper(directory, batch_size=1),
    "whisper-batched": lambda directory: whisper(directory, batch_size=2),
}

PROVIDERS = {"openai"}
"""Engines that ask somebody else."""

# For each engine that is choosy, a request it cannot honour.
IMPOSSIBLE: dict[str, Recognition] = {
    "mock": Recognition(model="nonsense"),
    "openai": Recognition(model="gpt-4o-transcribe-diarize", prompt="One, two."),
    "pocketsphinx": Recognition(language="de"),
    "whisper": Recognition(language="xx"),
    "whisper-batched": Recognition(model="/no/such/directory"),
}


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> SpeechEngine:
    return ENGINES[request.param](tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def speech() -> bytes:
    with wave.open(str(FIVE)) as recording:
        return recording.readframes(recording.getnframes())


@pytest.fixture
def segments(engine: SpeechEngine, speech: bytes) -> list[Segment]:
    return list(engine.recognise(speech, Recognition(language="en")))


def test_speech_becomes_text(segments: list[Segment]) -> None:
    assert segments
    assert all(segment.text and segment.text == segment.text.strip() for segment in segments)


def test_segments_lie_in_order_inside_the_passage(segments: list[Segment], speech: bytes) -> None:
    edges = [edge for segment in segments for edge in (segment.start_seconds, segment.end_seconds)]
    assert edges == sorted(edges)
    assert edges[0] >= 0
    assert edges[-1] <= len(speech) / BYTES_PER_SECOND


def test_words_lie_in_order_inside_their_segment(segments: list[Segment]) -> None:
    for segment in segments:
        words = [edge for word in segment.words for edge in (word.start_seconds, word.end_seconds)]
        edges = [segment.start_seconds, *words, segment.end_seconds]
        assert edges == sorted(edges)


def test_words_spell_the_text(segments: list[Segment]) -> None:
    for segment in segments:
        assert not segment.words or " ".join(word.text for word in segment.words) == segment.text


def test_confidence_is_a_plain_number_from_0_to_1(segments: list[Segment]) -> None:
    numbers = [word.probability for segment in segments for word in segment.words]
    numbers += [segment.confidence for segment in segments]
    assert all(number is None or (type(number) is float and 0 <= number <= 1) for number in numbers)


def test_the_language_asked_for_is_the_language_told(segments: list[Segment]) -> None:
    assert {segment.language for segment in segments} == {"en"}


def test_it_is_ready_here_and_names_its_model(engine: SpeechEngine) -> None:
    assert engine.status().state is EngineState.READY
    assert engine.model_for(Recognition())


def test_it_says_what_it_takes_in_one_go(engine: SpeechEngine) -> None:
    assert engine.limits.seconds >= 1
    assert engine.limits.pause_seconds >= 0


def test_hints_never_stop_it(engine: SpeechEngine, speech: bytes) -> None:
    hints = Recognition(prompt="One, two.", hotwords="three four")
    assert list(engine.recognise(speech, hints))


def test_a_caller_that_pauses_or_stops_half_way_is_in_nobodys_way(engine: SpeechEngine, speech: bytes) -> None:
    half = engine.recognise(speech, Recognition())
    next(half)
    assert list(engine.recognise(speech, Recognition()))
    del half
    assert list(engine.recognise(speech, Recognition()))


def test_threads_may_share_it(engine: SpeechEngine, speech: bytes) -> None:
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda _: list(engine.recognise(speech, Recognition())), range(3)))
    assert all(answers)


# ── Stopping ─────────────────────────────────────────────────────────────────────────────────────────────


def what_is_said(segments: Iterator[Segment]) -> list[Segment]:
    """Up to the end, or until the engine says that it was stopped."""
    said = []
    with suppress(EngineStopped):
        said.extend(segments)
    return said


def test_a_call_stopped_before_it_began_says_nothing(engine: SpeechEngine, speech: bytes) -> None:
    call = EngineCall()
    call.stop.set()
    assert what_is_said(engine.recognise(speech, Recognition(), call)) == []
    assert call.request_ids == []


def test_a_call_stopped_half_way_says_no_more(engine: SpeechEngine, speech: bytes) -> None:
    call = EngineCall()
    segments = engine.recognise(speech, Recognition(), call)
    next(segments)
    call.stop.set()
    assert what_is_said(segments) == []


@pytest.mark.parametrize("after_seconds", [0.0, 0.01, 0.05])
def test_a_call_stopped_from_another_thread_ends_and_the_next_one_works(
    engine: SpeechEngine, speech: bytes, after_seconds: float
) -> None:
    call = EngineCall()
    with ThreadPoolExecutor(1) as pool:
        said = pool.submit(what_is_said, engine.recognise(speech, Recognition(), call))
        wait([said], after_seconds)
        call.stop.set()
        said.result()
    assert list(engine.recognise(speech, Recognition(), EngineCall()))


def test_a_call_tells_the_providers_request_ids(engine: SpeechEngine, speech: bytes) -> None:
    call = EngineCall()
    assert list(engine.recognise(speech, Recognition(), call))
    assert len(call.request_ids) == (engine.name in PROVIDERS)
    assert all(call.request_ids)


# ── Refusing ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(params=IMPOSSIBLE)
def choosy(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[SpeechEngine, Recognition]:
    engine = ENGINES[request.param](tmp_path_factory.mktemp(request.param))
    return engine, IMPOSSIBLE[request.param]


def test_what_it_cannot_honour_it_refuses_beforehand(choosy: tuple[SpeechEngine, Recognition]) -> None:
    engine, impossible = choosy
    with pytest.raises(EngineRejected) as refused:
        engine.model_for(impossible)
    assert refused.value.failure.engine == engine.name
    assert refused.value.failure.help


def test_what_it_cannot_honour_it_refuses_when_asked_to_listen(
    choosy: tuple[SpeechEngine, Recognition], speech: bytes
) -> None:
    engine, impossible = choosy
    with pytest.raises(EngineError):
        list(engine.recognise(speech, impossible))
