"""Lives of transcriptions, as the events that they leave behind."""

import random
from datetime import UTC, datetime, timedelta
from uuid import UUID

from hansard.domain.coverage import Coverage
from hansard.domain.errors import Category, Failure
from hansard.domain.events import AudioFileDeleted, AudioFileUploaded, Event, Interruption
from hansard.domain.transcription import Parameters, Result, Transcription

BEGIN = datetime(2026, 3, 1, 9, tzinfo=UTC)
BROKEN = Failure(code="engine_failed", category=Category.SERVER, message="It broke.")


class Story:
    """Makes events as transcriptions do, a second or so after each other."""

    def __init__(self, seed: int = 0) -> None:
        self.random = random.Random(seed)
        self.now = BEGIN
        self.events: list[Event] = []

    def after(self, seconds: float) -> datetime:
        self.now += timedelta(seconds=seconds)
        return self.now

    def take(self, transcription: Transcription) -> None:
        self.events.extend(transcription.pull_events())

    def queue(self, owner: str = "alice", interactive: bool = False) -> Transcription:
        made = Transcription.queue(
            audio_id=UUID(int=self.random.getrandbits(128)),
            parameters=Parameters(interactive=interactive),
            at=self.after(1),
            owner=owner,
            id=UUID(int=self.random.getrandbits(128)),
        )
        self.take(made)
        return made

    def work(self, transcription: Transcription, *, engine: str = "whisper", waits: float = 10) -> None:
        """It waits, is prepared for a second, and has 50 s recognised."""
        transcription.start(self.after(waits))
        transcription.begin_attempt(engine=engine, model="small", at=self.after(1))
        transcription.advance_attempt(50)

    def complete(
        self,
        transcription: Transcription,
        *,
        seconds: float = 5,
        engine: str = "whisper",
        waits: float = 10,
        transcribed_seconds: float = 49,
        degraded: bool = False,
    ) -> None:
        """Recognised in `seconds`; closed in another one."""
        self.work(transcription, engine=engine, waits=waits)
        transcription.end_attempt(self.after(seconds))
        result = Result(
            engine=engine,
            model="small",
            language="en",
            audio_seconds=60,
            speech_seconds=50,
            word_count=100,
            processing_seconds=seconds,
            coverage=Coverage(speech_seconds=50, transcribed_seconds=transcribed_seconds),
            degraded_reasons=("second best",) if degraded else (),
        )
        transcription.complete(result, self.after(1))
        self.take(transcription)

    def fail(self, transcription: Transcription) -> None:
        self.work(transcription, engine="openai")
        transcription.end_attempt(self.after(2), BROKEN)
        transcription.fail(BROKEN, self.after(1))
        self.take(transcription)

    def any_life(self) -> None:
        transcription = self.queue(owner=self.random.choice(["alice", "bob"]))
        for _ in range(self.random.randrange(3)):
            self.work(transcription)
            if self.random.random() < 0.5:
                transcription.interrupt(self.after(3), Interruption.WORKER_LOST)
            else:
                transcription.fail(BROKEN, self.after(3))
                transcription.retry(self.after(100))
        match self.random.randrange(4):
            case 0:
                transcription.cancel(self.after(4))
                transcription.delete(self.after(1))
            case 1:
                self.fail(transcription)
            case 2:
                self.complete(transcription)
            case _:
                pass
        self.take(transcription)
        self.events.append(
            AudioFileUploaded(
                subject=str(transcription.audio_id),
                occurred_at=self.after(0),
                size_bytes=1000,
                sha256="0" * 64,
                duration_seconds=60,
                owner="alice",
            )
        )
        if self.random.random() < 0.2:
            self.events.append(
                AudioFileDeleted(
                    subject=str(transcription.audio_id),
                    occurred_at=self.after(1),
                    sha256="0" * 64,
                    size_bytes=1000,
                    transcriptions=1,
                )
            )
