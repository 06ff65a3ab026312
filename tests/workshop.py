"""The use cases put together from fakes: everything a test of one of them needs, with nothing real behind it."""

import io
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from itertools import count
from threading import Thread
from uuid import UUID

from hansard.application.backlog import QueuePolicy
from hansard.application.cancel import Cancel
from hansard.application.circuit_breaker import CircuitBreaker
from hansard.application.delete import DeleteAudio, DeleteTranscription
from hansard.application.deliver import Deliver, Sent
from hansard.application.diarize import Diarize
from hansard.application.edit import EditTranscript
from hansard.application.engine_chain import EngineChain
from hansard.application.erase import Erase
from hansard.application.fetch import Fetch
from hansard.application.live_sessions import LiveChange, LivePolicy, LiveSessions
from hansard.application.orphans import Orphans
from hansard.application.ports.engines import SpeechEngine
from hansard.application.ports.work import PipelineRunner
from hansard.application.prepare import Prepare, PrepareAudio
from hansard.application.receive import Receive
from hansard.application.recognise import Recognise
from hansard.application.reconcile import Reconcile
from hansard.application.retry import Retry
from hansard.application.retry_policy import RetryPolicy
from hansard.application.room import DiskRoom
from hansard.application.run import Runs
from hansard.application.settle import Settle
from hansard.application.submit import Submit
from hansard.application.submit_upload import SubmitUpload
from hansard.application.transcribe import Steps, Transcribe
from hansard.application.upload import Upload
from hansard.application.webhooks import Webhooks
from hansard.domain.audio import BYTES_PER_SECOND, AudioFile
from hansard.domain.circuit import CircuitPolicy
from hansard.domain.transcription import Attempt, Parameters, Transcription
from hansard.pipelines.in_process import InProcessRunner
from tests.fake_webhooks import FakeWebhookSender
from tests.fakes import (
    FakeAudioDecoder,
    FakeAudioStore,
    FakeClock,
    FakeDatabase,
    FakeDiarizer,
    FakeEngine,
    FakeLiveSpool,
    FakePartialUploads,
    FakePreparedAudio,
    FakeProbabilities,
    FakeRemoteFiles,
    FakeSpeechDetector,
    FakeStreamDecoder,
)

GAP_SECONDS = 3.0
ROOM_ENOUGH = QueuePolicy(most_waiting=100, most_waiting_of_owner=50)
TWO_SESSIONS = LivePolicy(most_sessions=2, longest_seconds=3600, backlog_seconds=5, interim_seconds=1)


def speech(seconds: int) -> bytes:
    """Prepared audio that `FakeSpeechDetector` takes for speech."""
    return b"\x01" * (seconds * BYTES_PER_SECOND)


@dataclass
class Workshop:
    """Change a part before the first use of what depends on it."""

    engine: FakeEngine = field(default_factory=FakeEngine)
    others: list[FakeEngine] = field(default_factory=list)
    """The engines behind it in the chain, which is all of them unless `chain` names some."""
    chain: tuple[str, ...] = ()
    diarizer: FakeDiarizer = field(default_factory=FakeDiarizer)
    decoder: FakeAudioDecoder = field(default_factory=FakeAudioDecoder)
    clock: FakeClock = field(default_factory=FakeClock)
    database: FakeDatabase = field(default_factory=FakeDatabase)
    store: FakeAudioStore = field(default_factory=FakeAudioStore)
    prepared: FakePreparedAudio = field(default_factory=FakePreparedAudio)
    observed: list[tuple[Attempt, float | None]] = field(default_factory=list)
    remote: FakeRemoteFiles | None = field(default_factory=FakeRemoteFiles)
    """None: nothing is fetched by its URL."""
    webhook_sender: FakeWebhookSender = field(default_factory=FakeWebhookSender)
    secrets: Iterator[int] = field(default_factory=lambda: count(1))
    """What the next secret of a webhook is made of."""
    sent: list[Sent] = field(default_factory=list)
    """To webhooks, as they were told of when they had ended."""
    partial_uploads: FakePartialUploads = field(default_factory=FakePartialUploads)
    max_upload_bytes: int = 10_000_000
    free_disk_bytes: int = 10**12
    queue_policy: QueuePolicy = ROOM_ENOUGH
    max_audio_seconds: float = 3600.0
    """As far as a recording's headers tell; when it is decoded, 60 s are the most."""
    live_policy: LivePolicy = TWO_SESSIONS
    live_changes: list[LiveChange] = field(default_factory=list)
    make_runner: Callable[[Steps], PipelineRunner] = InProcessRunner
    forgotten: list[UUID] = field(default_factory=list)
    """The transcriptions whose pipeline runs were forgotten."""

    @property
    def engines(self) -> dict[str, SpeechEngine]:
        return {engine.name: engine for engine in (self.engine, *self.others)}

    @property
    def breaker(self) -> CircuitBreaker:
        policy = CircuitPolicy(failures=5, open_seconds=30, longest_open_seconds=600, probe_seconds=60)
        return CircuitBreaker(unit_of_work=self.database.unit_of_work, policy=policy, clock=self.clock)

    @property
    def retry_policy(self) -> RetryPolicy:
        return RetryPolicy(max_attempts=3, base_seconds=1, cap_seconds=60, budget_seconds=300, jitter=lambda: 1.0)

    @property
    def upload(self) -> Upload:
        return Upload(self.database.unit_of_work, self.store, self.decoder, self.clock, self.max_audio_seconds)

    @property
    def submit(self) -> Submit:
        return Submit(self.database.unit_of_work, self.engines, self.diarizer, self.queue_policy, self.clock)

    @property
    def submit_upload(self) -> SubmitUpload:
        return SubmitUpload(self.upload, self.submit)

    @property
    def fetch(self) -> Fetch:
        return Fetch(
            unit_of_work=self.database.unit_of_work,
            files=self.remote,
            upload=self.upload,
            submit_upload=self.submit_upload,
            clock=self.clock,
        )

    @property
    def webhooks(self) -> Webhooks:
        return Webhooks(
            unit_of_work=self.database.unit_of_work,
            sender=self.webhook_sender,
            make_secret=lambda: f"whsec_{b64encode(bytes([next(self.secrets)]) * 32).decode()}",
            source="hansard",
            clock=self.clock,
        )

    @property
    def deliver(self) -> Deliver:
        return Deliver(
            unit_of_work=self.database.unit_of_work,
            sender=self.webhook_sender,
            source="hansard",
            dead_after_seconds=3 * 86_400,
            jitter=lambda: 0.0,
            clock=self.clock,
            observe=self.sent.append,
            at_once=1,  # of two units of work at once, the fake forgets one
        )

    @property
    def disk_room(self) -> DiskRoom:
        return DiskRoom(free_bytes=lambda: self.free_disk_bytes, reserve_bytes=500_000_000)

    @property
    def receive(self) -> Receive:
        return Receive(
            unit_of_work=self.database.unit_of_work,
            uploads=self.partial_uploads,
            upload=self.upload,
            submit_upload=self.submit_upload,
            room=self.disk_room,
            max_upload_bytes=self.max_upload_bytes,
            lifetime=timedelta(hours=1),
            clock=self.clock,
        )

    @property
    def retry(self) -> Retry:
        return Retry(self.database.unit_of_work, self.submit, self.clock)

    @property
    def cancel(self) -> Cancel:
        return Cancel(self.database.unit_of_work, self.clock)

    @property
    def delete_audio(self) -> DeleteAudio:
        return DeleteAudio(self.database.unit_of_work, self.clock)

    @property
    def orphans(self) -> Orphans:
        return Orphans(unit_of_work=self.database.unit_of_work, store=self.store, clock=self.clock)

    @property
    def delete_transcription(self) -> DeleteTranscription:
        return DeleteTranscription(self.database.unit_of_work, self.clock)

    @property
    def edit_transcript(self) -> EditTranscript:
        return EditTranscript(self.database.unit_of_work, self.clock)

    @property
    def erase(self) -> Erase:
        return Erase(
            unit_of_work=self.database.unit_of_work,
            store=self.store,
            prepared=self.prepared,
            forget_runs=self.forget_runs,
            clock=self.clock,
        )

    @property
    def reconcile(self) -> Reconcile:
        return Reconcile(unit_of_work=self.database.unit_of_work, prepared=self.prepared, clock=self.clock)

    @cached_property
    def live_spool(self) -> FakeLiveSpool:
        return FakeLiveSpool(self.clock)

    @cached_property
    def live(self) -> LiveSessions:
        """Nobody recognises but a test, with `recognise_next`."""
        return LiveSessions(
            policy=self.live_policy,
            spool=self.live_spool,
            decoder=lambda encoding, sample_rate_hz: FakeStreamDecoder(),
            voice=FakeProbabilities,
            chain=EngineChain(self.engines, self.chain or tuple(self.engines)),
            breaker=self.breaker,
            upload=self.upload,
            submit=self.submit,
            room=self.disk_room,
            unit_of_work=self.database.unit_of_work,
            observe=lambda change, session_id, failure: self.live_changes.append(change),
            clock=self.clock,
            start_thread=self.start_live_thread,
        )

    def start_live_thread(self, work: Callable[[], None], *, name: str) -> Thread:
        thread = Thread(name=name)
        thread.start()
        return thread

    @property
    def steps(self) -> Steps:
        """As another process has them than the one that began the run."""
        return self.steps_of(Runs(self.database.unit_of_work, self.clock))

    def steps_of(self, runs: Runs) -> Steps:
        prepare_audio = PrepareAudio(
            store=self.store,
            decoder=self.decoder,
            detector=FakeSpeechDetector,
            prepared=self.prepared,
            max_audio_seconds=60,
        )
        chain = EngineChain(self.engines, self.chain or tuple(self.engines))
        return Steps(
            prepare=Prepare(runs=runs, prepare_audio=prepare_audio, prepared=self.prepared),
            recognise=Recognise(
                runs=runs,
                prepare_audio=prepare_audio,
                prepared=self.prepared,
                chain=chain,
                breaker=self.breaker,
                retry=self.retry_policy,
                observe=lambda attempt, retry_in_seconds: self.observed.append((attempt, retry_in_seconds)),
                gap_seconds=GAP_SECONDS,
                clock=self.clock,
                sleep=self.clock.sleep,
            ),
            diarize=Diarize(runs=runs, prepare_audio=prepare_audio, prepared=self.prepared, diarizer=self.diarizer),
            settle=Settle(runs=runs, chain=chain, gap_seconds=GAP_SECONDS, clock=self.clock),
        )

    @property
    def transcribe(self) -> Transcribe:
        """A worker that has just begun."""
        runs = Runs(self.database.unit_of_work, self.clock)
        steps = self.steps_of(runs)
        return Transcribe(
            unit_of_work=self.database.unit_of_work,
            runner=self.make_runner(steps),
            quick_runner=InProcessRunner(steps),
            prepared=self.prepared,
            max_crashes=3,
            clock=self.clock,
            runs=runs,
        )

    def forget_runs(self, transcription_id: UUID) -> int:
        self.forgotten.append(transcription_id)
        return 1

    def uploaded(self, pcm: bytes) -> AudioFile:
        return self.upload(io.BytesIO(pcm), file_name="talk.wav")

    def submitted(self, pcm: bytes, parameters: Parameters | None = None) -> Transcription:
        return self.submit(self.uploaded(pcm).id, parameters or Parameters())

    def transcription(self, transcription_id: UUID) -> Transcription:
        return self.database.transcriptions[transcription_id]
