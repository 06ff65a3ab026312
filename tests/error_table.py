"""The tables of docs/errors.md as data, and what it takes to hold them against what really happens.

Each row of a table has a provoker in `tests/provoked/`, which brings the failure about and returns what was told of it
and what became of the job or the request. The two find each other by the heading and by “What happened”.
"""

import io
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from inspect import signature
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import pytest
from httpx import Response

from hansard.application.ports.engines import SpeechEngine
from hansard.application.transcribe import BrokenOff, Steps
from hansard.application.upload import Upload
from hansard.audio.decoder import PyAvDecoder
from hansard.domain.audio import StoredObject
from hansard.domain.errors import Category, ConfigurationError, Failure, HansardError
from hansard.domain.transcription import Parameters, Status, Transcription
from hansard.pipelines.in_process import InProcessRunner
from tests.fakes import FakeAudioStore, FakeEngine
from tests.unit.http.api import FakeContainer, client_of
from tests.workshop import Workshop, speech

DOCUMENT = Path(__file__).parents[1] / "docs" / "errors.md"
QUICK_SECTIONS = (
    "Recordings",
    "Who speaks",
    "Recordings by URL",
    "Recordings on their way in",
    "Live speech",
    "Object store",
    "Workers and pipelines",
    "The choice of an engine",
    "Settings",
    "Notifications",
    "Webhooks",
)
"""Those that need no server, no model and no database."""

COLUMNS = ["What happened", "`code`", "Category", "Retryable", "What we do", "What you do"]


@dataclass(frozen=True)
class Row:
    """`handling` is what the cell “What we do” says in bold."""

    section: str
    event: str
    code: str
    category: str
    retryable: bool
    we_do: str
    you_do: str

    @property
    def key(self) -> tuple[str, str]:
        return self.section, self.event

    @property
    def handling(self) -> str:
        return re.findall(r"\*\*(.+?)\*\*", self.we_do)[0]

    @property
    def status(self) -> int | None:
        """The HTTP status that the row promises."""
        found = re.search(r"\b[45]\d\d\b", self.we_do)
        return int(found[0]) if found else None


@dataclass(frozen=True)
class Provoked:
    """`status` is that of the HTTP answer, where a request was refused, or would be."""

    failure: Failure
    handling: str
    status: int | None = None


Provoker = Callable[..., Provoked]

PROVOKERS: dict[tuple[str, str], list[Provoker]] = {}


def provokes(section: str, event: str) -> Callable[[Provoker], Provoker]:
    """The function brings that row's failure about. Its parameters without a default are fixtures."""

    def register(provoker: Provoker) -> Provoker:
        PROVOKERS.setdefault((section, event), []).append(provoker)
        return provoker

    return register


def tables() -> dict[str, list[dict[str, str]]]:
    """Every table of the document, by the heading it stands under; each row by column."""
    found: dict[str, list[dict[str, str]]] = {}
    section, columns = "", []
    for line in DOCUMENT.read_text("utf-8").splitlines():
        if line.startswith("#"):
            section, columns = line.lstrip("# "), []
        elif line.startswith("|"):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            if not columns:
                columns = cells
            elif not set(line) <= set("|- "):
                found.setdefault(section, []).append(dict(zip(columns, cells, strict=True)))
        else:
            columns = []
    return found


def rows() -> list[Row]:
    """The rows that tell of failures."""
    return [
        Row(section, cells[0], cells[1].strip("`"), cells[2], cells[3] == "yes", cells[4], cells[5])
        for section, table in tables().items()
        for cells in [list(row.values()) for row in table if list(row) == COLUMNS]
    ]


def walk(row: Row, request: pytest.FixtureRequest) -> None:
    """Bring the row's failure about, in each way there is, and compare."""
    for provoker in PROVOKERS[row.key]:
        fixtures = [each.name for each in signature(provoker).parameters.values() if each.default is each.empty]
        provoked = provoker(**{name: request.getfixturevalue(name) for name in fixtures})
        failure = provoked.failure
        told = (failure.code, failure.category.value, failure.retryable, provoked.handling, provoked.status)
        assert told == (row.code, row.category, row.retryable, row.handling, row.status)
        _require_readable(failure)


def _require_readable(failure: Failure) -> None:
    """A sentence that says what is wrong, and one that says what to do."""
    assert failure.message[:1].isalnum()
    assert failure.message.endswith((".", "!", "?"))
    assert not failure.message.endswith("..")
    if failure.category != "cancelled":
        assert failure.help


# ── What becomes of it ───────────────────────────────────────────────────────────────────────────────────


def raised_by(work: Callable[[], object]) -> HansardError:
    with pytest.raises(HansardError) as caught:
        work()
    return caught.value


def answered(error: Exception) -> int:
    """The status of an HTTP request that fails with it."""
    container = FakeContainer()

    def fail() -> Any:
        raise error

    container.unit_of_work = fail  # type: ignore[method-assign]
    return client_of(container).get(f"/audio/{UUID(int=7)}").status_code


def engine_fails(engine: SpeechEngine, asked: Parameters | None = None) -> Provoked:
    """`engine` is asked for by name, and then comes first in a chain of two."""
    asked, engine = asked or Parameters(), cast(FakeEngine, engine)
    alone = Workshop(engine=engine)
    try:
        record = alone.transcribe(alone.submitted(speech(1), replace(asked, engine=engine.name)).id)
        failure, refused = failure_of(record, alone), None
    except HansardError as error:
        failure, refused = error.failure, answered(error)
    pair = Workshop(engine=engine, others=[FakeEngine("second")])
    record = pair.transcribe(pair.submitted(speech(1), asked).id)
    tries = [attempt.engine for attempt in record.attempts].count(engine.name)
    if record.status is Status.FAILED:
        assert tries == 1
        return Provoked(failure, "Job fails", refused)
    assert record.attempts[-1].engine == "second"
    if refused:
        assert tries == 0
        return Provoked(failure, "Refused", refused)
    assert tries in {0, 1, pair.retry_policy.max_attempts}
    return Provoked(failure, "Next engine" if tries <= 1 else "Tried again")


def failure_of(record: Transcription, shop: Workshop) -> Failure:
    """A failed record says so, and has no text."""
    assert record.status is Status.FAILED
    assert record.failure is not None
    assert record.result is None
    assert record.id not in shop.database.transcripts
    return record.failure


def file_fails(data: bytes) -> Provoked:
    """The recording is uploaded, and transcribed where that is let through."""
    shop = Workshop(make_runner=lambda steps: InProcessRunner(_with_real_decoder(steps)))
    upload = Upload(shop.database.unit_of_work, shop.store, PyAvDecoder(), shop.clock, max_audio_seconds=3600)
    try:
        audio = upload(io.BytesIO(data), file_name="talk")
    except HansardError as error:
        assert not shop.store.objects
        return Provoked(error.failure, "Refused", answered(error))
    record = shop.transcribe(shop.submit(audio.id, Parameters()).id)
    return Provoked(failure_of(record, shop), "Job fails")


def _with_real_decoder(steps: Steps) -> Steps:
    prepare_audio = replace(steps.prepare.prepare_audio, decoder=PyAvDecoder())
    return replace(steps, prepare=replace(steps.prepare, prepare_audio=prepare_audio))


def storage_fails(error: HansardError) -> Provoked:
    """It befalls a job and a request."""

    class Store(FakeAudioStore):
        def open(self, stored: StoredObject) -> Any:
            raise error

    shop = Workshop(store=Store())
    transcription_id = shop.submitted(speech(1)).id
    try:
        record = shop.transcribe(transcription_id)
    except BrokenOff:
        assert shop.transcription(transcription_id).status is Status.QUEUED
        return Provoked(error.failure, "Queued again", answered(error))
    return Provoked(failure_of(record, shop), "Job fails", answered(error))


def refused(answer: Response) -> Provoked:
    """What the client is told; `Retry-After` is how a refusal says that it is retryable."""
    problem = answer.json()
    failure = Failure(
        code=problem["code"],
        category=Category(problem["category"]),
        message=problem["detail"],
        retryable="retry-after" in answer.headers,
        help=problem["help"],
    )
    return Provoked(failure, "Refused", answer.status_code)


def start_fails(error: HansardError) -> Provoked:
    assert isinstance(error, ConfigurationError)
    return Provoked(error.failure, "Does not start")
