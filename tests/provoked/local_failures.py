"""Every failure of the engines on this machine, of the fetching of models, and of the choice between engines."""

import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hansard.application.ports.engines import EngineState, EngineStatus
from hansard.domain.errors import EngineError, EngineFailed, EngineRejected
from hansard.domain.transcription import Parameters, Task
from hansard.engines import model_download
from hansard.engines.child import ChildProcess
from hansard.engines.model_download import DownloadFailed, ModelDownload
from hansard.engines.pocketsphinx import PocketSphinxEngine
from hansard.engines.whisper import WhisperEngine
from hansard.engines.whisper_models import WhisperModels
from tests.error_table import Provoked, engine_fails, failure_of, provokes, raised_by
from tests.fakes import FakeEngine
from tests.provoked.children import Dying, Stumbling
from tests.tiny_whisper import build_tiny_whisper
from tests.workshop import Workshop, speech

WHISPER, FETCHING, POCKETSPHINX, CHOICE = (
    "Whisper",
    "Fetching Whisper's models",
    "PocketSphinx",
    "The choice of an engine",
)
NOWHERE = Path("/nonexistent")

# ── Whisper ──────────────────────────────────────────────────────────────────────────────────────────────


def whisper(model: Path | str, *, device: str = "cpu", compute_type: str = "default") -> WhisperEngine:
    return WhisperEngine(
        WhisperModels(NOWHERE, offline=True, hub_cache=NOWHERE),
        model=str(model),
        device=device,
        compute_type=compute_type,
        beam_size=1,
        batch_size=1,
        threads=1,
    )


class Raising(WhisperEngine):
    """The libraries raise `error` at work."""

    error: Exception

    def _transcribe(self, *_: Any) -> Any:
        raise self.error


def raising(model: Path, error: Exception) -> Provoked:
    engine = whisper(model)
    engine.__class__, engine.error = Raising, error
    return engine_fails(engine)


@provokes(WHISPER, "The model of the settings is not on this machine, and could not be fetched")
def no_model_at_all() -> Provoked:
    return engine_fails(whisper("small"))


@provokes(WHISPER, "The request names a model that is not on this machine")
def model_not_here(tiny_whisper: Path) -> Provoked:
    return engine_fails(whisper(tiny_whisper), Parameters(model="org/name"))


@provokes(WHISPER, "The request names a model that there cannot be")
def no_possible_model(tiny_whisper: Path) -> Provoked:
    return engine_fails(whisper(tiny_whisper), Parameters(model="gigantic"))


@provokes(WHISPER, "The model does not know the language asked for")
def no_token_for_that_language(tiny_whisper: Path) -> Provoked:
    return engine_fails(whisper(tiny_whisper), Parameters(language="yue"))


@provokes(WHISPER, "The same, where only the loaded model shows that it knows English alone")
def english_alone(tmp_path: Path) -> Provoked:
    return engine_fails(whisper(build_tiny_whisper(tmp_path / "m", multilingual=False)), Parameters(language="de"))


@provokes(WHISPER, "A translation by a model that does not translate: `….en`, turbo, distil")
def turbo_asked_to_translate() -> Provoked:
    return engine_fails(whisper("large-v3-turbo"), Parameters(task=Task.TRANSLATE))


@provokes(WHISPER, "The model is damaged")
def model_cut_off(tiny_whisper: Path, tmp_path: Path) -> Provoked:
    directory = Path(shutil.copytree(tiny_whisper, tmp_path / "cut"))
    os.truncate(directory / "model.bin", 100_000)
    return engine_fails(whisper(directory))


@provokes(WHISPER, "The model is damaged")
def tokenizer_garbled(tiny_whisper: Path, tmp_path: Path) -> Provoked:
    directory = Path(shutil.copytree(tiny_whisper, tmp_path / "garbled"))
    (directory / "tokenizer.json").write_bytes(b"\xff" * 1000)
    return engine_fails(whisper(directory))


@provokes(WHISPER, "The device lacks the compute type")
def no_such_compute_type(tiny_whisper: Path) -> Provoked:
    return engine_fails(whisper(tiny_whisper, compute_type="int4"))


for error in (
    RuntimeError("CUDA failed with error CUDA driver version is insufficient for CUDA runtime version"),
    RuntimeError("Library libcublas.so.12 is not found or cannot be loaded"),
    RuntimeError("CUDA failed with error an illegal memory access was encountered"),
    RuntimeError("cuDNN failed with status CUDNN_STATUS_NOT_INITIALIZED"),
    ValueError("unsupported device abacus"),
):

    @provokes(WHISPER, "The GPU, its driver or its libraries are missing or fail")
    def _(tiny_whisper: Path, error: Exception = error) -> Provoked:
        return raising(tiny_whisper, error)


for error in (
    RuntimeError("CUDA failed with error out of memory"),
    RuntimeError("cuBLAS failed with status CUBLAS_STATUS_ALLOC_FAILED"),
    RuntimeError("mkl_malloc: failed to allocate memory"),
    MemoryError("std::bad_alloc"),
):

    @provokes(WHISPER, "Memory runs out, the machine's or the GPU's")
    def _(tiny_whisper: Path, error: Exception = error) -> Provoked:
        return raising(tiny_whisper, error)


for error in (RuntimeError("No position encodings are defined"), ValueError("too short"), IndexError("list index")):

    @provokes(WHISPER, "Anything else that the libraries raise at work")
    def _(tiny_whisper: Path, error: Exception = error) -> Provoked:
        return raising(tiny_whisper, error)


# ── Fetching models ──────────────────────────────────────────────────────────────────────────────────────


def pulled(models: WhisperModels, name: str = "small") -> Provoked:
    """What `hansard models pull` says, and what is done in the background."""
    failure = raised_by(lambda: models.pull(name)).failure
    try:
        models._try(name)
    except EngineError:
        return Provoked(failure, "Given up")
    return Provoked(failure, "Asked again" if failure.code == "hub_unreachable" else "Given up")


def broken_off(directory: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> Provoked:
    """The hub's client raises `error`."""

    def fetch(*_: object) -> Iterator[None]:
        refused = model_download._refusal(error)
        raise DownloadFailed(refused.code, refused.reason)
        yield

    monkeypatch.setattr(ModelDownload, "_fetch", fetch)
    return pulled(WhisperModels(directory, offline=False, hub_cache=NOWHERE))


@provokes(FETCHING, "There is no such model or repository, or it is none for CTranslate2")
def no_such_model(tmp_path: Path) -> Provoked:
    return pulled(WhisperModels(tmp_path, offline=False, hub_cache=NOWHERE), "gigantic")


@provokes(FETCHING, "The directory named lacks files")
def model_incomplete(tmp_path: Path) -> Provoked:
    return pulled(WhisperModels(tmp_path, offline=False, hub_cache=NOWHERE), str(tmp_path))


@provokes(FETCHING, "`HANSARD_OFFLINE` forbids the download")
def offline(tmp_path: Path) -> Provoked:
    return pulled(WhisperModels(tmp_path, offline=True, hub_cache=NOWHERE))


@provokes(FETCHING, "The hub refuses, hangs, stalls or breaks off")
def hub_unreachable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Provoked:
    return broken_off(tmp_path, monkeypatch, ConnectionError("Connection refused"))


@provokes(FETCHING, "The disk is full")
def disk_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Provoked:
    return broken_off(tmp_path, monkeypatch, OSError(errno.ENOSPC, "No space left on device"))


@provokes(FETCHING, "The directory of models cannot be written")
def models_not_writable(tmp_path: Path) -> Provoked:
    (tmp_path / "models").write_text("in the way")
    return pulled(WhisperModels(tmp_path / "models", offline=False, hub_cache=NOWHERE))


# ── PocketSphinx ─────────────────────────────────────────────────────────────────────────────────────────


def sphinx(worker: type) -> PocketSphinxEngine:
    engine = PocketSphinxEngine()
    engine.child = ChildProcess(worker, engine=engine.name)
    return engine


@provokes(POCKETSPHINX, "Its process crashes, or is killed")
def killed() -> Provoked:
    return engine_fails(sphinx(Dying))


@provokes(POCKETSPHINX, "The decoder raises an error")
def stumbled() -> Provoked:
    return engine_fails(sphinx(Stumbling))


@provokes(POCKETSPHINX, "No process can be started for it")
def no_process(monkeypatch: pytest.MonkeyPatch) -> Provoked:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr("subprocess.Popen", fail)
    return engine_fails(PocketSphinxEngine())


@provokes(POCKETSPHINX, "It is not installed")
def not_installed(monkeypatch: pytest.MonkeyPatch) -> Provoked:
    monkeypatch.setattr("hansard.engines.pocketsphinx.find_spec", lambda _: None)
    return engine_fails(PocketSphinxEngine())


@provokes(POCKETSPHINX, "The request names a model that it does not have")
def another_model() -> Provoked:
    return engine_fails(PocketSphinxEngine(), Parameters(model="fr-fr"))


@provokes(POCKETSPHINX, "A language other than English")
def another_language() -> Provoked:
    return engine_fails(PocketSphinxEngine(), Parameters(language="fr"))


@provokes(POCKETSPHINX, "A translation")
def translation() -> Provoked:
    return engine_fails(PocketSphinxEngine(), Parameters(task=Task.TRANSLATE))


@provokes(POCKETSPHINX, "A temperature")
def temperature() -> Provoked:
    return engine_fails(PocketSphinxEngine(), Parameters(temperature=0.0))


# ── The choice ───────────────────────────────────────────────────────────────────────────────────────────

BUSY = EngineFailed("It is busy.", engine="fake", provider_status=503)


def chosen(alone: Workshop, pair: Workshop) -> Provoked:
    """The first engine of each cannot be used."""
    failure = failure_of(alone.transcribe(alone.submitted(speech(1)).id), alone)
    record = pair.transcribe(pair.submitted(speech(1)).id)
    assert [attempt.engine for attempt in record.attempts] == ["second"]
    return Provoked(failure, "Next engine")


@provokes(CHOICE, "The engine failed too often of late; its circuit is open")
def circuit_open() -> Provoked:
    alone, pair = Workshop(), Workshop(others=[FakeEngine("second")])
    for shop in (alone, pair):
        left_alone(shop)
    return chosen(alone, pair)


def left_alone(shop: Workshop) -> None:
    """Each probe that fails doubles the pause, until it is longer than a job may wait."""
    for _ in range(6):
        for _ in range(5):
            shop.breaker.failed("fake", BUSY.failure)
        shop.clock.advance(600)
        shop.breaker.admit("fake")
    shop.breaker.failed("fake", BUSY.failure)


@provokes(CHOICE, "An operator disabled the engine")
def disabled() -> Provoked:
    alone, pair = Workshop(), Workshop(others=[FakeEngine("second")])
    for shop in (alone, pair):
        shop.breaker.disable("fake", "maintenance")
    return chosen(alone, pair)


@provokes(CHOICE, "The job names an engine that was there when it was queued")
def gone_since() -> Provoked:
    shop = Workshop(others=[FakeEngine("second")])
    transcription_id = shop.submitted(speech(1), Parameters(engine="second")).id
    shop.others = []
    return Provoked(failure_of(shop.transcribe(transcription_id), shop), "Job fails")


def declined(shop: Workshop) -> Provoked:
    return Provoked(failure_of(shop.transcribe(shop.submitted(speech(1)).id), shop), "Job fails")


def unavailable(name: str) -> FakeEngine:
    status = EngineStatus(state=EngineState.UNAVAILABLE, detail="there is no model", help="Get one.")
    return FakeEngine(name, states=[status] * 9)


def refusing(name: str) -> FakeEngine:
    return FakeEngine(name, refuses=EngineRejected("It knows English only.", engine=name, help="Speak English."))


@provokes(CHOICE, "Several engines declined before they were tried, and one of them is only paused")
def one_is_paused() -> Provoked:
    shop = Workshop(others=[unavailable("second")])
    left_alone(shop)
    return declined(shop)


@provokes(CHOICE, "Several declined because of what was asked")
def all_refuse() -> Provoked:
    return declined(Workshop(engine=refusing("fake"), others=[refusing("second")]))


@provokes(CHOICE, "Several declined for other reasons")
def none_is_there() -> Provoked:
    return declined(Workshop(engine=refusing("fake"), others=[unavailable("second")]))
