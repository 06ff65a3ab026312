"""First step: decode the recording and find the speech in it."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from threading import Event as Flag
from uuid import UUID

from hansard.application.ports import AudioDecoder, AudioStore, Clock, PreparedAudio, SpeechDetector, UnitOfWork
from hansard.application.run import Run
from hansard.application.watched import watched_call
from hansard.domain.audio import BYTES_PER_SECOND, StoredObject
from hansard.domain.errors import InvalidAudio, Superseded
from hansard.domain.speech import Speech


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What the step measured."""

    audio_seconds: float
    speech_seconds: float
    speech_regions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareAudio:
    """Decode into prepared audio, and hear where the speech is on the way. Raises `InvalidAudio`."""

    store: AudioStore
    decoder: AudioDecoder
    detector: Callable[[], SpeechDetector]
    prepared: PreparedAudio
    max_audio_seconds: float

    def __call__(self, transcription_id: UUID, stored: StoredObject, stop: Flag) -> Speech:
        """Raises `Superseded` soon after `stop` is set, and keeps nothing then."""
        detector = self.detector()

        def heard(blocks: Iterable[bytes]) -> Iterator[bytes]:
            seconds = 0.0
            for block in blocks:
                if stop.is_set():
                    raise Superseded("The recording's transcription is not wanted any more.")
                seconds += len(block) / BYTES_PER_SECOND
                self._require_bearable(seconds)
                detector.feed(block)
                yield block

        with self.store.open(stored) as source:
            self.prepared.write(transcription_id, heard(self.decoder.decode(source)))
        return detector.finish()

    def _require_bearable(self, seconds: float) -> None:
        if seconds > self.max_audio_seconds:
            raise InvalidAudio(
                f"The recording is longer than the {self.max_audio_seconds / 3600:g} hours that are allowed here.",
                code="audio_too_long",
                help="Cut it into pieces, or raise HANSARD_MAX_AUDIO_SECONDS.",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepare:
    """Raises `InvalidAudio` when the file cannot be decoded or nobody speaks in it."""

    unit_of_work: Callable[[], UnitOfWork]
    prepare_audio: PrepareAudio
    prepared: PreparedAudio
    clock: Clock

    def __call__(self, transcription_id: UUID, run_number: int, *, pipeline_run_id: str | None = None) -> Prepared:
        run = Run(transcription_id, run_number, self.unit_of_work, self.clock)
        with run.failures_recorded():
            with run.change() as (uow, transcription):
                transcription.pipeline_run_id = pipeline_run_id
                stored = uow.audio.get(transcription.audio_id).stored
                speech = uow.transcripts.speech(transcription_id)
            if speech is None or not self.prepared.exists(transcription_id):
                speech = watched_call(partial(self.prepare_audio, transcription_id, stored), run.check)
                with run.change() as (uow, _):
                    uow.transcripts.save_speech(transcription_id, speech)
            _require_speech(speech)
        return Prepared(
            audio_seconds=speech.audio_seconds, speech_seconds=speech.seconds, speech_regions=len(speech.regions)
        )


def _require_speech(speech: Speech) -> None:
    if not speech.regions:
        raise InvalidAudio(
            f"No speech was found in the {speech.audio_seconds:.1f} s of this recording.",
            code="no_speech",
            help="Listen to it with GET /audio/{audio_id}/download: is it the right file, was the microphone on?",
        )
