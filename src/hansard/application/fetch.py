"""Take in a recording that a URL names, as if it had been uploaded."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from uuid import UUID

from hansard.application.idempotency import Made, made_before, request_key
from hansard.application.ports.clock import Clock
from hansard.application.ports.records import UnitOfWork
from hansard.application.ports.storage import RemoteFiles
from hansard.application.submit_upload import SubmitUpload
from hansard.application.upload import Upload
from hansard.domain.audio import DEFAULT_OWNER, AudioFile
from hansard.domain.errors import UrlRefused
from hansard.domain.file_name import clean_file_name
from hansard.domain.transcription import Parameters, Transcription
from hansard.timing.decorators import monitor_performance


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetch:
    """Both ways raise what `RemoteFiles` raises, and what an upload of the file would. `files` None: not allowed here.

    The file is called `file_name`, or else what its server calls it. Asked again with the same `idempotency_key`, for
    a day: what was made first, without another look at the URL, which may have something else by now.
    """

    unit_of_work: Callable[[], UnitOfWork]
    files: RemoteFiles | None
    upload: Upload
    submit_upload: SubmitUpload
    clock: Clock

    @monitor_performance
    def audio(
        self, url: str, *, file_name: str | None, owner: str = DEFAULT_OWNER, idempotency_key: str | None = None
    ) -> AudioFile:
        files, asked = self._allowed_files(), [url, file_name]
        if made := self._made_before(idempotency_key, owner, "upload", asked, lambda uow: uow.audio.get):
            return made
        with files.fetch(url) as file:
            return self.upload(
                file.stream,
                file_name=clean_file_name(file_name or file.name),
                owner=owner,
                idempotency_key=idempotency_key,
                asked=asked,
            )

    @monitor_performance
    def transcription(
        self,
        url: str,
        *,
        file_name: str | None,
        parameters: Parameters,
        owner: str = DEFAULT_OWNER,
        request_id: str | None = None,
        idempotency_key: str | None = None,
        coalesce: bool = False,
    ) -> Transcription:
        files, asked = self._allowed_files(), [url, file_name, asdict(parameters)]
        if made := self._made_before(
            idempotency_key, owner, "submit_upload", asked, lambda uow: uow.transcriptions.get
        ):
            return made
        # Before anything is fetched for nothing.
        self.submit_upload.submit.check(parameters)
        self.submit_upload.submit.require_room(owner)
        with files.fetch(url) as file:
            return self.submit_upload(
                file.stream,
                file_name=clean_file_name(file_name or file.name),
                parameters=parameters,
                owner=owner,
                request_id=request_id,
                idempotency_key=idempotency_key,
                coalesce=coalesce,
                asked=asked,
            )

    def _allowed_files(self) -> RemoteFiles:
        if self.files is None:
            raise UrlRefused(
                "Recordings are not fetched by their URL here.",
                code="url_input_off",
                help="Upload the file itself; or have the operator set HANSARD_URL_INPUT=true.",
            )
        return self.files

    def _made_before(
        self,
        idempotency_key: str | None,
        owner: str,
        route: str,
        asked: object,
        finder: Callable[[UnitOfWork], Callable[[UUID], Made]],
    ) -> Made | None:
        key = request_key(idempotency_key, owner=owner, route=route, asked=asked)
        if key is None:
            return None
        with self.unit_of_work() as uow:
            return made_before(uow, key, self.clock(), find=finder(uow))
