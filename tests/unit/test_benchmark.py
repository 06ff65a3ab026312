"""A benchmark hears each file in each round, and leaves nothing out."""

from datetime import timedelta

import pytest

from hansard.application.benchmark import RunBenchmark, find_run
from hansard.application.ports.benchmarks import Heard
from hansard.application.run import internal_failure
from hansard.domain.benchmark import Figures, SpeakerErrors, TextErrors
from hansard.domain.diarization import Turn
from hansard.domain.errors import EngineNotAuthenticated, HansardError, InvalidAudio, NotFound
from hansard.domain.speech import Span
from hansard.domain.transcription import Parameters
from tests.fake_benchmarks import (
    BEGAN,
    FakeBenchedService,
    FakeBenchmarkRecords,
    FakeScorer,
    a_hearing,
    a_run,
    a_sample,
)
from tests.fakes import FakeClock

NOBODY_SPEAKS = InvalidAudio("Nobody speaks.", code="no_speech").failure


def benchmark_of(*samples, service=None, records=None, rounds=1, observe=lambda *_: None, **parameters):
    return RunBenchmark(
        run=a_run(rounds=rounds, ended_at=None),
        samples=samples,
        parameters=Parameters(engine="fake", **parameters),
        service=service or FakeBenchedService(),
        scorer=FakeScorer(),
        records=records or FakeBenchmarkRecords(),
        observe=observe,
        clock=FakeClock(),
    )


def done(benchmark):
    benchmark.begin()
    benchmark.measure()
    benchmark.conclude()
    return benchmark.records.get(benchmark.run.id)


def test_each_file_is_heard_in_each_round_before_any_is_heard_again():
    service = FakeBenchedService()

    found = done(benchmark_of(a_sample("a.wav"), a_sample("b.wav"), service=service, rounds=2))

    assert [name for name, _ in service.asked] == ["a.wav", "b.wav", "a.wav", "b.wav"]
    assert [(each.file, each.round) for each in found.hearings] == [
        ("a.wav", 1),
        ("b.wav", 1),
        ("a.wav", 2),
        ("b.wav", 2),
    ]


def test_errors_are_counted_against_what_is_said():
    service = FakeBenchedService(lambda name: Heard(text="one too three", audio_seconds=1.0))

    found = done(benchmark_of(a_sample("a.wav", reference="one two three"), service=service))

    assert found.run.figures.wer == pytest.approx(1 / 3)


def test_a_file_that_fails_is_a_result_and_all_its_words_are_errors():
    service = FakeBenchedService(
        lambda name: Heard(failure=NOBODY_SPEAKS, latency_seconds=0.1) if name == "bad.wav" else Heard(text="one two")
    )
    samples = (a_sample("bad.wav", reference="one two"), a_sample("good.wav", reference="one two"))

    found = done(benchmark_of(*samples, service=service))

    assert found.run.figures.wer == 0.5
    assert found.run.figures.wer_of_heard == 0.0
    assert found.run.figures.failed == 1
    assert found.hearings[0].failure_code == "no_speech"
    assert found.hearings[0].latency_seconds is None


def test_of_a_file_without_a_reference_only_the_rest_is_measured():
    found = done(benchmark_of(a_sample("a.wav")))

    assert found.hearings[0].text is None
    assert found.run.figures.wer is None
    assert found.run.figures.real_time_factor == pytest.approx(0.2)


@pytest.mark.parametrize(("language", "told"), [("de", "de"), ("pt-BR", "pt-BR"), ("en+de", None), (None, None)])
def test_the_engine_is_told_a_language_that_is_one(language, told):
    service = FakeBenchedService()

    done(benchmark_of(a_sample("a.wav", language=language), service=service))

    assert service.asked[0][1].language == told


def test_speakers_are_judged_where_they_are_known_and_asked_for():
    turns = (Turn(Span(0, 2), "A"),)
    sample = a_sample("a.wav", turns=turns)
    service = FakeBenchedService(lambda name: Heard(turns=turns))

    assert done(benchmark_of(sample, service=service, diarize=True)).hearings[0].speakers == SpeakerErrors(
        speaker_seconds=2.0, error_seconds=0.0
    )
    assert done(benchmark_of(sample, service=service)).hearings[0].speakers is None


def test_what_would_fail_with_every_file_is_told_before_the_first():
    records = FakeBenchmarkRecords()
    failure = EngineNotAuthenticated("The key is wrong.", engine="fake").failure

    with pytest.raises(HansardError, match="The key is wrong"):
        done(
            benchmark_of(a_sample("a.wav"), service=FakeBenchedService(warmth=Heard(failure=failure)), records=records)
        )

    assert records.recent(1) == ()


def test_a_clip_that_the_engine_does_not_understand_stops_nothing():
    service = FakeBenchedService(warmth=Heard(failure=NOBODY_SPEAKS))

    assert done(benchmark_of(a_sample("a.wav"), service=service)).run.ended_at is not None


def test_one_that_is_broken_off_keeps_what_it_has():
    def hears(name):
        if name == "b.wav":
            raise HansardError("The service is broken.")
        return Heard()

    benchmark = benchmark_of(a_sample("a.wav"), a_sample("b.wav"), service=FakeBenchedService(hears))
    with pytest.raises(HansardError):
        done(benchmark)

    found = benchmark.records.get(benchmark.run.id)
    assert [hearing.file for hearing in found.hearings] == ["a.wav"]
    assert found.run.ended_at is None


def test_whoever_waits_is_told_how_far_it_is():
    told = []

    done(benchmark_of(a_sample("a.wav"), a_sample("b.wav"), observe=lambda hearing, at, of: told.append((at, of))))

    assert told == [(1, 2), (2, 2)]


def test_error_rates_are_pooled_over_words():
    short = a_hearing("short", text=TextErrors(words=2, word_errors=2, characters=8, character_errors=8))
    long = a_hearing("long", text=TextErrors(words=98, word_errors=0, characters=392, character_errors=0))

    assert Figures.of([short, long]).wer == 0.02


def test_times_are_medians_of_a_file_and_geometric_means_of_files():
    rounds = [a_hearing("a", number, latency_seconds=seconds) for number, seconds in enumerate((1.0, 100.0, 2.0))]

    assert Figures.of([*rounds, a_hearing("b", latency_seconds=8.0)]).latency_seconds == pytest.approx(4.0)


def test_a_failure_without_any_measure_has_figures():
    figures = Figures.of([a_hearing("a", text=None, audio_seconds=None, speech_seconds=None, transcribed_seconds=None,
                                    processing_seconds=None, latency_seconds=None, peak_memory_bytes=None,
                                    failure_code=internal_failure("Died.").code)])  # fmt: skip

    assert (figures.failed, figures.coverage, figures.real_time_factor, figures.peak_memory_bytes) == (
        1,
        None,
        None,
        None,
    )


@pytest.fixture
def three_runs():
    records = FakeBenchmarkRecords()
    for hour in range(3):
        records.begin(a_run(started_at=BEGAN + timedelta(hours=hour)))
    return records, [run.id for run in records.recent(3)]


def test_a_run_is_found_by_how_long_ago_it_was(three_runs):
    records, ids = three_runs

    assert [find_run(records, name) for name in ("latest", "latest~1", "latest~2")] == ids


def test_a_run_is_found_by_the_beginning_of_its_id(three_runs):
    records, ids = three_runs

    assert find_run(records, str(ids[1])[:12].upper()) == ids[1]


@pytest.mark.parametrize("name", ["latest~3", "latest~x", "zzz", ""])
def test_a_run_that_is_none_or_one_of_several_is_not_found(three_runs, name):
    with pytest.raises(NotFound):
        find_run(three_runs[0], name)
