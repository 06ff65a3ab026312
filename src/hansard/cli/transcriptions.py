"""Where `hansard transcribe` has its work done: by a service elsewhere, over its HTTP API, or (see
`local_transcriptions`) in this process.
"""

import re
from collections.abc import Generator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast
from uuid import UUID

import httpx

from hansard.domain.errors import Category, Failure, HansardError
from hansard.domain.transcription import Parameters, Status

if TYPE_CHECKING:
    from hansard.formats import Options

_PATIENCE = httpx.Timeout(10, write=60, read=300)
"""In seconds. Long for reading: an upload is answered when all of it is stored."""

_GONE_ELSEWHERE = frozenset({404, 409})


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a transcription stands. `progress` is 0 … 1."""

    status: Status
    progress: float = 0.0
    activity: str | None = None
    failure: Failure | None = None
    degraded_reasons: tuple[str, ...] = ()


class Transcriptions(Protocol):
    """What the command asks of whoever does the work. Everything raises `HansardError`."""

    @property
    def place(self) -> str:
        """Tells one from another: ids are known to that one only. No secret can be read from it."""
        ...

    def submit(self, file: Path, parameters: Parameters, *, idempotency_key: str | None = None) -> UUID: ...

    def at_work(self) -> AbstractContextManager[None]:
        """What is submitted inside this is worked on, until it is left."""
        ...

    def standing(self, transcription_id: UUID) -> Standing: ...

    def export(self, transcription_id: UUID, format: str, options: "Options") -> bytes: ...

    def retry(self, transcription_id: UUID) -> None:
        """Ask again for what failed or was cancelled; what was recognised is not done again."""
        ...

    def cancel(self, transcription_id: UUID) -> None:
        """Cancelling what has ended is no error."""
        ...


@dataclass(frozen=True, slots=True)
class RemoteTranscriptions:
    """`client` has the service's address as its base URL."""

    client: httpx.Client

    @property
    def place(self) -> str:
        # There may be a password in it.
        return sha256(str(self.client.base_url).encode()).hexdigest()

    def submit(self, file: Path, parameters: Parameters, *, idempotency_key: str | None = None) -> UUID:
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        with file.open("rb") as source:
            recording = {"file": (file.name, source)}
            answer = self._ask("POST", "/transcriptions", files=recording, data=_given(parameters), headers=headers)
        return UUID(_json(answer)["id"])

    def at_work(self) -> AbstractContextManager[None]:
        return nullcontext()

    def standing(self, transcription_id: UUID) -> Standing:
        body = _json(self._ask("GET", f"/transcriptions/{transcription_id}"))
        return Standing(
            status=Status(body["status"]),
            progress=body["progress"],
            activity=body["activity"],
            failure=_failure(body["error"]) if body["error"] else None,
            degraded_reasons=tuple(body["degraded_reasons"]),
        )

    def export(self, transcription_id: UUID, format: str, options: "Options") -> bytes:
        given = {name: getattr(options, name) for name in options.given}
        return self._ask(
            "GET", f"/transcriptions/{transcription_id}/export", params={"format": format, **given}
        ).content

    def retry(self, transcription_id: UUID) -> None:
        self._ask("POST", f"/transcriptions/{transcription_id}/retry")

    def cancel(self, transcription_id: UUID) -> None:
        self._ask("POST", f"/transcriptions/{transcription_id}/cancel", accept=_GONE_ELSEWHERE)

    def _ask(self, method: str, path: str, *, accept: frozenset[int] = frozenset(), **content: Any) -> httpx.Response:
        try:
            answer = self.client.request(method, path, **content)
        except httpx.HTTPError as error:
            why = re.sub(r"^\[Errno -?\d+\] ", "", str(error)) or type(error).__name__
            raise HansardError(
                f"No answer from {self.client.base_url}: {why}.",
                code="server_unreachable",
                help="Is it the right address, and is the service running there? Without --server none is needed.",
            ) from error
        if answer.is_success or answer.status_code in accept:
            return answer
        raise _refusal(answer)


@contextmanager
def remote_transcriptions(server: str) -> Generator[RemoteTranscriptions]:
    """`server` is a URL; without a scheme, http is meant."""
    address = server if "://" in server else f"http://{server}"
    try:
        client = httpx.Client(base_url=address, timeout=_PATIENCE, follow_redirects=True)
    except httpx.InvalidURL as error:
        raise HansardError(f"{server} is not a URL: {error}.", code="invalid_server") from error
    with client:
        yield RemoteTranscriptions(client)


def _given(parameters: Parameters) -> dict[str, str]:
    """The fields of a form that say the same; what was not asked for is left to the service."""
    defaults = Parameters()
    given = {
        "engine": parameters.engine,
        "fallback": parameters.fallback,
        "model": parameters.model,
        "language": parameters.language,
        "prompt": parameters.prompt,
        "hotwords": parameters.hotwords,
        "task": parameters.task,
        "temperature": parameters.temperature,
        "diarize": parameters.diarize,
        "min_speakers": parameters.min_speakers,
        "max_speakers": parameters.max_speakers,
        "channels": parameters.channels,
    }
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in given.items()
        if value != getattr(defaults, name)
    }


def _json(answer: httpx.Response) -> dict[str, Any]:
    """Raises `HansardError` where somebody else than Hansard answers."""
    try:
        body = answer.json()
    except ValueError as error:
        raise _not_hansard(answer) from error
    if not isinstance(body, dict):
        raise _not_hansard(answer)
    return cast(dict[str, Any], body)


def _not_hansard(answer: httpx.Response) -> HansardError:
    return HansardError(
        f"What answers at {answer.request.url} is not Hansard (HTTP {answer.status_code}).",
        code="not_hansard",
        help="Give --server the address that `hansard up` printed.",
    )


def _refusal(answer: httpx.Response) -> HansardError:
    problem = _json(answer)
    if "detail" not in problem or "code" not in problem:
        return _not_hansard(answer)
    return HansardError(str(problem["detail"]), code=str(problem["code"]), help=problem.get("help"))


def _failure(error: Mapping[str, Any]) -> Failure:
    return Failure(
        code=error["code"],
        category=Category(error["category"]),
        message=error["message"],
        retryable=error["retryable"],
        engine=error["engine"],
        help=error["help"],
    )
