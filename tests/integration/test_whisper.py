"""Whisper through the real loader and the real decoder, on a tiny model that the tests make themselves."""

import math
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import ctranslate2
import numpy as np
import pytest
from faster_whisper.utils import _MODELS
from loguru import logger
from threadpoolctl import threadpool_info, threadpool_limits

from hansard.application.ports.engines import EngineCall, EngineState, Recognition
from hansard.domain.errors import EngineError, EngineRejected, EngineStopped, EngineUnavailable
from hansard.domain.transcript import DecodingScores
from hansard.domain.transcription import Task
from hansard.engines.whisper import WhisperEngine
from hansard.engines.whisper_models import REPOSITORIES, WhisperModels
from tests.tiny_whisper import SENTENCES, TEXT, TRANSLATION, build_tiny_whisper

FIVE_SECONDS = bytes(5 * 32_000)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_whisper(tmp_path_factory.mktemp("whisper") / "tiny")


def whisper(
    model: Path | str | None,
    *,
    models: WhisperModels | None = None,
    device: str = "cpu",
    compute_type: str = "default",
    batch_size: int = 1,
    on_load: Callable[[float], object] = lambda _: None,
):
    return WhisperEngine(
        models or WhisperModels(Path("/nonexistent"), offline=True, hub_cache=Path("/nonexistent")),
        model=None if model is None else str(model),
        device=device,
        compute_type=compute_type,
        beam_size=5,
        batch_size=batch_size,
        threads=1,
        on_load=on_load,
    )


@pytest.fixture(scope="module")
def engine(tiny: Path) -> WhisperEngine:
    return whisper(tiny)


def text(engine: WhisperEngine, pcm: bytes, request: Recognition | None = None) -> str:
    return " ".join(segment.text for segment in engine.recognise(pcm, request or Recognition()))


def noise(seconds: float) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 3000, int(seconds * 16_000))


def pcm(samples: np.ndarray) -> bytes:
    return samples.astype("<i2").tobytes()


def test_segments_carry_text_times_and_the_detected_language(engine: WhisperEngine) -> None:
    segments = list(engine.recognise(FIVE_SECONDS, Recognition()))
    assert [segment.text for segment in segments] == list(SENTENCES)
    assert {segment.language for segment in segments} == {"en"}
    assert all((segment.confidence or 0) > 0.9 for segment in segments)


def test_words_stand_where_the_attention_is(engine: WhisperEngine) -> None:
    words = [word for segment in engine.recognise(FIVE_SECONDS, Recognition()) for word in segment.words]
    assert [word.text for word in words] == TEXT.split()
    assert [word.start_seconds for word in words[1:]] == pytest.approx([0.6, 1.0, 1.2, 1.6, 2.2, 2.4], abs=0.3)


def test_a_language_that_is_given_is_not_detected(engine: WhisperEngine) -> None:
    (first, *_) = engine.recognise(FIVE_SECONDS, Recognition(language="de-AT"))
    assert first.language == "de"


def test_a_detected_language_comes_with_its_probability(engine: WhisperEngine) -> None:
    call = EngineCall()
    segments = list(engine.recognise(FIVE_SECONDS, Recognition(), call))
    assert all(0 < (segment.language_probability or 0) <= 1 for segment in segments)
    assert call.spoken == ["en"]


def test_a_given_language_has_no_probability(engine: WhisperEngine) -> None:
    call = EngineCall()
    segments = list(engine.recognise(FIVE_SECONDS, Recognition(language="en"), call))
    assert {segment.language_probability for segment in segments} == {None}
    assert call.spoken == []


def test_a_model_that_knows_one_language_detects_none(tmp_path: Path) -> None:
    english = whisper(build_tiny_whisper(tmp_path / "tiny.en", multilingual=False))
    segments = list(english.recognise(FIVE_SECONDS, Recognition()))
    assert {(segment.language, segment.language_probability) for segment in segments} == {("en", None)}


@pytest.mark.parametrize("batch_size", [1, 4])
def test_a_translation_is_english_whatever_is_spoken(tiny: Path, batch_size: int) -> None:
    translating = whisper(tiny, batch_size=batch_size)
    (segment,) = translating.recognise(FIVE_SECONDS, Recognition(task=Task.TRANSLATE, language="de"))
    assert (segment.text, segment.language, segment.language_probability) == (TRANSLATION, "en", None)
    assert (segment.words, segment.end_seconds) == ((), pytest.approx(3.0, abs=0.1))


def test_a_translation_tells_what_was_spoken(engine: WhisperEngine) -> None:
    call = EngineCall()
    list(engine.recognise(FIVE_SECONDS, Recognition(task=Task.TRANSLATE), call))
    assert call.spoken == ["en"]


@pytest.mark.parametrize(
    "model", ["small.en", "large-v3-turbo", "turbo", "distil-large-v3", "deepdml/faster-whisper-large-v3-turbo-ct2"]
)
def test_models_that_were_not_trained_to_translate_refuse_it(model: str) -> None:
    with pytest.raises(EngineRejected) as refused:
        whisper(model).model_for(Recognition(task=Task.TRANSLATE))
    assert refused.value.failure.code == "translation_not_supported"


def test_a_model_for_english_that_is_not_here_yet_refuses_other_languages() -> None:
    with pytest.raises(EngineRejected) as refused:
        whisper("small.en").model_for(Recognition(language="de"))
    assert refused.value.failure.code == "unsupported_language"


@pytest.mark.parametrize("batch_size", [1, 4])
@pytest.mark.parametrize(("asked_for", "used"), [(None, 0.0), (0.0, 0.0), (0.7, 0.7)])
def test_segments_tell_how_they_were_decoded(tiny: Path, batch_size: int, asked_for: float | None, used: float) -> None:
    for segment in whisper(tiny, batch_size=batch_size).recognise(FIVE_SECONDS, Recognition(temperature=asked_for)):
        scores = segment.scores or DecodingScores()
        assert scores.temperature == used
        assert math.exp(scores.average_log_probability or -99) == pytest.approx(segment.confidence)
        assert 0 < (scores.compression_ratio or 0) < 2.4
        assert 0 <= (scores.no_speech_probability or 0) <= 1


def test_prompt_and_hotwords_of_any_length_are_taken(engine: WhisperEngine) -> None:
    request = Recognition(prompt="Order, order! " * 200, hotwords="Hansard, Erskine May, " * 200)
    assert text(engine, FIVE_SECONDS, request) == TEXT


@pytest.mark.parametrize("samples", [1, 100, 200, 400, 800, 1600])
def test_the_shortest_passages_are_no_trouble(engine: WhisperEngine, samples: int) -> None:
    segments = list(engine.recognise(bytes(2 * samples), Recognition()))
    assert all(segment.end_seconds <= samples / 16_000 for segment in segments)


def test_no_samples_hold_no_words(engine: WhisperEngine) -> None:
    assert text(engine, b"") == ""


def test_a_batch_of_windows_is_cut_in_the_quietest_moment(tiny: Path) -> None:
    samples = noise(50)
    samples[27 * 16_000 : 28 * 16_000] = 0
    segments = list(whisper(tiny, batch_size=2).recognise(pcm(samples), Recognition()))
    assert [segment.text for segment in segments] == [*SENTENCES, *SENTENCES]
    assert 27 <= segments[2].start_seconds <= 28.1


def test_a_batch_takes_as_much_at_once_as_it_has_windows(tiny: Path) -> None:
    assert whisper(tiny, batch_size=8).limits.seconds == 240


@pytest.fixture
def log() -> Iterator[list[str]]:
    lines: list[str] = []
    sink = logger.add(lambda message: lines.append(message.record["message"]), level="DEBUG")
    yield lines
    logger.remove(sink)


def test_threads_share_one_model(tiny: Path, log: list[str]) -> None:
    engine = whisper(tiny)
    with ThreadPoolExecutor(4) as pool:
        texts = list(pool.map(lambda _: text(engine, FIVE_SECONDS), range(4)))
    assert texts == [TEXT] * 4
    assert log.count("The Whisper model is in memory.") == 1


def test_the_log_never_holds_what_was_said(tiny: Path, log: list[str]) -> None:
    text(whisper(tiny), FIVE_SECONDS, Recognition(prompt="A secret matter."))
    assert log
    assert not [line for line in log if "record is true" in line or "secret" in line]


def test_a_stopped_call_ends_before_the_next_window(engine: WhisperEngine) -> None:
    call = EngineCall()
    segments = engine.recognise(bytes(90 * 32_000), Recognition(), call)
    next(segments)
    call.stop.set()
    with pytest.raises(EngineStopped):
        next(segments)


@pytest.mark.parametrize("batch_size", [1, 4])
def test_a_call_that_is_left_to_itself_is_in_nobodys_way(tiny: Path, batch_size: int) -> None:
    engine = whisper(tiny, batch_size=batch_size)
    call = EngineCall()
    with ThreadPoolExecutor(1) as pool:
        abandoned = pool.submit(list, engine.recognise(bytes(600 * 32_000), Recognition(), call))
        assert text(engine, FIVE_SECONDS) == TEXT  # both at work
        call.stop.set()
        assert text(engine, FIVE_SECONDS) == TEXT  # one at work, one on its way out
        with pytest.raises(EngineStopped):
            abandoned.result()


def test_a_model_that_only_turns_out_to_know_english_does_not_translate(tmp_path: Path) -> None:
    english = whisper(build_tiny_whisper(tmp_path / "model", multilingual=False))
    with pytest.raises(EngineRejected) as refused:
        list(english.recognise(FIVE_SECONDS, Recognition(task=Task.TRANSLATE)))
    assert refused.value.failure.code == "translation_not_supported"


def test_small_products_of_matrices_keep_no_second_core_busy(tiny: Path) -> None:
    with threadpool_limits(2, user_api="blas"):
        text(whisper(tiny), pcm(noise(2)))
        assert {each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"} == {1}


def test_each_loading_of_a_model_is_told_with_its_time(tiny: Path) -> None:
    loads: list[float] = []
    engine = whisper(tiny, on_load=loads.append)
    for _ in range(2):
        text(engine, FIVE_SECONDS)
    assert len(loads) == 1
    assert loads[0] >= 0


def test_a_call_stopped_beforehand_loads_no_model(tiny: Path, log: list[str]) -> None:
    call = EngineCall()
    call.stop.set()
    with pytest.raises(EngineStopped):
        list(whisper(tiny).recognise(FIVE_SECONDS, Recognition(), call))
    assert log == []


class SlowDisk(WhisperModels):
    """Each model is found at once to be there, and then takes until `loaded` to be read."""

    def __init__(self) -> None:
        super().__init__(Path("/nonexistent"), offline=True, hub_cache=Path("/nonexistent"))
        self.loading, self.loaded = threading.Event(), threading.Event()
        self._found = threading.local()

    def locate(self, name: str) -> Path | None:
        if getattr(self._found, "once", False):
            self.loading.set()
            self.loaded.wait()
        self._found.once = True
        return super().locate(name)


def test_a_call_that_waits_for_anothers_model_can_be_stopped(tiny: Path) -> None:
    disk = SlowDisk()
    engine = whisper(tiny, models=disk)
    call = EngineCall()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(text, engine, FIVE_SECONDS)
        disk.loading.wait()
        second = pool.submit(list, engine.recognise(FIVE_SECONDS, Recognition(), call))
        call.stop.set()
        with pytest.raises(EngineStopped):
            second.result()
        disk.loaded.set()
        assert first.result() == TEXT


def test_another_model_may_be_asked_for(engine: WhisperEngine, tmp_path: Path) -> None:
    other = build_tiny_whisper(tmp_path / "other")
    request = Recognition(model=str(other))
    assert engine.model_for(request) == str(other)
    assert text(engine, FIVE_SECONDS, request) == TEXT


@pytest.mark.parametrize(
    ("model", "code"),
    [
        ("gigantic", "unknown_model"),
        ("/root", "unknown_model"),
        ("~/models", "unknown_model"),
        ("~nobody-here/models", "unknown_model"),
        ("../models", "unknown_model"),
        ("/\0", "unknown_model"),
        ("x" * 5000, "unknown_model"),
        ("/" + "x" * 5000, "unknown_model"),
        ("org/" + "x" * 5000, "model_not_found"),
        ("base", "model_not_found"),
        ("org/name", "model_not_found"),
    ],
)
def test_a_model_to_be_fetched_is_told_from_one_that_cannot_exist(engine: WhisperEngine, model: str, code: str) -> None:
    with pytest.raises(EngineError) as refused:
        engine.model_for(Recognition(model=model))
    assert refused.value.failure.code == code
    assert type(refused.value) is {"unknown_model": EngineRejected, "model_not_found": EngineUnavailable}[code]


@pytest.mark.parametrize("model", ["gigantic", "/root", "base", "org/name"])
def test_a_model_of_the_settings_that_is_not_there_is_the_operators_to_put_right(model: str) -> None:
    with pytest.raises(EngineUnavailable) as refused:
        text(whisper(model), FIVE_SECONDS)
    assert refused.value.failure.code == "model_not_found"
    assert refused.value.failure.help


@pytest.mark.parametrize(("device", "model"), [("cpu", "small"), ("cuda", "large-v3-turbo")])
def test_the_default_model_is_what_the_hardware_can_do(device: str, model: str) -> None:
    assert whisper(None, device=device).model_for(Recognition()) == model


def test_a_language_the_model_has_no_token_for_is_refused(engine: WhisperEngine) -> None:
    with pytest.raises(EngineRejected, match="'yue'") as refused:
        engine.model_for(Recognition(language="yue"))
    assert refused.value.failure.code == "unsupported_language"


def test_an_english_only_model_is_known_by_its_name(tmp_path: Path) -> None:
    engine = whisper(build_tiny_whisper(tmp_path / "tiny.en", multilingual=False))
    with pytest.raises(EngineRejected, match="'de'"):
        engine.model_for(Recognition(language="de"))
    assert text(engine, FIVE_SECONDS) == TEXT


def test_an_english_only_model_is_known_by_its_tokens_when_its_name_hides_it(tmp_path: Path) -> None:
    engine = whisper(build_tiny_whisper(tmp_path / "model", multilingual=False))
    with pytest.raises(EngineRejected, match="'de'"):
        text(engine, FIVE_SECONDS, Recognition(language="de"))


def test_a_directory_without_tokenizer_is_said_to_be_incomplete(tiny: Path, tmp_path: Path) -> None:
    directory = Path(shutil.copytree(tiny, tmp_path / "tiny"))
    (directory / "tokenizer.json").unlink()
    status = whisper(directory).status()
    assert status.state is EngineState.UNAVAILABLE
    assert "tokenizer.json" in status.detail
    with pytest.raises(EngineError):
        text(whisper(directory), FIVE_SECONDS)


def test_the_status_is_that_of_the_model_asked_for(tiny: Path, tmp_path: Path) -> None:
    engine = whisper(tmp_path / "nothing")
    assert engine.status().state is EngineState.UNAVAILABLE
    assert engine.status(Recognition(model=str(tiny))).state is EngineState.READY


def test_a_damaged_model_is_told_with_its_cure(tiny: Path, tmp_path: Path) -> None:
    directory = Path(shutil.copytree(tiny, tmp_path / "tiny"))
    (directory / "model.bin").write_bytes((tiny / "model.bin").read_bytes()[:100_000])
    with pytest.raises(EngineUnavailable) as broken:
        text(whisper(directory), FIVE_SECONDS)
    assert broken.value.failure.code == "model_broken"
    assert "hansard models pull" in (broken.value.failure.help or "")


def test_a_damaged_tokenizer_is_a_damaged_model(tiny: Path, tmp_path: Path) -> None:
    directory = Path(shutil.copytree(tiny, tmp_path / "tiny"))
    (directory / "tokenizer.json").write_bytes(b"\xff" * 1000)
    for request in (Recognition(), Recognition(language="de")):
        with pytest.raises(EngineUnavailable) as broken:
            text(whisper(directory), FIVE_SECONDS, request)
        assert broken.value.failure.code == "model_broken"


def test_a_compute_type_the_device_lacks_is_told_with_its_cure(tiny: Path) -> None:
    with pytest.raises(EngineUnavailable) as refused:
        text(whisper(tiny, compute_type="int4"), FIVE_SECONDS)
    assert refused.value.failure.code == "compute_type_unsupported"
    assert "HANSARD_WHISPER_COMPUTE_TYPE" in (refused.value.failure.help or "")


@pytest.mark.skipif(ctranslate2.get_cuda_device_count() > 0, reason="this machine has a GPU")
def test_a_gpu_that_is_not_there_is_told_with_its_cure(tiny: Path) -> None:
    with pytest.raises(EngineUnavailable) as refused:
        text(whisper(tiny, device="cuda"), FIVE_SECONDS)
    assert refused.value.failure.code == "device_unavailable"
    assert "HANSARD_WHISPER_DEVICE=cpu" in (refused.value.failure.help or "")


def test_the_short_names_are_those_of_the_library() -> None:
    assert REPOSITORIES == _MODELS
