"""The job really is a ZenML pipeline: real ZenML on a store of its own, fakes behind the use cases."""

import os
import shutil
import socket
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import pytest
from loguru import logger

from hansard.domain.errors import EngineRejected, StorageError
from hansard.domain.transcription import Parameters, Status
from hansard.pipelines import zenml_store
from hansard.pipelines.in_process import InProcessRunner
from hansard.pipelines.resilient import TrackedWherePossible
from hansard.pipelines.zenml_runner import ZenmlRunner
from hansard.pipelines.zenml_store import PipelineRun, ZenmlStore
from tests.fakes import FakeEngine
from tests.workshop import Workshop, speech

pytestmark = [
    pytest.mark.xdist_group("zenml"),
    # ZenML's and its dependencies' own, at import and in its store.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


T = TypeVar("T")

PASSWORD = "hush-hush"


@pytest.fixture(scope="module")
def zenml(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ZenmlStore]:
    before = dict(os.environ)
    store = ZenmlStore(tmp_path_factory.mktemp("zenml"))
    store.open(after_import=lambda: None)
    yield store
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def fragile(zenml: ZenmlStore, tmp_path: Path) -> ZenmlStore:
    """A copy to break."""
    return ZenmlStore(shutil.copytree(zenml.directory, tmp_path / "zenml"))


def runner_on(zenml: ZenmlStore, workshop: Workshop) -> ZenmlRunner:
    return ZenmlRunner(zenml, workshop.steps, after_import=lambda: None)


def workshop_on(zenml: ZenmlStore, **parts: object) -> Workshop:
    return Workshop(
        make_runner=lambda steps: ZenmlRunner(zenml, steps, after_import=lambda: None),
        **parts,  # type: ignore[arg-type]
    )


class Desk:
    """A workshop whose jobs outlive the store."""

    def __init__(self, zenml: ZenmlStore) -> None:
        self.shop = Workshop()
        self.warned: list[UUID] = []
        self.runner = TrackedWherePossible(
            tracked=runner_on(zenml, self.shop),
            untracked=InProcessRunner(self.shop.steps),
            warn=lambda transcription_id, run, message: self.warned.append(transcription_id),
            clock=self.shop.clock,
            rest_seconds=60,
        )
        self.shop.make_runner = lambda steps: self.runner

    def transcribed(self, *, then: Callable[[], object] | None = None) -> UUID:
        """A transcription of two words; `then` is called between the first and the second."""
        self.shop.engine.on_passage = lambda number: then() if then and number == 2 else None
        transcription_id = self.shop.submitted(speech(seconds=2)).id
        self.shop.engine.heard.clear()
        self.shop.transcribe(transcription_id)
        return transcription_id

    def text(self, transcription_id: UUID) -> str:
        return self.shop.database.transcripts[transcription_id].text


def in_another_thread(work: Callable[[], T]) -> T:
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(work).result(timeout=60)


def database(zenml: ZenmlStore) -> Path:
    return zenml.directory / "zenml.db"


def latest_run(zenml: ZenmlStore) -> PipelineRun:
    return zenml.runs(limit=1, after_import=lambda: None)[0]


def dump(zenml: ZenmlStore) -> str:
    with sqlite3.connect(database(zenml)) as store:
        text = "\n".join(store.iterdump())
    store.close()
    return text


def mentions(zenml: ZenmlStore, identifier: UUID) -> bool:
    text = dump(zenml)
    return str(identifier) in text or identifier.hex in text


def row_counts(zenml: ZenmlStore) -> dict[str, int]:
    with sqlite3.connect(database(zenml)) as store:
        tables = [name for (name,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        counts = {name: store.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in tables}
    store.close()
    return counts


def step_names(zenml: ZenmlStore) -> set[str]:
    """Those of the latest run."""
    with sqlite3.connect(database(zenml)) as store:
        run_id = latest_run(zenml).id.replace("-", "")
        rows = store.execute("SELECT name FROM step_run WHERE pipeline_run_id = ?", (run_id,)).fetchall()
    store.close()
    return {name for (name,) in rows}


def test_a_transcription_is_linked_to_its_pipeline_run(zenml: ZenmlStore) -> None:
    workshop = workshop_on(zenml)
    transcription = workshop.transcribe(workshop.submitted(speech(seconds=3)).id)
    assert transcription.status is Status.COMPLETED
    assert transcription.pipeline_run_id == latest_run(zenml).id
    assert latest_run(zenml).transcription_id == str(transcription.id)


def test_a_run_carries_the_measurements_of_the_transcription(zenml: ZenmlStore) -> None:
    workshop = workshop_on(zenml)
    workshop.transcribe(workshop.submitted(speech(seconds=3)).id)
    run = latest_run(zenml)
    assert run.status == "completed"
    assert run.measurements["audio_seconds"] == 3.0
    assert run.measurements["words"] == 3
    assert run.measurements["engine"] == "fake"
    assert run.measurements["model"] == "fake-1"
    assert "real_time_factor" in run.measurements


def test_who_speaks_is_a_step_of_its_own_only_when_asked_for(zenml: ZenmlStore) -> None:
    workshop = workshop_on(zenml)
    with_it = workshop.submitted(speech(seconds=2), Parameters(diarize=True))
    assert workshop.transcribe(with_it.id).status is Status.COMPLETED
    assert workshop.database.transcripts[with_it.id].speakers == ("1", "2")
    assert step_names(zenml) == {"prepare", "recognise", "diarize", "settle"}
    workshop.transcribe(workshop.submitted(speech(seconds=2)).id)
    assert step_names(zenml) == {"prepare", "recognise", "settle"}


def test_a_failed_step_leaves_the_failure_on_the_record_and_a_failed_run(zenml: ZenmlStore) -> None:
    refusal = EngineRejected("No such language.", engine="fake", code="unsupported_language")
    workshop = workshop_on(zenml, engine=FakeEngine(failures=[refusal]))
    transcription = workshop.transcribe(workshop.submitted(speech(seconds=1)).id)
    assert transcription.status is Status.FAILED
    assert transcription.failure == refusal.failure
    assert latest_run(zenml).status == "failed"


def test_jobs_run_one_after_another_in_a_process(zenml: ZenmlStore) -> None:
    workshop = workshop_on(zenml)
    for _ in range(3):
        assert workshop.transcribe(workshop.submitted(speech(seconds=1)).id).status is Status.COMPLETED


def test_workers_write_to_the_store_without_waiting_for_one_another(zenml: ZenmlStore) -> None:
    zenml.open(after_import=lambda: None)
    with sqlite3.connect(database(zenml)) as store:
        assert store.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    store.close()


def test_no_word_of_a_transcript_is_in_the_store(zenml: ZenmlStore) -> None:
    workshop = workshop_on(zenml)
    submitted = workshop.submitted(speech(seconds=2))
    workshop.transcribe(submitted.id)
    assert workshop.database.transcripts[submitted.id].text == "word1 word2"
    assert mentions(zenml, submitted.id)
    assert "word1" not in dump(zenml)


# ── Forgetting ───────────────────────────────────────────────────────────────────────────────────────────


def test_what_is_forgotten_is_nowhere_in_the_store(zenml: ZenmlStore) -> None:
    desk = Desk(zenml)
    transcription_id = desk.transcribed()
    pipeline_run_id = desk.shop.transcription(transcription_id).pipeline_run_id
    assert desk.runner.forget(transcription_id) == 1
    assert not mentions(zenml, transcription_id)
    assert not mentions(zenml, UUID(pipeline_run_id))


def test_a_forgotten_run_leaves_the_store_as_large_as_before(zenml: ZenmlStore) -> None:
    desk = Desk(zenml)
    desk.transcribed()
    before = row_counts(zenml)
    desk.runner.forget(desk.transcribed())
    assert row_counts(zenml) == before


def test_all_runs_of_a_transcription_are_forgotten(zenml: ZenmlStore) -> None:
    desk = Desk(zenml)

    def away() -> None:
        raise StorageError("The database does not answer.")

    with pytest.raises(Exception, match="without an outcome"):
        desk.transcribed(then=away)
    (transcription_id,) = desk.shop.database.transcriptions
    desk.shop.engine.on_passage = lambda number: None
    desk.shop.transcribe(transcription_id)
    assert desk.runner.forget(transcription_id) == 2
    assert not mentions(zenml, transcription_id)


def test_other_runs_are_not_forgotten(zenml: ZenmlStore) -> None:
    desk = Desk(zenml)
    kept, forgotten = desk.transcribed(), desk.transcribed()
    desk.runner.forget(forgotten)
    assert latest_run(zenml).transcription_id == str(kept)
    assert latest_run(zenml).measurements["words"] == 2


def test_what_never_ran_has_nothing_to_forget(zenml: ZenmlStore) -> None:
    desk = Desk(zenml)
    assert desk.runner.forget(desk.shop.submitted(speech(seconds=1)).id) == 0


def test_old_runs_are_found_and_removed_one_by_one(zenml: ZenmlStore) -> None:
    desk = Desk(zenml)
    first, second = desk.transcribed(), desk.transcribed()
    soon = datetime.now(UTC) + timedelta(minutes=1)

    (oldest,) = (trace for trace in desk.runner.traces_before(soon) if trace.transcription_id == first)
    assert oldest.run_id == desk.shop.transcription(first).pipeline_run_id
    assert len(desk.runner.traces_before(soon, limit=1)) == 1
    desk.runner.remove([oldest])

    assert not mentions(zenml, first)
    assert second in {trace.transcription_id for trace in desk.runner.traces_before(soon)}
    assert latest_run(zenml).measurements["words"] == 2


def test_a_removed_run_leaves_the_store_as_large_as_before(zenml: ZenmlStore) -> None:
    desk = Desk(zenml)
    desk.transcribed()
    before = row_counts(zenml)
    new = desk.transcribed()
    traces = desk.runner.traces_before(datetime.now(UTC) + timedelta(minutes=1))
    desk.runner.remove([trace for trace in traces if trace.transcription_id == new])
    assert row_counts(zenml) == before


def test_runs_begun_since_are_not_old(zenml: ZenmlStore) -> None:
    desk = Desk(zenml)
    an_hour_ago = datetime.now(UTC) - timedelta(hours=1)
    desk.transcribed()
    assert desk.runner.traces_before(an_hour_ago) == ()


def test_a_run_that_was_killed_while_zenml_made_it_is_forgotten(
    zenml: ZenmlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(**_: object) -> None:
        raise KeyboardInterrupt

    desk = Desk(zenml)
    submitted = desk.shop.submitted(speech(seconds=1))
    monkeypatch.setattr("zenml.pipelines.pipeline_definition.create_placeholder_run", killed)
    with pytest.raises(KeyboardInterrupt):
        desk.shop.transcribe(submitted.id)
    assert mentions(zenml, submitted.id)
    desk.runner.forget(submitted.id)
    assert not mentions(zenml, submitted.id)


def test_one_is_forgotten_while_another_runs(zenml: ZenmlStore) -> None:
    desk = Desk(zenml)
    old = desk.transcribed()
    new = desk.transcribed(then=lambda: in_another_thread(lambda: desk.runner.forget(old)))
    assert not mentions(zenml, old)
    assert latest_run(zenml).transcription_id == str(new)
    assert (latest_run(zenml).status, desk.warned) == ("completed", [])


def test_a_run_in_progress_is_forgotten_and_what_it_still_writes_too(zenml: ZenmlStore) -> None:
    desk = Desk(zenml)
    forgotten: list[int] = []

    def forget() -> None:
        transcription_id = list(desk.shop.database.transcriptions)[-1]
        forgotten.append(in_another_thread(lambda: desk.runner.forget(transcription_id)))

    desk.transcribed()
    before = row_counts(zenml)
    transcription_id = desk.transcribed(then=forget)
    desk.runner.forget(transcription_id)
    assert forgotten == [1]
    assert desk.text(transcription_id) == "word1 word2"
    assert not mentions(zenml, transcription_id)
    assert row_counts(zenml) == before


# ── Without a store ──────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def unreachable(tmp_path: Path) -> ZenmlStore:
    return ZenmlStore(tmp_path / "zenml", f"mysql://user:{PASSWORD}@127.0.0.1:1/zenml")


def test_a_job_is_completed_when_the_store_is_unreachable(unreachable: ZenmlStore) -> None:
    desk = Desk(unreachable)
    transcription_id = desk.transcribed()
    assert desk.text(transcription_id) == "word1 word2"
    assert desk.warned == [transcription_id]


def test_nobody_is_told_the_password_of_the_store(unreachable: ZenmlStore) -> None:
    lines: list[str] = []
    sink = logger.add(lines.append, level="TRACE", format="{message} {extra} {exception}")
    Desk(unreachable).transcribed()
    logger.remove(sink)
    assert any("OperationalError" in line for line in lines)
    assert not any(PASSWORD in line for line in lines)


def test_a_worker_starts_when_the_store_is_unreachable(unreachable: ZenmlStore) -> None:
    desk = Desk(unreachable)
    desk.runner.warm_up()
    assert desk.text(desk.transcribed()) == "word1 word2"


def test_nothing_is_forgotten_where_the_store_is_unreachable(unreachable: ZenmlStore) -> None:
    desk = Desk(unreachable)
    with pytest.raises(StorageError) as raised:
        desk.runner.forget(desk.transcribed())
    failure = raised.value.failure
    assert (failure.code, failure.retryable) == ("pipeline_store_unavailable", True)
    assert PASSWORD not in f"{failure}"


def test_a_server_that_never_answers_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zenml_store, "ANSWER_SECONDS", 1)
    with socket.create_server(("127.0.0.1", 0)) as server:
        silent = ZenmlStore(tmp_path / "zenml", f"mysql://user:{PASSWORD}@127.0.0.1:{server.getsockname()[1]}/zenml")
        with pytest.raises(StorageError):
            silent.open(after_import=lambda: None)


def emptied(zenml: ZenmlStore) -> None:
    with sqlite3.connect(database(zenml)) as store:
        store.execute("DROP TABLE step_run")
    store.close()


def corrupted(zenml: ZenmlStore) -> None:
    with database(zenml).open("r+b") as file:
        file.write(b"?" * database(zenml).stat().st_size)


def removed(zenml: ZenmlStore) -> None:
    for file in zenml.directory.glob("zenml.db*"):
        file.unlink()


@pytest.mark.parametrize("broken", [emptied, corrupted, removed])
def test_no_word_is_lost_when_the_store_breaks_in_mid_run(
    fragile: ZenmlStore, broken: Callable[[ZenmlStore], None]
) -> None:
    desk = Desk(fragile)
    transcription_id = desk.transcribed(then=lambda: broken(fragile))
    assert desk.text(transcription_id) == "word1 word2"
    assert len(desk.shop.engine.heard) == 2


def test_a_store_that_breaks_between_two_steps_is_on_the_record(fragile: ZenmlStore) -> None:
    desk = Desk(fragile)
    transcription_id = desk.transcribed(then=lambda: emptied(fragile))
    assert desk.warned == [transcription_id]


def test_a_store_whose_making_was_cut_short_is_made_anew(
    zenml: ZenmlStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a kill, between two parts of the default stack: ZenML itself trips over the first part for good."""
    from zenml.zen_stores.sql_zen_store import SqlZenStore

    store = ZenmlStore(tmp_path / "zenml")
    with monkeypatch.context() as patched:
        patched.setattr(SqlZenStore, "create_stack", lambda *_, **__: 1 / 0)
        with pytest.raises(StorageError):
            store.open(after_import=lambda: None)
    assert store.runs(limit=1, after_import=lambda: None) == []


def test_a_lock_is_not_waited_for_longer_than_an_answer(zenml: ZenmlStore) -> None:
    zenml.open(after_import=lambda: None)
    with zenml_store._engine().connect() as connection:
        milliseconds = connection.exec_driver_sql("PRAGMA busy_timeout").scalar()
    assert milliseconds == zenml_store.ANSWER_SECONDS * 1000


def test_a_job_is_completed_when_another_process_locks_the_store(
    fragile: ZenmlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zenml_store, "ANSWER_SECONDS", 0.1)
    desk = Desk(fragile)
    with sqlite3.connect(database(fragile), check_same_thread=False) as other:
        transcription_id = desk.transcribed(then=lambda: other.execute("BEGIN IMMEDIATE"))
    other.close()
    assert desk.text(transcription_id) == "word1 word2"
    assert desk.warned == [transcription_id]


def test_a_store_that_is_mended_is_used_again(fragile: ZenmlStore) -> None:
    desk = Desk(fragile)
    lost = desk.transcribed(then=lambda: emptied(fragile))
    removed(fragile)
    desk.shop.clock.advance(60)
    tracked = desk.transcribed()
    assert latest_run(fragile).transcription_id == str(tracked)
    assert desk.warned == [lost]
