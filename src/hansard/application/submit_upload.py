"""Take a recording in and ask for its transcription: all or nothing, in one commit."""

from dataclasses import asdict, dataclass
from typing import BinaryIO
from uuid import UUID

from hansard.application.idempotency import once, request_key
from hansard.application.ports.records import UnitOfWork
from hansard.application.run import commit
from hansard.application.submit import Submit
from hansard.application.upload import Upload
from hansard.domain.audio import DEFAULT_OWNER, AudioFile
from hansard.domain.transcription import Parameters, Transcription
from hansard.timing.decorators import monitor_performance


@dataclass(frozen=True, slots=True)
class SubmitUpload:
    """Raises what `Upload` and `Submit` raise; then neither a recording nor a job is kept."""

    upload: Upload
    submit: Submit

    @monitor_performance
    def __call__(
        self,
        source: BinaryIO,
        *,
        file_name: str,
        parameters: Parameters,
        owner: str = DEFAULT_OWNER,
        request_id: str | None = None,
        idempotency_key: str | None = None,
        coalesce: bool = False,
        audio_id: UUID | None = None,
        asked: object = None,
    ) -> Transcription:
        """`idempotency_key` and `coalesce` are those of `Submit`, `audio_id` and `asked` those of `Upload`. Where there
        is a transcription already, no second audio file is made either.
        """
        # Before anything is stored: a misspelt engine should not cost the time.
        self.submit.check(parameters)

        def keep(uow: UnitOfWork, audio: AudioFile) -> Transcription:
            request = asked or [audio.stored.sha256, audio.file_name, asdict(parameters)]
            key = request_key(idempotency_key, owner=owner, route="submit_upload", asked=request)

            def make() -> Transcription:
                shared = self.submit.in_flight(uow, audio, parameters, owner=owner) if coalesce else None
                if shared is not None:
                    return shared
                self.upload.add(uow, audio)
                return self.submit.add(uow, audio, parameters, owner=owner, request_id=request_id)

            transcription = once(uow, key, audio.uploaded_at, find=uow.transcriptions.get, make=make)
            commit(uow, transcription)
            return transcription

        return self.upload.take_in(source, keep, file_name=file_name, owner=owner, audio_id=audio_id)
