"""Times hold: after long silences, in batches, and through containers that keep their own time.

The recordings are put together from clips at known places. What is said between two silences begins and ends where the
clip gets loud and quiet; the words in between, where they are in the clip alone.
"""

import io
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from hansard.application.ports.audio import SpeechDetector
from hansard.application.ports.engines import Recognition, SpeechEngine
from hansard.application.run import Runs
from hansard.application.transcribe import Steps
from hansard.audio.decoder import PyAvDecoder
from hansard.audio.voice_activity import SileroDetector, SileroModel
from hansard.domain.audio import BYTES_PER_SECOND
from hansard.domain.speech import Span, plan_passages
from hansard.domain.transcript import Transcript, Word
from hansard.domain.transcription import Status
from hansard.engines.pocketsphinx import PocketSphinxEngine
from hansard.engines.whisper import WhisperEngine
from hansard.engines.whisper_models import WhisperModels
from tests.audio_files import clip, encoded, pcm_of, silence, wav, white_noise
from tests.tiny_whisper import build_tiny_whisper
from tests.workshop import Workshop

EXACT_SECONDS = 0.3
LOUD = 0.01
"""Of full scale: the voice is above it, the noise of these recordings is not."""

SILENCES = (30.0, 95.0, 30.0, 2.0)
CLIPS = ("five.wav", "call_me_back.mp3", "five.wav", "call_me_back.mp3")


@dataclass
class Listening(Workshop):
    """The steps with the real decoder, the real voice activity detection and `ear`."""

    ear: SpeechEngine = field(default_factory=PocketSphinxEngine)
    voice_activity: SileroModel = field(default_factory=SileroModel)

    @property
    def engines(self) -> dict[str, SpeechEngine]:
        return {self.ear.name: self.ear}

    def steps_of(self, runs: Runs) -> Steps:
        steps = super().steps_of(runs)
        prepare_audio = replace(
            steps.prepare.prepare_audio, decoder=PyAvDecoder(), detector=self._detector, max_audio_seconds=3600
        )
        return replace(
            steps,
            prepare=replace(steps.prepare, prepare_audio=prepare_audio),
            recognise=replace(steps.recognise, prepare_audio=prepare_audio),
        )

    def _detector(self) -> SpeechDetector:
        return SileroDetector(self.voice_activity)

    def transcript(self, recording: bytes) -> Transcript:
        transcription = self.submitted(recording)
        assert self.transcribe(transcription.id).status is Status.COMPLETED
        return self.database.transcripts[transcription.id]


@pytest.fixture(scope="module")
def pocketsphinx() -> PocketSphinxEngine:
    return PocketSphinxEngine()


def pcm(name: str) -> bytes:
    return b"".join(PyAvDecoder().decode(io.BytesIO(clip(name))))


def samples(pcm: bytes) -> np.ndarray:
    return np.frombuffer(pcm, "<i2") / 32768


def loud_part(pcm: bytes) -> Span:
    """From the first to the last moment that is loud on the mean over 10 ms."""
    loudness = np.convolve(np.abs(samples(pcm)), np.ones(160) / 160, "same")
    (loud,) = np.nonzero(loudness > LOUD)
    return Span(loud[0] / 16_000, loud[-1] / 16_000)


@dataclass(frozen=True)
class Recording:
    """Clips after silences; `starts` is where each clip begins, in seconds."""

    pcm: bytes
    starts: tuple[float, ...]

    @classmethod
    def of(cls, *, noise: float) -> "Recording":
        sound, starts = b"", []
        for seconds, name in zip(SILENCES, CLIPS, strict=True):
            sound += silence(seconds)
            starts.append(len(sound) / BYTES_PER_SECOND)
            sound += pcm(name)
        sound += silence(10)
        if noise:
            heard = samples(sound) + samples(white_noise(len(sound) / BYTES_PER_SECOND, noise))
            sound = (heard.clip(-1, 1) * 32767).astype("<i2").tobytes()
        return cls(sound, tuple(starts))


def words_of(transcript: Transcript) -> list[Word]:
    return [word for segment in transcript.segments for word in segment.words]


@pytest.fixture(scope="module")
def alone(pocketsphinx: PocketSphinxEngine) -> dict[str, list[Word]]:
    """What is heard in each clip by itself."""
    return {
        name: [word for segment in pocketsphinx.recognise(pcm(name), Recognition()) for word in segment.words]
        for name in set(CLIPS)
    }


def require_exact(words: list[Word], recording: Recording, alone: dict[str, list[Word]]) -> None:
    """Each word is where it is in its clip, and each clip's first and last one where it gets loud and quiet."""
    rest = list(words)
    for start, name in zip(recording.starts, CLIPS, strict=True):
        loud = loud_part(pcm(name))
        heard, rest = rest[: len(alone[name])], rest[len(alone[name]) :]
        assert [word.text for word in heard] == [word.text for word in alone[name]]
        expected = [start + word.start_seconds for word in alone[name]]
        assert [word.start_seconds for word in heard] == pytest.approx(expected, abs=EXACT_SECONDS)
        assert heard[0].start_seconds == pytest.approx(start + loud.start_seconds, abs=EXACT_SECONDS)
        assert heard[-1].end_seconds == pytest.approx(start + loud.end_seconds, abs=EXACT_SECONDS)
    assert rest == []


# ── Hearing ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("noise", [0.0, 0.001], ids=["digital silence", "a quiet room"])
def test_words_are_where_they_are_said_after_long_silences(
    pocketsphinx: PocketSphinxEngine, alone: dict[str, list[Word]], noise: float
) -> None:
    recording = Recording.of(noise=noise)
    transcript = Listening(ear=pocketsphinx).transcript(wav(recording.pcm))
    require_exact(words_of(transcript), recording, alone)


@pytest.mark.parametrize(
    "coding",
    [
        {"container": "mp3", "codec": "libmp3lame", "sample_format": "s16p"},
        {"container": "ogg", "codec": "libopus", "sample_rate_hz": 48_000},
        {"container": "mp4", "codec": "aac", "sample_format": "fltp", "sample_rate_hz": 44_100},
    ],
    ids=lambda coding: coding["codec"],
)
def test_compression_moves_no_words(
    pocketsphinx: PocketSphinxEngine, alone: dict[str, list[Word]], coding: dict
) -> None:
    recording = Recording.of(noise=0.0)
    transcript = Listening(ear=pocketsphinx).transcript(encoded(recording.pcm, **coding))
    require_exact(words_of(transcript), recording, alone)


def test_sound_that_a_recording_lacks_takes_its_time(pocketsphinx: PocketSphinxEngine) -> None:
    """A recorder that pauses in silence writes nothing then; the container's times tell."""
    starts = 20.0, 120.0
    recording = encoded(pcm_of("five.wav"), container="matroska", codec="pcm_s16le", starts_seconds=(0.0, *starts))
    words = words_of(Listening(ear=pocketsphinx).transcript(recording))
    onset = loud_part(pcm_of("five.wav")).start_seconds
    ones = [word.start_seconds for word in words if word.text == "one"]
    assert ones == pytest.approx([onset, *(start + onset for start in starts)], abs=EXACT_SECONDS)


# ── Whisper ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_whisper(tmp_path_factory.mktemp("whisper") / "tiny")


def whisper(model: Path, batch_size: int = 1) -> WhisperEngine:
    return WhisperEngine(
        WhisperModels(Path("/nonexistent"), offline=True, hub_cache=Path("/nonexistent")),
        model=str(model),
        device="cpu",
        compute_type="default",
        beam_size=1,
        batch_size=batch_size,
        threads=1,
    )


def in_a_window(model: Path, seconds: float) -> list[tuple[str, float, float]]:
    """Each word that the tiny model hears in so many seconds, whatever they hold: text, start and end."""
    segments = whisper(model).recognise(silence(seconds), Recognition())
    return [(word.text, word.start_seconds, word.end_seconds) for segment in segments for word in segment.words]


@pytest.mark.parametrize("batch_size", [1, 2, 8])
def test_whisper_is_right_about_passages_late_in_a_recording(tiny: Path, batch_size: int) -> None:
    listening = Listening(ear=whisper(tiny, batch_size))
    transcription = listening.submitted(wav(Recording.of(noise=0.0).pcm))
    listening.transcribe(transcription.id)
    speech = listening.database.speech[transcription.id]
    expected = [
        (text, passage.start_seconds + start, passage.start_seconds + end)
        for passage in plan_passages(speech.regions, listening.ear.limits)
        for text, start, end in in_a_window(tiny, passage.seconds)
    ]
    words = words_of(listening.database.transcripts[transcription.id])
    assert expected[-1][1] > sum(SILENCES)
    assert [word.text for word in words] == [text for text, _, _ in expected]
    assert [word.start_seconds for word in words] == pytest.approx(
        [start for _, start, _ in expected], abs=EXACT_SECONDS
    )
    assert [word.end_seconds for word in words] == pytest.approx([end for _, _, end in expected], abs=EXACT_SECONDS)


@pytest.mark.parametrize("batch_size", [2, 4])
def test_each_window_of_a_batch_keeps_its_own_time(tiny: Path, batch_size: int) -> None:
    """They are cut where it is quiet, which is at these times here, and then alone."""
    cuts = [27.0, 53.5, 79.25]
    sound = np.random.default_rng(0).normal(0, 3000, 100 * 16_000)
    for cut in cuts:
        sound[round(cut * 16_000) : round((cut + 0.1) * 16_000)] = 0
    segments = whisper(tiny, batch_size).recognise(sound.astype("<i2").tobytes(), Recognition())
    words = [word for segment in segments for word in segment.words]
    expected = [start + at for start in (0.0, *cuts) for _, at, _ in in_a_window(tiny, 20)]
    assert [word.start_seconds for word in words] == pytest.approx(expected, abs=EXACT_SECONDS)
