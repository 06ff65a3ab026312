"""What OpenAI's audio API refuses in its own way."""

from typing import Any

from hansard.domain.errors import Category, Failure
from hansard.http.openai.errors import Unsupported
from tests.error_table import Provoked, provokes
from tests.unit.http.api import TALK, FakeContainer, client_of, settings

SECTION = "OpenAI's API"
KINDS = {"invalid_request_error": Category.CLIENT, "server_error": Category.TIMEOUT}


def ask(container: FakeContainer, **fields: Any) -> Any:
    form = {"model": "whisper-1", **fields}
    return client_of(container).post("/v1/audio/transcriptions", files={"file": ("talk.wav", TALK)}, data=form)


def told(answer: Any, handling: str, *, code: str | None = None) -> Provoked:
    """OpenAI's envelope has the message and the help in one."""
    error = answer.json()["error"]
    message, _, cure = error["message"].partition(". ")
    failure = Failure(
        code=code or error["code"],
        category=KINDS[error["type"]],
        message=f"{message}.",
        retryable=answer.status_code >= 500,
        help=cure,
    )
    return Provoked(failure, handling, answer.status_code)


@provokes(SECTION, "There is no such model; OpenAI's clients know it as `model_not_found`")
def unknown_model() -> Provoked:
    answer = ask(FakeContainer(), model="gpt-7")
    assert answer.json()["error"]["code"] == "model_not_found"
    return told(answer, "Refused", code="unknown_model")


@provokes(SECTION, "A parameter cannot be honoured, or not beside another")
def unsupported() -> Provoked:
    container = FakeContainer()
    provoked = told(ask(container, **{"known_speaker_names[]": "ann"}), "Refused")
    assert provoked.failure.code == Unsupported.code
    assert not container.store.objects
    return provoked


@provokes(SECTION, "The transcript was not there in time")
def too_slow() -> Provoked:
    container = FakeContainer(settings=settings(openai_api_wait_seconds=0.01))
    answer = ask(container)
    (job,) = container.database.jobs
    assert str(job) in answer.headers["location"]
    return told(answer, "Goes on")
