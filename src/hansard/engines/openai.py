# pyright: reportUnknownMemberType=false
"""OpenAI's transcription API, and servers that speak it.

The recording arrives in passages, cut at silences, so a file may be larger and longer than the API takes. What the
models take differs; `openai_models` knows how. Every error is told apart by what to do next.

An answer may take minutes and by then be wanted no more. So the SDK's asynchronous client makes the call, on a loop in
the `background`: there it can be given up at any moment, and the connection is closed.
"""

import io
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit
from uuid import uuid4

import av
import numpy as np
from loguru import logger
from pydantic import ValidationError

from hansard.application.origin import current_origin
from hansard.application.ports.engines import ANYTHING, EngineCall, EngineState, EngineStatus, Recognition
from hansard.application.ports.tracing import Fact, SpanKind, Spans, no_spans
from hansard.application.retry_after import retry_after_seconds
from hansard.domain.audio import BYTES_PER_SECOND, SAMPLE_RATE_HZ
from hansard.domain.errors import (
    EngineError,
    EngineFailed,
    EngineNotAuthenticated,
    EngineRateLimited,
    EngineRejected,
    EngineTimedOut,
    EngineUnavailable,
)
from hansard.domain.speech import PassageLimits
from hansard.domain.transcript import Segment
from hansard.domain.transcription import Task
from hansard.engines.background import Background
from hansard.engines.openai_answers import Answer
from hansard.engines.openai_models import DIALECTS, NAME, SET_A_MODEL, form_fields, model_for
from hansard.engines.stopping import go_on_unless
from hansard.timing.decorators import monitor_performance

if TYPE_CHECKING:
    import openai

OPENAI_URL = "https://api.openai.com/v1"

PASSAGE_LIMITS = PassageLimits(seconds=300, pause_seconds=10)
"""The API takes 25 MB and, with the newer models, 1400 s. But those models stop at 2000 output tokens and don't say
so; fast speech makes up to 300 a minute, so five minutes are safe. In longer pauses Whisper hears words."""

MAX_UPLOAD_BYTES = 25_000_000

SHORTEST_UPLOAD_BYTES = BYTES_PER_SECOND // 10
"""The API refuses less than 0.1 s."""

CONNECT_TIMEOUT_SECONDS = 10.0

CLIENT_REQUEST_ID = "X-Client-Request-Id"
"""OpenAI's: an id of the client's, to ask about a call that was never answered."""

SHORTEST_KEY = 8
"""Shorter ones are words that stand in for a key, where the server wants none."""

LONGEST_QUOTE = 300
"""Characters of a server's own words that go into a message."""


@dataclass(frozen=True, slots=True)
class _Refusal:
    """What an HTTP status means to us."""

    kind: type[EngineError]
    code: str | None = None
    help: str | None = None


_OUT_OF_MONEY = _Refusal(
    EngineUnavailable, code="quota_exhausted", help="Add credit to the account at the provider, or raise its limit."
)
_OUT_OF_MONEY_CODES = frozenset({"insufficient_quota", "billing_not_active"})
"""Said with a 429; but waiting fills no account."""

_ASK_LATER = "If it lasts, the provider's status page may tell more; ask again later, or for another engine."

_OBJECTION = _Refusal(EngineRejected, help="Change what the message names, or ask for another engine or model.")

_REFUSALS: Mapping[int, _Refusal] = MappingProxyType(
    {
        400: _OBJECTION,
        401: _Refusal(EngineNotAuthenticated, help="Check OPENAI_API_KEY."),
        402: _OUT_OF_MONEY,
        403: _Refusal(EngineNotAuthenticated, help="Give the key's project access to the model, or use another key."),
        404: _Refusal(EngineRejected, code="unknown_model", help="Name a model that the key may use, or none."),
        408: _Refusal(EngineTimedOut, help=_ASK_LATER),
        409: _Refusal(EngineFailed, help=_ASK_LATER),
        # Passages are cut by us, so their size is nobody's wish.
        413: _Refusal(
            EngineUnavailable,
            code="passage_too_large",
            help=f"The server, or a proxy before it, must take {MAX_UPLOAD_BYTES // 1_000_000} MB, as OpenAI does.",
        ),
        415: _OBJECTION,
        422: _OBJECTION,
        429: _Refusal(EngineRateLimited, help="Ask the provider for a higher limit, or run fewer workers."),
    }
)
_BROKEN = _Refusal(EngineFailed, help=_ASK_LATER)
"""Whatever begins with a 5."""

_NOT_THE_API = _Refusal(
    EngineUnavailable,
    code="not_the_api",
    help="Something else may answer in the API's place: check OPENAI_BASE_URL, where it is set, and the proxy.",
)
"""The rest: a redirection that leads nowhere, a method that is not allowed, a proxy that wants a password …"""

_OUR_MODEL_NOT_FOUND = _Refusal(
    EngineUnavailable,
    code="model_not_found",
    help="Set HANSARD_OPENAI_MODEL to a model that the key may use; OPENAI_BASE_URL, where it is set, usually ends in "
    "/v1.",
)
"""Also 404, where the model is the one of our settings: whoever made the request can do nothing about it."""


class OpenAiEngine:
    """A `SpeechEngine`. `base_url` None is OpenAI itself; another server may have models of any name, which are
    spoken to as to `whisper-1`. `timeout_seconds` bounds one call. `offline` keeps it off the network.
    """

    name = NAME
    limits = PASSAGE_LIMITS
    degraded_reason = None
    models_in_memory = ()

    def __init__(
        self,
        *,
        api_key: str | None,
        base_url: str | None,
        model: str,
        timeout_seconds: float,
        offline: bool,
        spans: Spans = no_spans,
    ) -> None:
        # A key read from a file often ends in a newline, which no HTTP header may hold.
        self._api_key = (api_key or "").strip()
        self._base_url = base_url
        self._model = model
        self._timeout_seconds = timeout_seconds
        self._offline = offline
        self._spans = spans
        opening = partial(_client, self._api_key, base_url or OPENAI_URL, timeout_seconds)
        self._background = Background(opening, engine=NAME)

    def status(self, request: Recognition = ANYTHING) -> EngineStatus:
        if self._offline:
            return _unavailable("it is told to stay offline", "Unset HANSARD_OFFLINE, or use a local engine.")
        if not self._api_key:
            return _unavailable("no API key is set", "Set OPENAI_API_KEY; a server that wants none takes any word.")
        if not (self._api_key.isascii() and self._api_key.isprintable()):
            return _unavailable("the API key holds characters that no key has", "Set OPENAI_API_KEY anew.")
        if self._base_url and not _is_web_address(self._base_url):
            return _unavailable(
                "OPENAI_BASE_URL is no web address", "Write it as http://host:port/v1, or unset it for OpenAI itself."
            )
        if request.model is None and self._base_url is None and self._model not in DIALECTS:
            return _unavailable(f"there is no transcription model called {self._model!r}", SET_A_MODEL)
        return EngineStatus(state=EngineState.READY, detail=f"{self._model} at {self._host}")

    def model_for(self, request: Recognition) -> str:
        return model_for(request, default=self._model, at_openai=self._base_url is None)

    @monitor_performance
    def recognise(self, pcm: bytes, request: Recognition, call: EngineCall | None = None) -> Iterator[Segment]:
        call = call or EngineCall()
        go_on_unless(call.stop, NAME)
        model = self.model_for(request)
        status = self.status(request)
        if status.state is EngineState.UNAVAILABLE:
            raise EngineUnavailable(f"OpenAI cannot be used: {status.detail}.", engine=NAME, help=status.help)
        upload = _flac(pcm.ljust(SHORTEST_UPLOAD_BYTES, b"\0"))
        answer = self._ask(model, upload, request, call)
        translated_into = "en" if request.task is Task.TRANSLATE else None
        call.usage.extend(answer.tokens())
        call.spoken.extend(answer.spoken() if translated_into is None else ())
        for segment in answer.segments_within(
            len(pcm) / BYTES_PER_SECOND, asked_for=request.language, translated_into=translated_into
        ):
            go_on_unless(call.stop, NAME)
            yield segment

    @property
    def _host(self) -> str:
        return urlsplit(self._base_url or OPENAI_URL).hostname or ""

    def _ask(self, model: str, upload: bytes, request: Recognition, call: EngineCall) -> Answer:
        import openai  # noqa: PLC0415 - see `_client`

        form = {"file": ("passage.flac", upload, "audio/flac"), "model": model, **form_fields(model, request)}
        log = logger.bind(engine=NAME, model=model, host=self._host, upload_bytes=len(upload))
        known = len(call.request_ids)
        with self._spans(
            f"POST {_path(request.task)}", kind=SpanKind.CLIENT, facts=self._facts(model, request)
        ) as span:
            headers = _headers()
            log.bind(client_request_id=headers[CLIENT_REQUEST_ID]).debug("Sending a passage to the provider.")
            try:
                sending = partial(_send, task=request.task, form=form, headers=headers, request_ids=call.request_ids)
                status, body = self._background.run(sending, call.stop)
            except (openai.OpenAIError, RuntimeError) as error:  # RuntimeErrors come of an interpreter that is ending
                translated = self._translated(error, request, _last(call.request_ids[known:]))
                span.note({"http.response.status_code": translated.failure.provider_status})
                raise translated from error
            request_id = _last(call.request_ids[known:])
            span.note({"http.response.status_code": status, "hansard.provider_request_id": request_id})
        log.bind(provider_request_id=request_id).debug("The provider answered.")
        try:
            return Answer.model_validate_json(body)
        except ValidationError as error:
            raise EngineFailed(
                f"{self._host} gave an answer that is no transcription.",
                engine=NAME,
                code="bad_answer",
                help="A proxy may be answering in its place. OPENAI_BASE_URL, where it is set, usually ends in /v1.",
                provider_status=status,
                provider_request_id=request_id,
            ) from error

    def _facts(self, model: str, request: Recognition) -> dict[str, Fact | None]:
        address = urlsplit(self._base_url or OPENAI_URL)
        return {
            "http.request.method": "POST",
            "url.template": _path(request.task),
            "server.address": address.hostname,
            "server.port": address.port or (443 if address.scheme == "https" else 80),
            "gen_ai.provider.name": NAME,
            "gen_ai.request.model": model,
        }

    def _translated(self, error: Exception, request: Recognition, request_id: str | None) -> EngineError:
        import openai  # noqa: PLC0415 - see `_client`

        if isinstance(error, openai.APIStatusError):
            refusal = _refusal(error, request)
            return refusal.kind(
                self._without_key(f"{self._host} answered {error.status_code}: {_said(error)}"),
                engine=NAME,
                code=refusal.code,
                help=refusal.help,
                provider_status=error.status_code,
                provider_request_id=request_id,
                retry_after_seconds=retry_after_seconds(error.response.headers),
            )
        if isinstance(error, openai.APITimeoutError):
            return EngineTimedOut(
                f"{self._host} did not answer within {self._timeout_seconds:g} s.",
                engine=NAME,
                help="If it is only slow, raise HANSARD_OPENAI_TIMEOUT_SECONDS.",
                provider_request_id=request_id,
            )
        if isinstance(error, openai.APIConnectionError):
            return EngineFailed(
                self._without_key(f"No connection to {self._host}: {error.__cause__ or error}"),
                engine=NAME,
                code="connection_failed",
                help="Check the network, the proxy, the certificates and, where it is set, OPENAI_BASE_URL.",
                provider_request_id=request_id,
            )
        return EngineFailed(
            self._without_key(f"The call to {self._host} could not be made: {error}"),
            engine=NAME,
            help=_ASK_LATER,
            provider_request_id=request_id,
        )

    def _without_key(self, text: str) -> str:
        is_secret = len(self._api_key) >= SHORTEST_KEY
        return text.replace(self._api_key, "[key]") if is_secret else text


_request_ids: ContextVar[list[str]] = ContextVar("_request_ids")
"""Where the call that is under way keeps them."""


def _client(api_key: str, base_url: str, timeout_seconds: float) -> "openai.AsyncOpenAI":
    import openai  # noqa: PLC0415 - half a second and 14 MB, for those who have a key

    return openai.AsyncOpenAI(
        api_key=api_key,
        base_url=base_url,
        timeout=openai.Timeout(timeout_seconds, connect=min(timeout_seconds, CONNECT_TIMEOUT_SECONDS)),
        max_retries=0,  # Attempts are counted, recorded and spaced by the use case.
        http_client=openai.DefaultAsyncHttpxClient(event_hooks={"response": [_note_request_id]}),
    )


async def _send(
    client: "openai.AsyncOpenAI",
    *,
    task: Task,
    form: Mapping[str, object],
    headers: Mapping[str, str],
    request_ids: list[str],
) -> tuple[int, str]:
    """The status and the body of a good answer."""
    _request_ids.set(request_ids)
    # Raw, because the SDK takes whatever comes back for a transcription.
    audio = client.audio
    endpoint = audio.translations if task is Task.TRANSLATE else audio.transcriptions
    create = cast("Callable[..., Awaitable[Any]]", endpoint.with_raw_response.create)
    raw = await create(**form, extra_headers=headers)
    return raw.status_code, raw.text


async def _note_request_id(response: Any) -> None:  # noqa: ANN401 - a class of the SDK's own HTTP library
    """Called when the headers are there: an answer that breaks off after them has its id, too."""
    if request_id := response.headers.get("x-request-id"):
        _request_ids.get().append(request_id)


def _headers() -> dict[str, str]:
    """By which the provider, and proxies on the way, can put this call beside our log: OpenAI wants an id that no other
    call has, and tells its own only where it answers.
    """
    headers = current_origin().headers
    return {**headers, CLIENT_REQUEST_ID: "-".join([*filter(None, [headers.get("X-Request-ID")]), uuid4().hex[:12]])}


def _path(task: Task) -> str:
    return "/audio/translations" if task is Task.TRANSLATE else "/audio/transcriptions"


def _last(request_ids: list[str]) -> str | None:
    return request_ids[-1] if request_ids else None


def _unavailable(detail: str, help: str) -> EngineStatus:
    return EngineStatus(state=EngineState.UNAVAILABLE, detail=detail, help=help)


def _is_web_address(url: str) -> bool:
    try:
        address = urlsplit(url)
        return address.scheme in {"http", "https"} and bool(address.hostname) and address.port != 0
    except ValueError:  # a port that is no number, a bracket that is not closed
        return False


def _flac(pcm: bytes) -> bytes:
    """The samples as FLAC: lossless, about half the size, and every server that speaks this API reads it."""
    file = io.BytesIO()
    with av.open(file, "w", format="flac") as container:
        stream = container.add_stream("flac", rate=SAMPLE_RATE_HZ, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.frombuffer(pcm, "<i2").reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = SAMPLE_RATE_HZ
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


def _refusal(error: "openai.APIStatusError", request: Recognition) -> _Refusal:
    if error.status_code == 404 and request.model is None:
        return _OUR_MODEL_NOT_FOUND
    if error.status_code == 429 and _OUT_OF_MONEY_CODES & {error.code, error.type}:
        return _OUT_OF_MONEY
    return _REFUSALS.get(error.status_code, _BROKEN if error.status_code >= 500 else _NOT_THE_API)


def _said(error: "openai.APIStatusError") -> str:
    """The server's own words, where they are fit for people: proxies answer with pages of HTML."""
    if error.status_code == 401:
        return "the API key was refused"  # The API's own words repeat a part of it.
    match error.body:
        case {"message": str(words)} | {"detail": str(words)} | str(words) if words and not words.lstrip().startswith(
            "<"
        ):
            return words[:LONGEST_QUOTE]
        case _:
            return error.response.reason_phrase or "it gave no reason"
