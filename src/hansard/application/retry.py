"""Ask again for a transcription that failed or was cancelled, without sending the recording again."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from uuid import UUID

from hansard.application.ports.clock import Clock
from hansard.application.ports.records import UnitOfWork
from hansard.application.submit import Submit
from hansard.domain.errors import IllegalMove
from hansard.domain.transcription import Parameters, Status, Transcription
from hansard.timing.decorators import time_it

_COMING = "It is coming: GET /transcriptions/{id} tells how far it is. To ask for something else, cancel it first."

WAY_ON: Mapping[Status, str] = MappingProxyType(
    {
        Status.QUEUED: _COMING,
        Status.RUNNING: _COMING,
        Status.COMPLETED: "Ask for another one of the same recording with POST /audio/{audio_id}/transcriptions.",
    }
)
"""What to do instead, where there is nothing to retry."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Raises `NotFound`, `IllegalMove` for one that has not failed and was not cancelled, and what `submit` refuses."""

    unit_of_work: Callable[[], UnitOfWork]
    submit: Submit
    clock: Clock

    @time_it
    def __call__(self, transcription_id: UUID, parameters: Parameters | None = None) -> Transcription:
        """What was recognised is kept and gone on from, unless there are new `parameters`: then it all begins anew.

        Where its last worker has not noticed yet that it was cancelled, the new job waits for that.
        """
        if parameters is not None:
            self.submit.check(parameters)
        with self.unit_of_work() as uow:
            transcription = uow.transcriptions.get(transcription_id, for_update=True)
            if transcription.status in WAY_ON:
                raise IllegalMove(
                    f"There is nothing to retry: the transcription is {transcription.status}.",
                    help=WAY_ON[transcription.status],
                )
            self.submit.policy.require_room(uow, transcription.owner)
            if parameters not in (None, transcription.parameters):
                uow.transcripts.clear(transcription_id)
            transcription.retry(self.clock(), parameters)
            uow.transcriptions.save(transcription)
            # Not locked: who deletes it locks the transcriptions too, and waits for this one.
            audio = uow.audio.get(transcription.audio_id)
            uow.jobs.defer_transcription(transcription, audio_seconds=audio.properties.duration_seconds)
            uow.commit()
        return transcription
