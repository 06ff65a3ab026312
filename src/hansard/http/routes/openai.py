"""OpenAI's audio API: a recording goes in and its text comes back, in one request, for programs that speak it already.

The work is a transcription like any other, done by the same workers, before those that nobody waits for. What stays is
kept like any other too: the header of each answer says under which id. See docs/openai.md.
"""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from functools import partial
from time import monotonic
from typing import Any, cast
from uuid import UUID

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData

from hansard.application.words_so_far import with_words_so_far
from hansard.bootstrap import Container
from hansard.domain.audio import DEFAULT_OWNER
from hansard.domain.errors import Category, Failure, HansardError, NotFound
from hansard.domain.transcript import Transcript
from hansard.domain.transcription import Parameters, Status, Task, Transcription
from hansard.http.dependencies import IdempotencyKey, RequestId, TheContainer
from hansard.http.errors import BODY_UNWANTED, refused
from hansard.http.openai import answers, schemas
from hansard.http.openai import errors as openai_errors
from hansard.http.openai import stream as openai_stream
from hansard.http.openai.models import Models
from hansard.http.openai.stream import KEEP_ALIVE, KEEP_ALIVE_SECONDS, EventStream, Telling
from hansard.http.schemas.transcriptions import TRANSCRIPTION_ID_HEADER
from hansard.http.uploads import forms
from hansard.http.waiting import OutOfPatience, Wait, Waiting

router = APIRouter(prefix=openai_errors.PREFIX, tags=["openai"])

MOST_FIELDS = 512
"""Lists are sent an entry a field."""

MOST_FIELD_BYTES = 1024 * 1024
"""Samples of voices come as fields: they are refused by their name, not for their size."""

SMALL_BYTES = 1024 * 1024
"""Of a smaller request nothing is gained by asking, before it comes in, whether there is room in the queue."""

Wish = schemas.TranscriptionForm | schemas.TranslationForm


@dataclass(frozen=True, slots=True)
class _Outcome:
    """`transcript` is what there is by now."""

    transcription: Transcription
    transcript: Transcript


class _WorkFailed(Exception):
    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


# ── Routes ───────────────────────────────────────────────────────────────────────────────────────────────

_ID = {"description": "Where the transcription is kept: `GET /transcriptions/{id}`.", "schema": {"type": "string"}}


def _described(form: type[schemas.AudioForm]) -> dict[str, Any]:
    """The form is read by hand: its lists come with brackets and without."""
    content = {"multipart/form-data": {"schema": form.model_json_schema()}}
    return {"requestBody": {"required": True, "content": content}}


_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "In the format asked for; with `stream`, server-sent events.",
        "headers": {TRANSCRIPTION_ID_HEADER: _ID},
        "content": {"application/json": {}, "text/plain": {}, "text/vtt": {}, openai_stream.MEDIA_TYPE: {}},
    },
    504: {"description": "`transcription_pending`: it goes on, and can be fetched.", "headers": {"Location": _ID}},
}


@router.post(
    "/audio/transcriptions",
    summary="Transcribe a recording, and wait for it",
    response_class=Response,
    responses=_ANSWERS,
    openapi_extra=_described(schemas.TranscriptionForm),
)
async def create_transcription(
    request: Request, container: TheContainer, request_id: RequestId, idempotency_key: IdempotencyKey = None
) -> Response:
    """As OpenAI's `audio.transcriptions.create`."""

    def asked(form: FormData) -> tuple[schemas.TranscriptionForm, Parameters]:
        wish = schemas.validated_transcription(form)
        parameters = replace(
            _parameters(_models(request), wish),
            language=wish.spoken_language,
            hotwords=", ".join(wish.keywords) if wish.keywords else None,
            diarize=wish.response_format == "diarized_json",
        )
        return wish, parameters

    return await _serve(request, container, asked, request_id, idempotency_key)


@router.post(
    "/audio/translations",
    summary="Write down in English what is said in a recording, and wait for it",
    response_class=Response,
    responses=_ANSWERS,
    openapi_extra=_described(schemas.TranslationForm),
)
async def create_translation(
    request: Request, container: TheContainer, request_id: RequestId, idempotency_key: IdempotencyKey = None
) -> Response:
    """As OpenAI's `audio.translations.create`."""

    def asked(form: FormData) -> tuple[schemas.TranslationForm, Parameters]:
        wish = schemas.validated_translation(form)
        return wish, replace(_parameters(_models(request), wish), task=Task.TRANSLATE)

    return await _serve(request, container, asked, request_id, idempotency_key)


@router.post("/audio/speech", include_in_schema=False)
async def create_speech() -> None:
    raise NotFound(
        "Hansard writes down what is said; it does not speak.",
        code="unknown_path",
        help="Use another service for /v1/audio/speech.",
    )


@router.get("/models", summary="List the models that can be used now")
def list_models(request: Request) -> schemas.ModelList:
    return schemas.ModelList(data=_models(request).all())


@router.get("/models/{model:path}", summary="Look a model up")
def get_model(model: str, request: Request) -> schemas.Model:
    return _models(request).get(model)


# ── The way of a request ─────────────────────────────────────────────────────────────────────────────────


async def _serve(
    request: Request,
    container: Container,
    asked: Callable[[FormData], tuple[Wish, Parameters]],
    request_id: str,
    idempotency_key: str | None,
) -> Response:
    if int(request.headers.get("content-length", SMALL_BYTES)) >= SMALL_BYTES:
        try:
            await run_in_threadpool(container.submit.require_room, DEFAULT_OWNER)
        except HansardError as error:
            return refused(request, error, headers=BODY_UNWANTED)
    form = await forms.read_form(request, most_fields=MOST_FIELDS, most_field_bytes=MOST_FIELD_BYTES)
    try:
        wish, parameters = asked(form)
        source, file_name = forms.received(wish.file, max_upload_bytes=container.settings.max_upload_bytes)
        submit = partial(
            container.submit_upload,
            source,
            file_name=file_name,
            parameters=parameters,
            request_id=request_id,
            idempotency_key=idempotency_key,
            coalesce=True,
        )
        transcription = await run_in_threadpool(submit)
    finally:
        await form.close()
    headers = {TRANSCRIPTION_ID_HEADER: str(transcription.id), "Location": f"/transcriptions/{transcription.id}"}
    waiting = cast(Waiting, request.app.state.waiting)
    job = _Job(
        container,
        waiting,
        request,
        transcription.id,
        transcription.status,
        wish,
        may_cancel=idempotency_key is None,
    )
    try:
        if isinstance(wish, schemas.TranscriptionForm) and wish.stream:
            events = job.events(wish)
            return EventStream(await anext(events), events, job.told, headers)
        answer = await job.answer()
    except (HansardError, OutOfPatience, _WorkFailed) as error:
        return job.refusal(error, headers)
    answer.headers.update(headers)
    return answer


@dataclass(frozen=True, slots=True)
class _Job:
    """One request, once its transcription is asked for. `status` is what that had then."""

    container: Container
    waiting: Waiting
    request: Request
    transcription_id: UUID
    status: Status
    wish: Wish
    may_cancel: bool

    async def answer(self) -> Response:
        give_up_at = monotonic() + self._patience_seconds
        status: Status | None = self.status
        async with self._wait() as wait:
            while True:
                # What happens on the way is of no interest, and need not be looked at.
                while status is not None and not status.is_final:
                    status = await wait.change(seconds=give_up_at - monotonic())
                outcome = await self._look()
                status = outcome.transcription.status
                if status.is_final:
                    break
        return answers.answer(outcome.transcription, _completed(outcome), self.wish)

    async def events(self, wish: schemas.TranscriptionForm) -> AsyncGenerator[str]:
        telling = Telling(wish)
        give_up_at = monotonic() + self._patience_seconds
        async with self._wait() as wait:
            while not (outcome := await self._look()).transcription.status.is_final:
                for each in telling.more(outcome.transcript):
                    give_up_at = monotonic() + self._patience_seconds
                    yield openai_stream.event(each)
                try:
                    await wait.change(seconds=min(KEEP_ALIVE_SECONDS, give_up_at - monotonic()))
                except OutOfPatience:
                    if monotonic() >= give_up_at:
                        raise
                    yield KEEP_ALIVE
        for each in telling.end(outcome.transcription, _completed(outcome)):
            yield openai_stream.event(each)

    def refusal(self, error: Exception, headers: Mapping[str, str]) -> Response:
        if isinstance(error, _WorkFailed):
            return openai_errors.failed_work(error.failure, headers)
        if isinstance(error, OutOfPatience):
            pending = self._pending()
            return openai_errors.refusal(
                504,
                detail=pending.message,
                code=pending.code,
                category=pending.category,
                help=pending.help,
                headers=headers,
            )
        return refused(self.request, cast(HansardError, error), headers=headers)

    def told(self, error: Exception) -> dict[str, object] | None:
        """For those who have begun to read. None for what nobody expected."""
        match error:
            case _WorkFailed():
                return openai_errors.failure_json(error.failure)
            case OutOfPatience():
                return openai_errors.failure_json(self._pending())
            case HansardError():
                return openai_errors.failure_json(error.failure)
            case _:
                return None

    def _pending(self) -> Failure:
        return Failure(
            code="transcription_pending",
            category=Category.TIMEOUT,
            message=f"The transcription did not end within {self._patience_seconds:g} s. It goes on.",
            retryable=True,
            help=f"GET /transcriptions/{self.transcription_id} has it once it is completed; the same request, sent "
            "again until then, joins it.",
        )

    @property
    def _patience_seconds(self) -> float:
        return self.container.settings.openai_api_wait_seconds

    def _wait(self) -> AbstractAsyncContextManager[Wait]:
        return self.waiting.for_transcription(self.transcription_id, self.request.receive, may_cancel=self.may_cancel)

    async def _look(self) -> _Outcome:
        return await run_in_threadpool(_look, self.container, self.transcription_id)


def _look(container: Container, transcription_id: UUID) -> _Outcome:
    with container.unit_of_work() as uow:
        return _Outcome(*with_words_so_far(uow, transcription_id))


def _completed(outcome: _Outcome) -> Transcript:
    if outcome.transcription.failure is not None:
        raise _WorkFailed(outcome.transcription.failure)
    return outcome.transcript


def _models(request: Request) -> Models:
    return cast(Models, request.app.state.models)


def _parameters(models: Models, wish: schemas.AudioForm) -> Parameters:
    """Temperature 0 is OpenAI's word for leaving it to the engine, which begins there and raises it where it must."""
    return replace(
        models.parameters(wish.model),
        prompt=wish.prompt,
        temperature=wish.temperature or None,
        interactive=True,
    )
