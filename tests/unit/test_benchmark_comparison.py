"""What is worse is found; what is chance is not taken for it."""

from dataclasses import replace
from math import exp
from random import Random
from uuid import uuid4

import pytest

from hansard.analytics.resampling import draw_sums
from hansard.domain.benchmark import Benchmark, SpeakerErrors, TextErrors
from hansard.domain.benchmark_comparison import Finding, Metric, Side, compare, obstacles, unlike
from tests.fake_benchmarks import LAPTOP, a_hearing, a_run

WORDS = 40

FILE_NOISE = 0.35
"""Of the logarithm of a short file's time, from one run to the next: measured on a machine with other work to do."""
DRIFT_NOISE = 0.35
"""The same of the machine's speed as a whole: one run took twice as long as the next."""
YARDSTICK_NOISE = 0.1
FELT = 1.2
"""By how much more than the yardstick the engine felt it."""


def benchmark(hearings, **facts):
    return Benchmark(run=a_run(**facts), hearings=tuple(hearings))


def text(errors):
    return TextErrors(words=WORDS, word_errors=errors, characters=5 * WORDS, character_errors=2 * errors)


def files(count, rounds=1, **facts):
    return benchmark(a_hearing(f"{n:03}.wav", again, **facts) for again in range(rounds) for n in range(count))


def judged(before, after, **options):
    """Each side is a run, or several. One alone stands for three that are alike."""
    sides = [Side.of(side if isinstance(side, list) else [side] * 3) for side in (before, after)]
    return compare(*sides, draw_sums, **options)


def verdict(before, after, metric, **options):
    found = judged(before, after, **options).verdicts
    return next(each for each in found if each.metric is metric)


def noisy_times(random, *, files=30, rounds=3, slower=1.0, drift_noise=DRIFT_NOISE):
    """A run on a machine that other work slows down, all of the run and each file for itself."""
    drift = random.gauss(0, drift_noise)
    hearings = []
    for again in range(rounds):
        for number in range(files):
            seconds = (1 + number % 5) * slower * exp(FELT * drift + random.gauss(0, FILE_NOISE))
            yardstick = 0.07 * exp(drift + random.gauss(0, YARDSTICK_NOISE))
            times = {"processing_seconds": seconds, "latency_seconds": seconds + 0.2}
            hearings.append(a_hearing(f"{number:03}.wav", again, **times, yardstick_seconds=yardstick))
    return benchmark(hearings)


def noisy_words(random, *, files=30, worse=1.0):
    """An engine that decides some words by chance, as one with a temperature does."""
    return benchmark(
        a_hearing(
            f"{number:03}.wav",
            text=text(sum(random.random() < 0.2 * worse * (1 + number % 3 - 1) for _ in range(WORDS))),
        )
        for number in range(files)
    )


def test_a_run_is_no_different_from_itself():
    run = noisy_times(Random(1))

    comparison = judged(run, run)

    findings = [each.finding for each in comparison.verdicts if each.finding is not Finding.NOT_JUDGED]
    assert set(findings) == {Finding.NO_DIFFERENCE}
    assert len(findings) == 7


@pytest.mark.parametrize("seed", range(20))
def test_a_commit_compared_with_itself_is_no_regression(seed):
    random = Random(seed)
    for drift_noise in (DRIFT_NOISE, 0.1):
        sides = [[noisy_times(random, drift_noise=drift_noise) for _ in range(3)] for _ in range(2)]
        assert judged(*sides).regressions == ()
    assert judged(noisy_words(random), noisy_words(random)).regressions == ()


@pytest.mark.parametrize("seed", range(20))
def test_nor_is_it_where_the_engine_is_slowed_down_and_the_yardstick_is_not(seed):
    """What made alarms on a real machine: whole runs up to 1.5 times slower, which nothing beside them shows."""
    random = Random(1000 + seed)

    def run():
        return noisy_times(random, files=8, rounds=1, slower=random.choice([1.0, 1.0, 1.25, 1.5]), drift_noise=0.05)

    assert judged([run() for _ in range(3)], [run() for _ in range(3)]).regressions == ()
    assert judged([run()], [run()]).regressions == ()


def test_longer_times_of_a_single_run_are_told_and_no_regression():
    found = verdict([files(20)], [files(20, processing_seconds=9.0)], Metric.RTF)

    assert found.finding is Finding.WORSE
    assert not found.is_regression
    assert found.reason == "times count with 3 runs on each side, taken in turns"


def test_runs_of_one_side_must_be_of_one_commit_machine_and_settings_and_not_be_the_same():
    run = files(6)
    other = replace(run, run=replace(run.run, id=uuid4()))
    assert list(unlike([run, other])) == []
    assert list(unlike([run, run])) == ["A run is named twice on one side."]
    for facts in ({"commit": "0123456"}, {"machine": replace(LAPTOP, id="other")}, {"settings": {"beam": 9}}):
        assert len(list(unlike([run, replace(other, run=replace(other.run, **facts))]))) == 1


def test_ten_percent_more_errors_on_thirty_files_are_found():
    random = Random(7)
    before = [6 + number % 7 for number in range(30)]
    after = [errors + (random.random() < errors / 10) for errors in before]
    assert sum(after) / sum(before) == pytest.approx(1.1, abs=0.02)

    runs = [benchmark(a_hearing(f"{n:03}.wav", text=text(e)) for n, e in enumerate(run)) for run in (before, after)]
    found = verdict(*runs, Metric.WER)

    assert found.finding is Finding.WORSE
    assert found.is_regression
    assert found.low < found.change < found.high


@pytest.mark.parametrize("seed", range(5))
def test_what_takes_a_third_longer_is_found_on_a_machine_that_is_left_in_peace(seed):
    random = Random(seed)

    def run(slower):
        hearings = []
        for again in range(3):
            for number in range(30):
                seconds = slower * (1 + number % 5) * exp(random.gauss(0, 0.1))
                times = {"processing_seconds": seconds, "latency_seconds": seconds}
                hearings.append(a_hearing(f"{number}", again, **times))
        return benchmark(hearings)

    before, after = run(1.0), run(1.3)

    assert verdict(before, after, Metric.RTF).is_regression
    assert verdict(before, after, Metric.LATENCY).is_regression
    assert verdict(after, before, Metric.RTF).finding is Finding.BETTER


def test_a_machine_that_was_slower_itself_explains_longer_times():
    before, after = files(20), files(20, processing_seconds=2.5, yardstick_seconds=0.012)

    comparison = judged(before, after)

    assert comparison.drift == pytest.approx(1.2)
    assert verdict(before, after, Metric.RTF).finding is Finding.NO_DIFFERENCE


def test_a_machine_that_was_faster_proves_nothing():
    assert verdict(files(20), files(20, yardstick_seconds=0.009), Metric.RTF).finding is Finding.NO_DIFFERENCE


@pytest.mark.parametrize("yardstick_seconds", [0.015, 0.005])
def test_of_a_machine_that_was_of_quite_another_speed_times_are_not_judged(yardstick_seconds):
    after = files(20, processing_seconds=9.0, peak_memory_bytes=900_000_000, yardstick_seconds=yardstick_seconds)

    comparison = judged(files(20), after)

    assert {each.metric for each in comparison.regressions} == {Metric.MEMORY}
    assert verdict(files(20), after, Metric.RTF).finding is Finding.NOT_JUDGED


def test_times_without_a_yardstick_are_taken_as_they_are():
    before, after = (files(20, yardstick_seconds=None, processing_seconds=seconds) for seconds in (2.0, 3.0))

    assert verdict(before, after, Metric.RTF).change == pytest.approx(0.5)
    assert verdict(before, after, Metric.RTF).is_regression


def test_one_slow_file_of_many_is_chance():
    before = files(30)
    slow = replace(before.hearings[0], processing_seconds=200.0)

    assert verdict(before, replace(before, hearings=(slow, *before.hearings[1:])), Metric.RTF).finding is (
        Finding.NO_DIFFERENCE
    )


def test_one_slow_round_of_three_does_not_count():
    before = files(10, rounds=3)
    after = [replace(each, processing_seconds=20.0) if each.round == 1 else each for each in before.hearings]

    assert verdict(before, replace(before, hearings=tuple(after)), Metric.RTF).change == pytest.approx(0)


def test_what_is_worse_by_less_than_the_threshold_is_told_and_no_regression():
    before, after = files(20), files(20, processing_seconds=2.1)

    found = verdict(before, after, Metric.RTF)

    assert found.finding is Finding.WORSE
    assert not found.is_regression
    assert verdict(before, after, Metric.RTF, thresholds={Metric.RTF: 0.04}).is_regression


def test_what_two_processes_differ_in_is_no_difference():
    before, after = files(20), files(20, peak_memory_bytes=302_000_000)

    assert verdict(before, after, Metric.MEMORY).finding is Finding.NO_DIFFERENCE


def test_more_memory_is_found():
    assert verdict(files(10), files(10, peak_memory_bytes=400_000_000), Metric.MEMORY).is_regression


def test_less_coverage_is_worse():
    found = verdict(files(10), files(10, transcribed_seconds=7.0), Metric.COVERAGE)

    assert found.change == pytest.approx(-0.125)
    assert found.limit == -0.01
    assert found.is_regression


def test_more_coverage_is_better():
    found = verdict(files(10, transcribed_seconds=7.0), files(10), Metric.COVERAGE)

    assert found.finding is Finding.BETTER


def test_speakers_taken_for_others_are_found():
    was, now = (SpeakerErrors(speaker_seconds=10, error_seconds=errors) for errors in (1.0, 2.0))

    assert verdict(files(10, speakers=was), files(10, speakers=now), Metric.DER).is_regression


def test_files_that_fail_are_found():
    before = files(20)
    after = [
        replace(each, text=text(WORDS), failure_code="engine_failed") if n < 10 else each
        for n, each in enumerate(before.hearings)
    ]

    comparison = judged(before, replace(before, hearings=tuple(after)))

    assert {Metric.FAILED, Metric.WER} <= {each.metric for each in comparison.regressions}


def test_more_rounds_weigh_no_more():
    assert verdict(files(10, rounds=1), files(10, rounds=3), Metric.WER).change == pytest.approx(0)


def test_what_was_measured_for_few_files_is_not_judged():
    before = files(10)
    some = [replace(each, text=None) if n > 4 else each for n, each in enumerate(before.hearings)]

    found = verdict(before, replace(before, hearings=tuple(some)), Metric.WER)

    assert found.finding is Finding.NOT_JUDGED
    assert "5 only" in found.reason


def test_on_another_machine_errors_are_judged_and_times_are_not():
    before = files(10)
    after = replace(before, run=replace(before.run, machine=replace(LAPTOP, id="server")))

    comparison = judged(before, after)
    not_judged = {each.metric for each in comparison.verdicts if each.finding is Finding.NOT_JUDGED}

    assert not_judged == {Metric.DER, Metric.RTF, Metric.LATENCY, Metric.MEMORY}
    assert comparison.drift is None


def test_errors_that_were_counted_in_another_way_are_not_judged():
    before = files(10)
    after = replace(before, run=replace(before.run, scoring="counted anew"))

    assert verdict(before, after, Metric.WER).finding is Finding.NOT_JUDGED
    assert verdict(before, after, Metric.RTF).finding is Finding.NO_DIFFERENCE


def test_files_that_only_one_has_are_left_out_and_told():
    comparison = judged(files(10), files(12))

    assert comparison.left_out == ("010.wav", "011.wav")
    assert comparison.verdicts[0].files == 10


def test_nothing_stands_between_two_runs_of_the_same():
    assert list(obstacles(files(6), files(6))) == []


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (benchmark(files(6).hearings, ended_at=None), "did not come to its end"),
        (files(6, digest="another"), "not what they were"),
        (files(5), "6 files"),
        (benchmark([a_hearing(f"talk {n}") for n in range(6)]), "none in common"),
        (
            benchmark(files(6).hearings, settings={"engine": "fake", "model": "large", "beam": 5}),
            "model small and large",
        ),
    ],
)
def test_what_cannot_be_compared_says_why(other, reason):
    (said,) = obstacles(files(6), other)

    assert reason in said


def test_other_settings_are_compared_where_that_is_the_question():
    other = benchmark(files(6).hearings, settings={"engine": "fake", "model": "large"})

    assert list(obstacles(files(6), other, across_settings=True)) == []


def test_draws_are_the_same_each_time_and_about_the_mean():
    rows = [[float(number)] for number in range(50)]

    drawn = draw_sums(rows, 2000)

    assert drawn == draw_sums(rows, 2000)
    assert len(drawn) == 2000
    assert sum(total for (total,) in drawn) / 2000 == pytest.approx(sum(range(50)), rel=0.02)
