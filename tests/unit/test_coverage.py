"""Speech and text held against each other. Times are drawn on a grid of tenths of a second."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansard.domain.coverage import (
    DRIFT_SECONDS,
    PAUSE_SECONDS,
    SILENCE_SECONDS,
    SLOWEST_CHARACTER_SECONDS,
    SLOWEST_WORD_SECONDS,
    covered,
    measure,
    says_too_little,
    speech_within,
    split_hallucinations,
    without_superseded,
)
from hansard.domain.speech import Span, Speech
from hansard.domain.transcript import Segment, Transcript, Word

GAP_SECONDS = 3.0
ROUNDING = 1e-9


def speech(*regions: tuple[float, float]) -> Speech:
    return Speech(3600.0, tuple(Span(*region) for region in regions))


def said(text: str, start: float, end: float) -> Segment:
    """A segment without words, as the engines give that tell no times of words."""
    return Segment(start_seconds=start, end_seconds=end, text=text, engine="fake")


def spoken(*times: tuple[float, float]) -> Segment:
    """A segment whose words have these times."""
    words = tuple(Word("word", start, end) for start, end in times)
    text = " ".join(word.text for word in words)
    return replace(said(text, words[0].start_seconds, words[-1].end_seconds), words=words)


MINUTE = speech((0, 60))


def without_pause(start: int, end: int) -> Segment:
    """Two words a second, one after the other."""
    return spoken(*((half / 2, half / 2 + 0.5) for half in range(2 * start, 2 * end)))


def seconds(spans) -> float:
    return sum(span.seconds for span in spans)


@st.composite
def any_speech(draw: st.DrawFn) -> Speech:
    """Ordered regions that don't overlap; some of them touch."""
    edges = sorted(draw(st.sets(st.integers(0, 600), max_size=24)))
    kept = draw(st.lists(st.booleans(), min_size=len(edges), max_size=len(edges)))
    pairs = zip(pairwise(edges), kept, strict=False)
    return speech(*((start / 10, end / 10) for (start, end), keep in pairs if keep))


times = st.tuples(st.integers(0, 620), st.integers(0, 80)).map(lambda drawn: (drawn[0] / 10, sum(drawn) / 10))
texts = st.sampled_from(["", "…", "no", "well then", "a good deal more than that", "おはよう"])
any_words = st.builds(lambda text, time: Word(text, *time), texts, times)
any_segments = st.builds(
    lambda text, time, words: replace(said(text, *time), words=tuple(words)),
    texts,
    times,
    st.lists(any_words, max_size=4),
)
"""Of zero length, empty, overlapping, with words outside and in no order: whatever an engine may come up with."""

some_segments = st.lists(any_segments, max_size=8)
limits = st.integers(5, 80).map(lambda tenths: tenths / 10)


# ── How much is transcribed ──────────────────────────────────────────────────────────────────────────────


@given(any_speech(), some_segments, limits)
def test_the_ratio_is_a_share(speech: Speech, segments: list[Segment], limit: float) -> None:
    assert 0 <= measure(speech, segments, gap_seconds=limit).ratio <= 1


@given(any_speech(), some_segments, any_segments)
def test_more_text_never_covers_less(speech: Speech, segments: list[Segment], more: Segment) -> None:
    before = measure(speech, segments, gap_seconds=GAP_SECONDS)
    after = measure(speech, [*segments, more], gap_seconds=GAP_SECONDS)
    assert after.transcribed_seconds >= before.transcribed_seconds - ROUNDING
    assert seconds(after.gaps) <= seconds(before.gaps) + ROUNDING


@given(any_speech(), some_segments, st.randoms())
def test_the_order_of_segments_does_not_matter(speech: Speech, segments: list[Segment], random) -> None:
    shuffled = random.sample(segments, len(segments))
    in_order, otherwise = (measure(speech, some, gap_seconds=GAP_SECONDS) for some in (segments, shuffled))
    assert otherwise == in_order


@given(any_speech())
def test_speech_full_of_words_is_all_transcribed(speech: Speech) -> None:
    segments = [
        spoken((region.start_seconds, middle), (middle, region.end_seconds))
        for region in speech.regions
        for middle in [(region.start_seconds + region.end_seconds) / 2]
        if region.seconds <= 2 * SLOWEST_WORD_SECONDS
    ]
    heard = replace(speech, regions=tuple(r for r in speech.regions if r.seconds <= 2 * SLOWEST_WORD_SECONDS))
    coverage = measure(heard, segments, gap_seconds=0.1)
    assert (coverage.ratio, coverage.gaps) == (1.0, ())


@given(some_segments)
def test_where_nobody_speaks_nothing_is_missing(segments: list[Segment]) -> None:
    coverage = measure(speech(), segments, gap_seconds=GAP_SECONDS)
    assert (coverage.ratio, coverage.gaps) == (1.0, ())


def test_speech_without_any_text_is_all_missing() -> None:
    coverage = measure(speech((0, 4), (6, 9)), [], gap_seconds=GAP_SECONDS)
    assert (coverage.ratio, coverage.gaps) == (0.0, (Span(0, 9),))


def test_pauses_between_words_are_not_missing() -> None:
    pause = 2 * PAUSE_SECONDS
    coverage = measure(speech((0, 4)), [spoken((0, 1), (1 + pause, 4))], gap_seconds=0.5)
    assert (coverage.ratio, coverage.gaps) == (1.0, ())


def test_the_padding_of_a_region_is_not_missing() -> None:
    begins = 10 + PAUSE_SECONDS
    coverage = measure(speech((10, begins + 1 + PAUSE_SECONDS)), [spoken((begins, begins + 1))], gap_seconds=0.5)
    assert (coverage.ratio, coverage.gaps) == (1.0, ())


def test_more_than_a_pause_is_missing_from_word_to_word() -> None:
    coverage = measure(speech((0, 10)), [without_pause(0, 4), without_pause(6, 10)], gap_seconds=GAP_SECONDS)
    assert (coverage.speech_seconds, coverage.transcribed_seconds, coverage.ratio) == (10.0, 8.0, 0.8)


@pytest.mark.parametrize("utterance", [(0, 1), (20, 21)])
def test_a_short_utterance_that_nobody_recognised_is_no_pause(utterance: tuple[float, float]) -> None:
    talk = speech(*sorted([(8, 12), utterance]))
    assert measure(talk, [without_pause(8, 12)], gap_seconds=GAP_SECONDS).transcribed_seconds == 4.0


def test_the_pause_after_a_text_is_none_the_longer_for_a_word_within_it() -> None:
    segments = [said("word " * 10, 0, 10), spoken((2, 3))]
    assert measure(speech((0, 10 + PAUSE_SECONDS)), segments, gap_seconds=GAP_SECONDS).ratio == 1.0


def test_what_was_dropped_is_kept_with_the_coverage() -> None:
    dropped = said("Thank you for watching!", 20, 22)
    assert measure(speech((0, 1)), [], gap_seconds=GAP_SECONDS, dropped=[dropped]).dropped == (dropped,)


# ── Gaps ─────────────────────────────────────────────────────────────────────────────────────────────────


@given(any_speech(), some_segments, limits)
def test_gaps_are_in_order_and_do_not_overlap(speech: Speech, segments: list[Segment], limit: float) -> None:
    gaps = measure(speech, segments, gap_seconds=limit).gaps
    assert all(a.end_seconds <= b.start_seconds for a, b in pairwise(gaps))


@given(any_speech(), some_segments, limits)
def test_every_gap_holds_speech_of_at_least_the_limit(speech: Speech, segments: list[Segment], limit: float) -> None:
    for gap in measure(speech, segments, gap_seconds=limit).gaps:
        assert seconds(speech_within(speech, gap)) >= limit - ROUNDING


@given(any_speech(), some_segments, limits)
def test_gaps_begin_and_end_in_speech(speech: Speech, segments: list[Segment], limit: float) -> None:
    for gap in measure(speech, segments, gap_seconds=limit).gaps:
        assert any(region.start_seconds <= gap.start_seconds < region.end_seconds for region in speech.regions)
        assert any(region.start_seconds < gap.end_seconds <= region.end_seconds for region in speech.regions)


@given(any_speech(), st.lists(times.map(lambda time: (time[0], min(time[1], time[0] + 2))), max_size=12), limits)
def test_no_word_stands_in_a_gap(speech: Speech, words: list[tuple[float, float]], limit: float) -> None:
    for gap in measure(speech, [spoken(time) for time in words], gap_seconds=limit).gaps:
        assert not any(start < gap.end_seconds and end > gap.start_seconds for start, end in words if start < end)


@given(any_speech(), some_segments, limits)
def test_a_gap_that_is_decoded_again_is_closed(speech: Speech, segments: list[Segment], limit: float) -> None:
    gaps = measure(speech, segments, gap_seconds=limit).gaps
    again = [said("word " * 40, gap.start_seconds, gap.end_seconds) for gap in gaps]
    assert measure(speech, [*segments, *again], gap_seconds=limit).gaps == ()


def test_a_gap_reaches_from_the_last_word_before_it_to_the_first_after_it() -> None:
    segments = [without_pause(0, 10), without_pause(14, 20)]
    assert measure(speech((0, 20)), segments, gap_seconds=GAP_SECONDS).gaps == (Span(10, 14),)


def test_a_gap_at_the_end_is_found() -> None:
    assert measure(speech((0, 20)), [without_pause(0, 12)], gap_seconds=GAP_SECONDS).gaps == (Span(12, 20),)


def test_what_is_shorter_than_the_limit_is_no_gap() -> None:
    segments = [without_pause(0, 10), without_pause(12, 20)]
    assert measure(speech((0, 20)), segments, gap_seconds=GAP_SECONDS).gaps == ()


def test_short_utterances_that_are_missing_together_are_one_gap() -> None:
    talk = speech((0, 4), (5, 6.5), (8, 9.5), (11, 15))
    assert measure(talk, [without_pause(0, 4), without_pause(11, 15)], gap_seconds=3).gaps == (Span(5, 9.5),)


def test_a_long_silence_parts_two_gaps() -> None:
    later = 4 + SILENCE_SECONDS + 1
    gaps = measure(speech((0, 4), (later, later + 4)), [], gap_seconds=GAP_SECONDS).gaps
    assert gaps == (Span(0, 4), Span(later, later + 4))


def test_what_there_is_to_decode_in_a_gap_is_its_speech() -> None:
    assert list(speech_within(speech((0, 4), (5, 6), (8, 12)), Span(2, 10))) == [Span(2, 4), Span(5, 6), Span(8, 10)]


# ── What text accounts for ───────────────────────────────────────────────────────────────────────────────


def test_a_segment_without_words_accounts_for_its_length() -> None:
    coverage = measure(MINUTE, [said("word " * 150, 0, 60)], gap_seconds=GAP_SECONDS)
    assert (coverage.ratio, coverage.gaps) == (1.0, ())


def test_five_words_for_a_minute_of_speech_account_for_nothing() -> None:
    segment = said("So where was I then?", 0, 60)
    coverage = measure(MINUTE, [segment], gap_seconds=GAP_SECONDS)
    assert (coverage.ratio, coverage.gaps) == (0.0, (Span(0, 60),))
    assert says_too_little(segment, MINUTE)


def test_five_words_are_enough_where_the_minute_is_mostly_silent() -> None:
    segment = said("So where was I then?", 0, 60)
    assert not says_too_little(segment, speech((0, 2), (58, 60)))


def test_words_with_times_speak_for_themselves() -> None:
    assert not says_too_little(replace(spoken((0, 1)), end_seconds=60.0), MINUTE)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("word " * 38, id="38 words, as slowly as synthesisers can"),
        pytest.param("一二三四五六七八九十" * 3, id="30 Chinese characters"),
        pytest.param("ครับ" * 10, id="Thai, without a space"),
        pytest.param("한국어 " * 30, id="30 Korean words"),
    ],
)
def test_half_a_minute_of_slow_speech_says_enough(text: str) -> None:
    assert not says_too_little(said(text, 0, 30), speech((0, 30)))


@pytest.mark.parametrize("text", ["はい", "ครับ", "Yes, of course.", "10 9 8 7"])
def test_half_a_minute_of_speech_says_more_than_this(text: str) -> None:
    assert says_too_little(said(text, 0, 30), speech((0, 30)))


@pytest.mark.parametrize(("text", "allowed"), [("word", SLOWEST_WORD_SECONDS), ("字", SLOWEST_CHARACTER_SECONDS)])
def test_a_word_or_character_may_take_so_long_with_a_pause_on_either_side(text: str, allowed: float) -> None:
    longest = allowed + 2 * PAUSE_SECONDS
    assert not says_too_little(said(text, 0, longest), speech((0, 10)))
    assert says_too_little(said(text, 0, longest + 0.1), speech((0, 10)))


@pytest.mark.parametrize("text", ["", " ", "…", "♪♪"])
def test_text_without_a_word_accounts_for_nothing(text: str) -> None:
    assert measure(speech((0, 1)), [said(text, 0, 1)], gap_seconds=GAP_SECONDS).ratio == 0.0


def test_a_word_stretched_over_lost_speech_does_not_account_for_it() -> None:
    segments = [without_pause(0, 4), spoken((4, 12)), without_pause(12, 16)]
    assert measure(speech((0, 16)), segments, gap_seconds=GAP_SECONDS).gaps == (Span(4, 12),)


def test_words_count_where_they_stand_outside_their_segment() -> None:
    segment = replace(without_pause(2, 8), start_seconds=0.0, end_seconds=1.0)
    assert measure(speech((2, 8)), [segment], gap_seconds=GAP_SECONDS).ratio == 1.0


def test_a_hole_among_the_words_of_one_segment_is_found() -> None:
    segment = spoken((0, 0.5), (0.5, 1), (8, 8.5), (8.5, 9))
    assert measure(speech((0, 9)), [segment], gap_seconds=GAP_SECONDS).gaps == (Span(1, 8),)


def test_words_that_take_no_time_are_words_without_times() -> None:
    segment = replace(said("all at once here", 0, 4), words=tuple(Word(text, 0, 0) for text in ["all", "at", "once"]))
    assert measure(speech((0, 4)), [segment], gap_seconds=GAP_SECONDS).ratio == 1.0


# ── Text without speech ──────────────────────────────────────────────────────────────────────────────────


@given(any_speech(), some_segments)
def test_segments_are_either_kept_or_dropped(speech: Speech, segments: list[Segment]) -> None:
    kept, dropped = split_hallucinations(segments, speech)
    assert sorted(map(id, kept + dropped)) == sorted(map(id, segments))


@given(any_speech(), some_segments)
def test_nothing_that_touches_speech_is_dropped(speech: Speech, segments: list[Segment]) -> None:
    _, dropped = split_hallucinations(segments, speech)
    for segment in dropped:
        for part in (segment, *segment.words):
            assert not any(
                part.start_seconds <= region.end_seconds and part.end_seconds >= region.start_seconds
                for region in speech.regions
            )


@given(any_speech(), some_segments)
def test_dropping_covers_no_less(speech: Speech, segments: list[Segment]) -> None:
    kept, _ = split_hallucinations(segments, speech)
    after, before = (measure(speech, some, gap_seconds=GAP_SECONDS) for some in (kept, segments))
    assert after.transcribed_seconds == pytest.approx(before.transcribed_seconds)


def test_text_far_from_any_speech_is_dropped() -> None:
    segments = said("Good morning.", 0, 3), said("Thank you for watching!", 6, 9), said("Bye.", 12, 13)
    kept, dropped = split_hallucinations(segments, speech((0, 3), (12, 13)))
    assert (kept, dropped) == ((segments[0], segments[2]), (segments[1],))


@pytest.mark.parametrize("start", [10 - DRIFT_SECONDS - 0.5, 12 + DRIFT_SECONDS])
def test_text_whose_time_may_have_drifted_away_from_speech_is_kept(start: float) -> None:
    kept, _ = split_hallucinations([said("Hm.", start, start + 0.5)], speech((10, 12)))
    assert len(kept) == 1


def test_a_segment_is_kept_for_a_single_word_in_speech() -> None:
    segment = replace(said("well then", 20, 22), words=(Word("well", 2, 2.5), Word("then", 20, 22)))
    assert split_hallucinations([segment], speech((0, 3))) == ((segment,), ())


def test_a_segment_over_speech_and_silence_is_kept() -> None:
    segment = said("Good morning. Thank you for watching!", 0, 300)
    assert split_hallucinations([segment], speech((100, 101))) == ((segment,), ())


# ── What was decoded again ───────────────────────────────────────────────────────────────────────────────

TOO_LITTLE = said("So where was I?", 0, 60)


def test_what_said_too_little_makes_way_for_what_was_decoded_again() -> None:
    again = said("word " * 60, 0, 30), said("word " * 60, 30, 60)
    assert without_superseded([TOO_LITTLE, *again], MINUTE) == again


def test_what_said_too_little_stays_while_nothing_says_as_much() -> None:
    again = said("So where?", 0, 2)
    assert without_superseded([TOO_LITTLE, again], MINUTE) == (TOO_LITTLE, again)


def test_what_holds_no_word_stays_too_while_nothing_was_decoded_again() -> None:
    music = said("♪♪", 0, 60)
    assert without_superseded([music], MINUTE) == (music,)


def test_of_two_that_say_too_little_one_stays() -> None:
    assert without_superseded([TOO_LITTLE, replace(TOO_LITTLE, engine="other")], MINUTE) == (
        replace(TOO_LITTLE, engine="other"),
    )


def test_what_says_enough_never_makes_way() -> None:
    segments = said("word " * 100, 0, 60), said("word " * 120, 0, 60)
    assert without_superseded(segments, MINUTE) == segments


@given(any_speech(), some_segments)
def test_making_way_covers_no_less(speech: Speech, segments: list[Segment]) -> None:
    after, before = (
        measure(speech, some, gap_seconds=GAP_SECONDS) for some in (without_superseded(segments, speech), segments)
    )
    assert after.transcribed_seconds == pytest.approx(before.transcribed_seconds)


def test_a_transcript_is_rid_of_what_nobody_said_and_of_what_was_decoded_again() -> None:
    invented = said("Thank you for watching!", 70, 75)
    again = said("word " * 40, 0, 40), without_pause(40, 56)
    transcript, coverage = covered(
        Transcript(language="en", segments=(TOO_LITTLE, *again, invented)), MINUTE, gap_seconds=GAP_SECONDS
    )
    assert transcript == Transcript(language="en", segments=again)
    assert (coverage.transcribed_seconds, coverage.gaps, coverage.dropped) == (56.0, (Span(56, 60),), (invented,))
