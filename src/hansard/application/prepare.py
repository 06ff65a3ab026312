"""First step: decode the recording and find the speech in it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import repeat
from threading import Event as Flag
from uuid import UUID

from hansard.application.ports.audio import AudioDecoder, SpeechDetector
from hansard.application.ports.storage import AudioStore, PreparedAudio
from hansard.application.run import Runs
from hansard.application.watched import watched_call
from hansard.domain.audio import BYTES_PER_SECOND, AudioFile, StoredObject
from hansard.domain.channels import SILENCE_SECONDS, require_channels
from hansard.domain.errors import InvalidAudio, Superseded
from hansard.domain.speech import Speech
from hansard.domain.transcription import Channels
from hansard.timing.decorators import monitor_performance

CHANNELS_ALIKE = (
    "The channels of this recording say the same, so it was heard once, and nobody is told apart. To tell who speaks, "
    "ask for it again with diarize."
)


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

    @monitor_performance
    def __call__(self, transcription_id: UUID, audio: AudioFile, channels: Channels, stop: Flag) -> Speech:
        """Raises `Superseded` soon after `stop` is set, and keeps nothing then.

        Channels to be heard apart are laid end to end, unless they are alike.
        """
        count = self._count(audio, channels)
        detector = self.detector()
        channel_bytes = 0

        def heard() -> Iterator[bytes]:
            nonlocal channel_bytes
            for channel in range(count):
                for block in _silence() if channel else ():
                    detector.feed(block)
                    yield block
                channel_bytes = 0
                for block in self._decoded(audio.stored, channel if count > 1 else None, stop):
                    channel_bytes += len(block)
                    detector.feed(block)
                    yield block

        self.prepared.write(transcription_id, heard())
        speech = detector.finish()
        return replace(speech, audio_seconds=channel_bytes / BYTES_PER_SECOND, channels=count) if count > 1 else speech

    def _count(self, audio: AudioFile, channels: Channels) -> int:
        """How many are to be heard apart."""
        if channels is Channels.MIXED:
            return 1
        require_channels(audio.properties.channels)
        with self.store.open(audio.stored) as source:
            return 1 if self.decoder.channels_alike(source) else audio.properties.channels

    def _decoded(self, stored: StoredObject, channel: int | None, stop: Flag) -> Iterator[bytes]:
        seconds = 0.0
        with self.store.open(stored) as source:
            for block in self.decoder.decode(source, channel=channel):
                if stop.is_set():
                    raise Superseded("The recording's transcription is not wanted any more.")
                seconds += len(block) / BYTES_PER_SECOND
                require_bearable(seconds, max_audio_seconds=self.max_audio_seconds)
                yield block


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepare:
    """Raises `InvalidAudio` when the file cannot be decoded or nobody speaks in it."""

    runs: Runs
    prepare_audio: PrepareAudio
    prepared: PreparedAudio

    @monitor_performance
    def __call__(self, transcription_id: UUID, run_number: int, *, pipeline_run_id: str | None = None) -> Prepared:
        run = self.runs.of(transcription_id, run_number)
        with run.failures_recorded():
            record = run.record
            channels, speech = record.parameters.channels, record.speech
            if record.pipeline_run_id != pipeline_run_id:
                with run.change() as (_, transcription):
                    transcription.pipeline_run_id = pipeline_run_id
            if speech is None or not self.prepared.exists(transcription_id):
                speech = watched_call(partial(self.prepare_audio, transcription_id, record.audio, channels), run.check)
                alike = channels is Channels.SEPARATE and speech.channels == 1
                run.add_speech(speech, warning=CHANNELS_ALIKE if alike else None)
            _require_speech(speech)
        return Prepared(
            audio_seconds=speech.audio_seconds, speech_seconds=speech.seconds, speech_regions=len(speech.regions)
        )


def _silence() -> Iterator[bytes]:
    """What lies between two channels."""
    return repeat(bytes(BYTES_PER_SECOND), round(SILENCE_SECONDS))


def _require_speech(speech: Speech) -> None:
    if not speech.regions:
        raise InvalidAudio(
            f"No speech was found in the {speech.audio_seconds:.1f} s of this recording.",
            code="no_speech",
            help="Listen to it with GET /audio/{audio_id}/download: is it the right file, was the microphone on?",
        )


def require_bearable(audio_seconds: float, *, max_audio_seconds: float) -> None:
    """Raises `InvalidAudio` for a recording that is longer than is allowed."""
    if audio_seconds > max_audio_seconds:
        raise InvalidAudio(
            f"The recording is longer than the {max_audio_seconds / 3600:g} hours that are allowed here.",
            code="audio_too_long",
            help="Cut it into pieces, or raise HANSARD_MAX_AUDIO_SECONDS.",
        )
