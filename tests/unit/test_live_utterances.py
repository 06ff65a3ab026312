"""How a stream of probabilities is cut into utterances."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from hansard.domain.live import ByHand, ByVoice, EndPointing, SpeechStarted, Utterance

WINDOW_SECONDS = 0.1
RULES = EndPointing(threshold=0.5, silence_seconds=0.5, padding_seconds=0.3, longest_seconds=5.0)

probabilities = st.lists(
    st.tuples(st.integers(1, 40), st.sampled_from([0.0, 0.2, 0.4, 0.6, 1.0])).map(lambda run: [run[1]] * run[0]),
    max_size=12,
).map(lambda runs: [probability for run in runs for probability in run])


def heard(*runs: tuple[float, float]) -> list[SpeechStarted | Utterance]:
    """What is made of (seconds, probability), one after the other, and the end."""
    found, cutter, seconds = [], ByVoice(RULES, WINDOW_SECONDS), 0.0
    for run_seconds, probability in runs:
        found += cutter.hear([probability] * round(run_seconds / WINDOW_SECONDS))
        seconds += run_seconds
    last = cutter.commit(seconds)
    return [*found, last] if last else found


def utterances(moments: list[SpeechStarted | Utterance]) -> list[Utterance]:
    return [moment for moment in moments if isinstance(moment, Utterance)]


def spans(moments: list[SpeechStarted | Utterance]) -> list[tuple[float, float]]:
    return [(round(u.span.start_seconds, 3), round(u.span.end_seconds, 3)) for u in utterances(moments)]


def of(stream: list[float], rules: EndPointing = RULES) -> list[SpeechStarted | Utterance]:
    cutter = ByVoice(rules, WINDOW_SECONDS)
    found = list(cutter.hear(stream))
    last = cutter.commit(len(stream) * WINDOW_SECONDS)
    return [*found, last] if last else found


def test_an_utterance_ends_in_silence_and_is_padded() -> None:
    assert spans(heard((1, 0), (2, 1), (2, 0))) == [(0.7, 3.3)]


def test_what_is_covered_reaches_to_where_it_was_decided_that_it_is_over() -> None:
    (utterance,) = utterances(heard((2, 0), (2, 1), (2, 0)))
    assert (round(utterance.covers.start_seconds, 3), round(utterance.covers.end_seconds, 3)) == (0.7, 4.5)


def test_a_short_pause_ends_nothing() -> None:
    assert spans(heard((1, 1), (0.4, 0), (1, 1))) == [(0.0, 2.4)]


def test_padding_does_not_reach_into_the_utterance_before() -> None:
    assert spans(heard((1, 1), (0.5, 0), (1, 1))) == [(0.0, 1.3), (1.3, 2.5)]


def test_speech_goes_on_at_a_probability_at_which_it_would_not_begin() -> None:
    assert spans(heard((1, 0.4))) == []
    assert spans(heard((1, 1), (1, 0.4))) == [(0.0, 2.0)]


def test_a_long_utterance_is_split_where_speech_is_least_likely() -> None:
    split = spans(heard((3.5, 1), (0.5, 0.6), (3, 1), (1, 0)))
    assert len(split) == 2
    assert split[0][1] == split[1][0]
    assert 3.5 < split[0][1] < 4.0


def test_a_commit_ends_the_utterance_there() -> None:
    cutter = ByVoice(RULES, WINDOW_SECONDS)
    assert [type(moment) for moment in cutter.hear([1.0] * 10)] == [SpeechStarted]
    committed = cutter.commit(1.0)
    assert committed is not None
    assert committed.span.end_seconds == 1.0
    assert cutter.commit(1.0) is None


def test_what_is_cleared_is_no_utterance_and_not_covered_by_the_next() -> None:
    cutter = ByVoice(RULES, WINDOW_SECONDS)
    list(cutter.hear([1.0] * 20))
    cutter.clear()
    assert cutter.open is None
    list(cutter.hear([1.0] * 10))
    committed = cutter.commit(3.0)
    assert committed is not None
    assert committed.covers.start_seconds >= 2.0


@given(probabilities)
def test_utterances_are_in_order_and_do_not_overlap(stream: list[float]) -> None:
    found = utterances(of(stream))
    assert all(before.span.end_seconds <= after.span.start_seconds for before, after in pairwise(found))
    assert [utterance.number for utterance in found] == list(range(1, len(found) + 1))


@given(probabilities)
def test_each_utterance_is_announced_once_before_it_ends(stream: list[float]) -> None:
    moments = of(stream)
    assert [type(moment) for moment in moments] == [SpeechStarted, Utterance] * (len(moments) // 2)
    assert all(
        before.number == after.number and before.start_seconds == after.span.start_seconds
        for before, after in zip(moments[::2], moments[1::2], strict=True)
        if isinstance(before, SpeechStarted) and isinstance(after, Utterance)
    )


@given(probabilities)
def test_no_utterance_is_longer_than_the_longest(stream: list[float]) -> None:
    assert all(utterance.span.seconds <= RULES.longest_seconds + 1e-9 for utterance in utterances(of(stream)))


@given(probabilities)
def test_all_that_is_surely_speech_is_in_an_utterance(stream: list[float]) -> None:
    found = utterances(of(stream))
    for number in range(1, len(stream)):
        # Two windows in a row are no click.
        if stream[number - 1] >= RULES.threshold and stream[number] >= RULES.threshold:
            middle = (number + 0.5) * WINDOW_SECONDS
            assert any(u.span.start_seconds <= middle < u.span.end_seconds for u in found)


@given(probabilities)
def test_an_utterance_covers_at_least_itself_and_nothing_of_the_next(stream: list[float]) -> None:
    found = utterances(of(stream))
    for utterance in found:
        assert utterance.covers.start_seconds <= utterance.span.start_seconds
        assert utterance.covers.end_seconds >= utterance.span.end_seconds - 1e-9
    for before, after in pairwise(found):
        # But for the padding, in which nobody speaks.
        assert before.covers.end_seconds <= after.span.start_seconds + RULES.padding_seconds + 1e-9


@given(probabilities, st.integers(1, 7))
def test_it_does_not_matter_how_the_stream_is_cut(stream: list[float], size: int) -> None:
    cutter, found = ByVoice(RULES, WINDOW_SECONDS), []
    for start in range(0, len(stream), size):
        found += cutter.hear(stream[start : start + size])
    whole = ByVoice(RULES, WINDOW_SECONDS)
    assert found == list(whole.hear(stream))


@given(probabilities, st.integers(1, 7))
def test_no_utterance_begins_before_what_was_said_to_be_needed(stream: list[float], size: int) -> None:
    cutter, needed_from = ByVoice(RULES, WINDOW_SECONDS), 0.0
    for start in range(0, len(stream), size):
        for moment in cutter.hear(stream[start : start + size]):
            if isinstance(moment, Utterance):
                assert moment.span.start_seconds >= needed_from - 1e-9
        assert cutter.needed_from_seconds >= needed_from - 1e-9
        needed_from = cutter.needed_from_seconds


def test_by_hand_an_utterance_is_what_came_in_since_the_last_commit() -> None:
    cutter = ByHand(60.0, WINDOW_SECONDS)
    list(cutter.hear([0.0] * 10))
    first = cutter.commit(1.03)
    list(cutter.hear([0.0] * 10))
    second = cutter.commit(2.0)
    assert first is not None
    assert second is not None
    assert (first.span.end_seconds, second.span.start_seconds, second.span.end_seconds) == (1.03, 1.03, 2.0)
    assert cutter.commit(2.0) is None


def test_by_hand_what_is_never_committed_ends_by_itself() -> None:
    found = list(ByHand(2.0, WINDOW_SECONDS).hear([0.0] * 45))
    assert [round(each.span.seconds, 3) for each in found if isinstance(each, Utterance)] == [2.0, 2.0]
