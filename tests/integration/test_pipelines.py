"""The job really is a ZenML pipeline: real ZenML on a store of its own, fakes behind the use cases."""

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from hansard.domain.errors import EngineRejected
from hansard.domain.transcription import Status
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


@pytest.fixture(scope="module")
def zenml(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ZenmlStore]:
    before = dict(os.environ)
    yield ZenmlStore(tmp_path_factory.mktemp("zenml"))
    os.environ.clear()
    os.environ.update(before)


def workshop_on(zenml: ZenmlStore, **parts: object) -> Workshop:
    return Workshop(
        make_runner=lambda steps: ZenmlRunner(zenml, steps, after_import=lambda: None),
        **parts,  # type: ignore[arg-type]
    )


def latest_run(zenml: ZenmlStore) -> PipelineRun:
    return zenml.runs(limit=1, after_import=lambda: None)[0]


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
    with sqlite3.connect(Path(zenml.directory) / "zenml.db") as store:
        assert store.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    store.close()


def test_no_word_of_a_transcript_is_in_the_store(zenml: ZenmlStore) -> None:
    workshop = workshop_on(zenml)
    submitted = workshop.submitted(speech(seconds=2))
    workshop.transcribe(submitted.id)
    assert workshop.database.transcripts[submitted.id].text == "word1 word2"
    dump = "\n".join(sqlite3.connect(Path(zenml.directory) / "zenml.db").iterdump())
    assert str(submitted.id) in dump
    assert "word1" not in dump
