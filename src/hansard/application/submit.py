"""Ask for a transcription: the row, its event and its job in one commit."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from uuid import UUID

from hansard.application.backlog import QueuePolicy
from hansard.application.diarize import require_diarizer, wants_diarizer
from hansard.application.idempotency import once, request_key
from hansard.application.ports.clock import Clock
from hansard.application.ports.engines import Diarizer, SpeechEngine
from hansard.application.ports.records import UnitOfWork
from hansard.application.recognise import recognition
from hansard.domain.audio import DEFAULT_OWNER, AudioFile
from hansard.domain.channels import require_channels
from hansard.domain.errors import EngineRejected, InvalidRequest
from hansard.domain.transcription import AUTO, Channels, Parameters, Transcription
from hansard.timing.decorators import time_it


@dataclass(frozen=True, slots=True)
class Submit:
    """Raises `NotFound` for an unknown audio file, `QueueFull` when too much waits already, and what `check` raises."""

    unit_of_work: Callable[[], UnitOfWork]
    engines: Mapping[str, SpeechEngine]
    diarizer: Diarizer
    policy: QueuePolicy
    clock: Clock

    @time_it
    def __call__(
        self,
        audio_id: UUID,
        parameters: Parameters,
        *,
        owner: str = DEFAULT_OWNER,
        request_id: str | None = None,
        idempotency_key: str | None = None,
        coalesce: bool = False,
    ) -> Transcription:
        """Asked again with the same `idempotency_key`, for a day: the transcription that was made first.

        With `coalesce`, one of the owner's that is queued or running and wants the same of the same bytes is as good
        as a new one. All parameters must be the same, also those that change no word: who put a label on a
        transcription, or a priority, looks for them. It is one transcription for all who asked: who cancels or deletes
        it does so for all.
        """
        self.check(parameters)
        key = request_key(idempotency_key, owner=owner, route="submit", asked=[audio_id, asdict(parameters)])
        with self.unit_of_work() as uow:
            # Locked, so that whoever deletes it waits and finds this transcription, or is waited for.
            audio = uow.audio.get(audio_id, for_update=True)
            if coalesce:
                uow.audio.hold_bytes(audio.stored)

            def make() -> Transcription:
                shared = self.in_flight(uow, audio, parameters, owner=owner) if coalesce else None
                return shared or self.add(uow, audio, parameters, owner=owner, request_id=request_id)

            transcription = once(uow, key, self.clock(), find=uow.transcriptions.get, make=make)
            uow.commit()
        return transcription

    def in_flight(
        self, uow: UnitOfWork, audio: AudioFile, parameters: Parameters, *, owner: str
    ) -> Transcription | None:
        """One that is as good as a new one: see `coalesce`. The bytes are to be held before."""
        return uow.transcriptions.in_flight(owner=owner, sha256=audio.stored.sha256, parameters=parameters)

    def add(
        self, uow: UnitOfWork, audio: AudioFile, parameters: Parameters, *, owner: str, request_id: str | None
    ) -> Transcription:
        """The row, its event and its job, if there is room."""
        self.policy.require_room(uow, owner)
        return self.queue(uow, audio, parameters, owner=owner, request_id=request_id)

    def queue(
        self,
        uow: UnitOfWork,
        audio: AudioFile,
        parameters: Parameters,
        *,
        owner: str,
        request_id: str | None,
        id: UUID | None = None,
    ) -> Transcription:
        """The same for what was promised room before. `id` None: a new one. Raises `InvalidAudio` where there are no
        channels to be heard apart.
        """
        if parameters.channels is Channels.SEPARATE:
            require_channels(audio.properties.channels)
        transcription = Transcription.queue(
            audio_id=audio.id, parameters=parameters, at=self.clock(), owner=owner, request_id=request_id, id=id
        )
        uow.transcriptions.add(transcription)
        uow.jobs.defer_transcription(transcription, audio_seconds=audio.properties.duration_seconds)
        return transcription

    def require_room(self, owner: str = DEFAULT_OWNER) -> None:
        """Raises `QueueFull`, so that a recording need not be sent for nothing."""
        with self.unit_of_work() as uow:
            self.policy.require_room(uow, owner)

    def check(self, parameters: Parameters) -> None:
        """Raises `InvalidRequest` for an unknown engine, and where nobody here can tell who speaks; `EngineRejected`
        when the engine named can't do that.

        What `auto` can do is only known when a worker takes the job: engines come and go. Another engine may take over
        what the one named can't do, if it may; but not a model that nobody knows.
        """
        if wants_diarizer(parameters):
            require_diarizer(self.diarizer)
        name = parameters.engine
        if name == AUTO:
            return
        if name not in self.engines:
            known = ", ".join([AUTO, *self.engines])
            raise InvalidRequest(
                f"There is no engine called {name!r}.",
                code="unknown_engine",
                help=f"Use one of: {known}. GET /engines tells what each can do here.",
            )
        try:
            self.engines[name].model_for(recognition(parameters))
        except EngineRejected as refusal:
            if not parameters.falls_back or refusal.failure.code == "unknown_model":
                raise
