"""Where benchmarks are kept: the fake and the analytics database do the same."""

from datetime import timedelta
from uuid import uuid4

import pytest

from hansard.analytics.benchmarks import SqlBenchmarkRecords
from hansard.domain.benchmark import Figures, SpeakerErrors
from hansard.domain.errors import NotFound
from tests.fake_benchmarks import BEGAN, FakeBenchmarkRecords, a_hearing, a_run


@pytest.fixture(params=["fake", "sql"])
def records(request):
    if request.param == "fake":
        return FakeBenchmarkRecords()
    return SqlBenchmarkRecords(request.getfixturevalue("analytics_database"))


def test_a_benchmark_comes_back_as_it_was(records):
    run = a_run(note="before the holidays", model=None, ended_at=None)
    hearings = (
        a_hearing("a.wav", speakers=SpeakerErrors(speaker_seconds=5.0, error_seconds=0.5)),
        a_hearing("b.wav", text=None, failure_code="no_speech", failure_message="Nobody.", processing_seconds=None),
        a_hearing("a.wav", 2, degraded=True),
    )
    records.begin(run)
    for hearing in hearings:
        records.add(run.id, hearing)

    found = records.get(run.id)

    assert found.run == run
    assert found.hearings == hearings


def test_a_run_that_has_ended_has_its_figures(records):
    run, hearing = a_run(ended_at=None), a_hearing("a.wav")
    figures = Figures.of([hearing])
    records.begin(run)
    records.add(run.id, hearing)
    records.end(run.id, BEGAN + timedelta(minutes=1), figures)

    ended = records.get(run.id).run

    assert ended.ended_at == BEGAN + timedelta(minutes=1)
    assert ended.figures == figures


def test_the_latest_come_first(records):
    runs = [a_run(started_at=BEGAN + timedelta(hours=hour)) for hour in (0, 2, 1)]
    for run in runs:
        records.begin(run)

    assert records.recent(2) == (runs[1], runs[2])


def test_those_that_were_broken_off_can_be_left_out(records):
    whole, broken = a_run(), a_run(started_at=BEGAN + timedelta(hours=1), ended_at=None)
    records.begin(whole)
    records.begin(broken)

    assert records.recent(5, ended_only=True) == (whole,)


def test_one_that_is_not_there_is_not_found(records):
    with pytest.raises(NotFound):
        records.get(uuid4())
