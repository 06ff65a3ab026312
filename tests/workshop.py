"""The use cases put together from fakes: everything a test of one of them needs, with nothing real behind it."""

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import UUID

from hansard.application.cancel import Cancel
from hansard.application.choose_engine import ChooseEngine
from hansard.application.ports import PipelineRunner, SpeechEngine
from hansard.application.prepare import Prepare, PrepareAudio
from hansard.application.recognise import Recognise
from hansard.application.retry import RetryPolicy
from hansard.application.settle import Settle
from hansard.application.submit import Submit
from hansard.application.transcribe import Steps, Transcribe
from hansard.application.upload import Upload
from hansard.domain.audio import BYTES_PER_SECOND, AudioFile
from hansard.domain.transcription import Attempt, Parameters, Transcription
from hansard.pipelines.in_process import InProcessRunner
from tests.fakes import (
    FakeAudioDecoder,
    FakeAudioStore,
    FakeClock,
    FakeDatabase,
    FakeEngine,
    FakePreparedAudio,
    FakeSpeechDetector,
)


def speech(seconds: int) -> bytes:
    """Prepared audio that `FakeSpeechDetector` takes for speech."""
    return b"\x01" * (seconds * BYTES_PER_SECOND)


@dataclass
class Workshop:
    """Change a part before the first use of what depends on it."""

    engine: FakeEngine = field(default_factory=FakeEngine)
    clock: FakeClock = field(default_factory=FakeClock)
    database: FakeDatabase = field(default_factory=FakeDatabase)
    store: FakeAudioStore = field(default_factory=FakeAudioStore)
    prepared: FakePreparedAudio = field(default_factory=FakePreparedAudio)
    observed: list[tuple[Attempt, float | None]] = field(default_factory=list)
    make_runner: Callable[[Steps], PipelineRunner] = InProcessRunner

    @property
    def engines(self) -> dict[str, SpeechEngine]:
        return {self.engine.name: self.engine}

    @property
    def retry(self) -> RetryPolicy:
        return RetryPolicy(max_attempts=3, base_seconds=1, cap_seconds=60, budget_seconds=300, jitter=lambda: 1.0)

    @property
    def upload(self) -> Upload:
        return Upload(self.database.unit_of_work, self.store, FakeAudioDecoder(), self.clock)

    @property
    def submit(self) -> Submit:
        return Submit(self.database.unit_of_work, self.engines, self.clock)

    @property
    def cancel(self) -> Cancel:
        return Cancel(self.database.unit_of_work, self.clock)

    @property
    def steps(self) -> Steps:
        unit_of_work = self.database.unit_of_work
        prepare_audio = PrepareAudio(
            store=self.store,
            decoder=FakeAudioDecoder(),
            detector=FakeSpeechDetector,
            prepared=self.prepared,
            max_audio_seconds=60,
        )
        return Steps(
            prepare=Prepare(
                unit_of_work=unit_of_work, prepare_audio=prepare_audio, prepared=self.prepared, clock=self.clock
            ),
            recognise=Recognise(
                unit_of_work=unit_of_work,
                prepare_audio=prepare_audio,
                prepared=self.prepared,
                choose_engine=ChooseEngine(self.engines, tuple(self.engines), self.clock.sleep),
                retry=self.retry,
                observe=lambda attempt, retry_in_seconds: self.observed.append((attempt, retry_in_seconds)),
                clock=self.clock,
                sleep=self.clock.sleep,
            ),
            settle=Settle(unit_of_work=unit_of_work, engines=self.engines, clock=self.clock),
        )

    @property
    def transcribe(self) -> Transcribe:
        return Transcribe(
            unit_of_work=self.database.unit_of_work,
            runner=self.make_runner(self.steps),
            prepared=self.prepared,
            clock=self.clock,
        )

    def uploaded(self, pcm: bytes) -> AudioFile:
        return self.upload(io.BytesIO(pcm), file_name="talk.wav")

    def submitted(self, pcm: bytes, parameters: Parameters | None = None) -> Transcription:
        return self.submit(self.uploaded(pcm).id, parameters or Parameters())

    def transcription(self, transcription_id: UUID) -> Transcription:
        return self.database.transcriptions[transcription_id]
