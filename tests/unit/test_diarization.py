"""Whose each word is."""

from hypothesis import given
from hypothesis import strategies as st

from hansard.domain.diarization import Turn, with_speakers
from hansard.domain.speech import Span
from hansard.domain.transcript import Segment, Transcript, Word

ANNA, BEN = "1", "2"


def turn(start: float, end: float, speaker: str) -> Turn:
    return Turn(Span(start, end), speaker)


def segment(*words: tuple[str, float, float], text: str | None = None) -> Segment:
    return Segment(
        start_seconds=words[0][1],
        end_seconds=words[-1][2],
        text=" ".join(word[0] for word in words) if text is None else text,
        words=tuple(Word(*word) for word in words),
    )


def transcript(*segments: Segment, language: str = "en") -> Transcript:
    return Transcript(language=language, segments=segments)


def told(made: Transcript) -> list[tuple[str | None, str]]:
    return [(piece.speaker, piece.text) for piece in made.segments]


def test_a_word_is_spoken_by_whom_it_shares_most_time_with() -> None:
    made = with_speakers(transcript(segment(("yes", 1.0, 2.0))), [turn(0, 1.4, ANNA), turn(1.4, 3, BEN)])
    assert [word.speaker for word in made.segments[0].words] == [BEN]


def test_turns_of_one_speaker_count_together() -> None:
    turns = [turn(0, 0.3, ANNA), turn(0.3, 0.7, BEN), turn(0.7, 1, ANNA)]
    assert told(with_speakers(transcript(segment(("yes", 0, 1))), turns)) == [(ANNA, "yes")]


def test_a_word_in_nobodys_turn_is_the_nearest_ones() -> None:
    turns = [turn(0, 1, ANNA), turn(5, 6, BEN)]
    made = with_speakers(transcript(segment(("well", 1.5, 2)), segment(("so", 4, 4.5))), turns)
    assert told(made) == [(ANNA, "well"), (BEN, "so")]


def test_a_long_turn_is_near_also_when_short_ones_came_after_its_beginning() -> None:
    turns = [turn(0, 9, ANNA), turn(1, 2, BEN), turn(20, 21, BEN)]
    assert told(with_speakers(transcript(segment(("yes", 10, 11))), turns)) == [(ANNA, "yes")]


def test_a_segment_is_cut_where_the_speaker_changes() -> None:
    spoken = segment(("How", 0, 1), ("are", 1, 2), ("you?", 2, 3), ("Fine.", 3.5, 4))
    made = with_speakers(transcript(spoken), [turn(0, 3, ANNA), turn(3.2, 5, BEN)])
    assert told(made) == [(ANNA, "How are you?"), (BEN, "Fine.")]
    assert [(piece.start_seconds, piece.end_seconds) for piece in made.segments] == [(0, 3), (3.5, 4)]


def test_an_opening_quote_goes_with_its_word() -> None:
    spoken = segment(("Said", 0, 1), ("No", 2, 3), text='Said "No"')
    made = with_speakers(transcript(spoken), [turn(0, 1, ANNA), turn(2, 3, BEN)])
    assert told(made) == [(ANNA, "Said"), (BEN, '"No"')]


def test_what_no_white_space_parts_stays_together() -> None:
    spoken = segment(("example", 0, 1), (".com", 1, 2), text="example.com")
    assert told(with_speakers(transcript(spoken), [turn(0, 1, ANNA), turn(1, 2, BEN)])) == [(ANNA, "example.com")]


def test_a_script_without_spaces_is_cut_between_any_words() -> None:
    spoken = segment(("はい", 0, 1), ("いいえ", 1, 2), text="はいいいえ")
    made = with_speakers(transcript(spoken, language="ja"), [turn(0, 1, ANNA), turn(1, 2, BEN)])
    assert told(made) == [(ANNA, "はい"), (BEN, "いいえ")]


def test_a_segment_without_times_of_words_is_one_speakers() -> None:
    spoken = Segment(start_seconds=0, end_seconds=10, text="How are you? Fine.")
    assert told(with_speakers(transcript(spoken), [turn(0, 4, ANNA), turn(4, 10, BEN)])) == [(BEN, spoken.text)]


def test_words_that_are_not_in_the_text_do_not_cut_it() -> None:
    spoken = segment(("How", 0, 1), ("are", 1, 2), text="Something else")
    made = with_speakers(transcript(spoken), [turn(0, 1, ANNA), turn(1, 2.5, BEN)])
    assert told(made) == [(BEN, "Something else")] or told(made) == [(ANNA, "Something else")]
    assert {word.speaker for word in made.segments[0].words} == {made.segments[0].speaker}


def test_without_turns_nothing_changes() -> None:
    spoken = transcript(segment(("yes", 0, 1)))
    assert with_speakers(spoken, []) == spoken


times = st.floats(0, 100, allow_nan=False).map(lambda seconds: round(seconds, 2))
turns_of = st.lists(
    st.builds(lambda a, b, speaker: turn(min(a, b), max(a, b), speaker), times, times, st.sampled_from("123")),
    min_size=1,
    max_size=12,
)
texts = st.text("abc.,'\"", min_size=1, max_size=5)


@st.composite
def transcripts(draw: st.DrawFn) -> Transcript:
    segments: list[Segment] = []
    now = 0.0
    for _ in range(draw(st.integers(0, 5))):
        words: list[tuple[str, float, float]] = []
        for text in draw(st.lists(texts, min_size=1, max_size=6)):
            start = now + draw(st.floats(0, 3))
            now = start + draw(st.floats(0, 2))
            words.append((text, start, now))
        made = segment(*words)
        segments.append(made if draw(st.booleans()) else Segment(**{**_fields(made), "words": ()}))
    return transcript(*segments)


def _fields(made: Segment) -> dict[str, object]:
    return {"start_seconds": made.start_seconds, "end_seconds": made.end_seconds, "text": made.text}


@given(transcripts(), turns_of)
def test_no_word_is_lost_and_the_text_stays(spoken: Transcript, turns: list[Turn]) -> None:
    made = with_speakers(spoken, turns)
    before = [word.text for each in spoken.segments for word in each.words]
    assert [word.text for each in made.segments for word in each.words] == before
    assert made.text == spoken.text


@given(transcripts(), turns_of)
def test_every_word_and_segment_has_a_speaker_who_is_in_the_turns(spoken: Transcript, turns: list[Turn]) -> None:
    speakers = {each.speaker for each in turns}
    for piece in with_speakers(spoken, turns).segments:
        assert piece.speaker in speakers
        assert all(word.speaker == piece.speaker for word in piece.words)


@given(transcripts(), turns_of)
def test_time_does_not_go_back(spoken: Transcript, turns: list[Turn]) -> None:
    made = with_speakers(spoken, turns).segments
    starts = [piece.start_seconds for piece in made]
    assert starts == sorted(starts)
    assert all(piece.start_seconds <= piece.end_seconds for piece in made)
