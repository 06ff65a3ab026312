"""What people do to a transcript, and that all of it can be undone."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hansard.domain import editing
from hansard.domain.alignment import Draft
from hansard.domain.editing import Edit, normalised
from hansard.domain.errors import InvalidRequest, NotFound
from hansard.domain.revision import Change, Hunk, Revised, Revision, at_revision, difference, undone
from hansard.domain.transcript import DecodingScores, Segment, Transcript, Word
from tests.unit.transcripts import conversations, said, timed

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
ANN, BOB = "Ann", "Bob"
SCORES = DecodingScores(compression_ratio=1.5)

transcripts = conversations().map(lambda document: document.transcript)


def heard(text: str, start: float = 0.0, **more) -> Segment:
    """By an engine that was sure of it."""
    segment = timed(text, start, confidence=0.8, scores=SCORES, language="en", engine="fake", **more)
    return replace(
        segment, words=tuple(replace(word, probability=0.9, speaker=segment.speaker) for word in segment.words)
    )


TALK = Transcript(
    language="en",
    segments=(
        heard("good morning mister speaker", speaker=ANN),
        heard("order order", 2.0, speaker=BOB),
        heard("thank you for watching", 4.0, speaker=ANN),
    ),
)


def texts(edit: Edit) -> list[str]:
    return [segment.text for segment in edit.transcript.segments]


def drafts(transcript: Transcript) -> list[Draft]:
    return [Draft(each.start_seconds, each.end_seconds, each.text, each.speaker) for each in transcript.segments]


def revision(number: int, *hunks: Hunk) -> Revision:
    return Revision(number=number, made_at=NOON, author=None, change=Change.TEXT, summary="", hunks=hunks)


# ── Correct ──────────────────────────────────────────────────────────────────────────────────────────────


def test_a_corrected_segment_has_the_new_text_and_its_words() -> None:
    edit = editing.amend(TALK, 0, text="Good  morning,\nMr Speaker ")
    segment = edit.transcript.segments[0]
    assert segment.text == "Good morning, Mr Speaker"
    assert [word.text for word in segment.words] == ["Good", "morning,", "Mr", "Speaker"]
    assert edit.transcript.segments[1:] == TALK.segments[1:]
    assert edit.change is Change.TEXT


def test_how_sure_the_engine_was_is_not_said_of_what_a_person_wrote() -> None:
    segment = editing.amend(TALK, 0, text="good morning everybody").transcript.segments[0]
    assert (segment.confidence, segment.scores, segment.engine) == (None, None, "fake")


def test_a_segment_given_to_another_speaker_takes_its_words_along() -> None:
    edit = editing.amend(TALK, 1, speaker=" Ann ")
    segment = edit.transcript.segments[1]
    assert {segment.speaker, *(word.speaker for word in segment.words)} == {ANN}
    assert (segment.text, segment.confidence) == ("order order", 0.8)
    assert edit.change is Change.SPEAKER


def test_text_and_speaker_are_corrected_together() -> None:
    segment = editing.amend(TALK, 1, text="order everybody", speaker=ANN).transcript.segments[1]
    assert [(word.text, word.speaker) for word in segment.words] == [("order", ANN), ("everybody", ANN)]


def test_an_empty_speaker_is_none() -> None:
    segment = editing.amend(TALK, 1, speaker=" ").transcript.segments[1]
    assert {segment.speaker, *(word.speaker for word in segment.words)} == {None}


def test_an_empty_text_takes_the_segment_out() -> None:
    assert texts(editing.amend(TALK, 2, text=" \n")) == ["good morning mister speaker", "order order"]


def test_the_same_text_changes_nothing() -> None:
    assert editing.amend(TALK, 0, text=" good  morning mister speaker").transcript == TALK


def test_text_without_times_of_words_stays_without() -> None:
    transcript = replace(TALK, segments=(said("no times", confidence=0.5),))
    segment = editing.amend(transcript, 0, text="no words").transcript.segments[0]
    assert (segment.text, segment.words) == ("no words", ())


@pytest.mark.parametrize("position", [-1, 3])
@pytest.mark.parametrize(
    "edit",
    [
        lambda transcript, position: editing.amend(transcript, position, text="x"),
        lambda transcript, position: editing.split(transcript, position, word=1),
        editing.merge,
    ],
)
def test_a_segment_that_is_not_there_is_not_found(edit: Callable[[Transcript, int], Edit], position: int) -> None:
    with pytest.raises(NotFound) as refusal:
        edit(TALK, position)
    assert refusal.value.failure.code == "no_such_segment"


# ── Split and merge ──────────────────────────────────────────────────────────────────────────────────────


def test_a_segment_split_before_a_word_has_its_words_in_two_halves() -> None:
    first, second = editing.split(TALK, 0, word=2).transcript.segments[:2]
    assert (first.text, second.text) == ("good morning", "mister speaker")
    assert first.words + second.words == TALK.segments[0].words
    assert (first.start_seconds, first.end_seconds) == (0.0, first.words[-1].end_seconds)
    assert (second.start_seconds, second.end_seconds) == (second.words[0].start_seconds, TALK.segments[0].end_seconds)


@pytest.mark.parametrize("character", [12, 13])
def test_the_space_at_a_split_belongs_to_neither_half(character: int) -> None:
    assert texts(editing.split(TALK, 0, character=character))[:2] == ["good morning", "mister speaker"]


def test_a_split_inside_a_word_shares_its_time() -> None:
    first, second = editing.split(TALK, 0, character=2).transcript.segments[:2]
    assert (first.words[-1], second.words[0]) == (
        Word("go", 0.0, 0.2, speaker=ANN),
        Word("od", 0.2, 0.4, speaker=ANN),
    )


def test_without_times_of_words_a_split_is_made_by_length() -> None:
    transcript = Transcript(language=None, segments=(said("aa bbbbbb", 0.0, 4.0),))
    first, second = editing.split(transcript, 0, character=2).transcript.segments
    assert (first.end_seconds, second.start_seconds) == (1.0, 1.0)


@pytest.mark.parametrize("where", [{"word": 4}, {"word": 99}, {"character": 0}, {"character": 27}, {"character": 99}])
def test_a_half_without_text_is_refused(where: dict[str, int]) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        editing.split(TALK, 0, **where)
    assert refusal.value.failure.code == "nothing_to_split"


def test_merged_segments_are_one_with_all_the_words() -> None:
    edit = editing.merge(TALK, 0)
    merged = edit.transcript.segments[0]
    assert merged.text == "good morning mister speaker order order"
    assert [word.start_seconds for word in merged.words[-2:]] == [2.0, 2.4]
    assert {merged.speaker, *(word.speaker for word in merged.words)} == {ANN}
    assert (merged.start_seconds, merged.end_seconds) == (0.0, 2.8)
    assert merged.confidence == pytest.approx(0.8)
    assert len(edit.transcript.segments) == 2


def test_what_was_split_can_be_merged_again() -> None:
    split = editing.split(TALK, 0, word=2).transcript
    merged = editing.merge(split, 0).transcript.segments[0]
    assert (merged.text, merged.words) == (TALK.segments[0].text, TALK.segments[0].words)


@pytest.mark.parametrize(("language", "text"), [("ja", "今日はいい"), ("en", "今日は いい")])
def test_no_space_comes_between_where_the_language_has_none(language: str, text: str) -> None:
    transcript = Transcript(language=language, segments=(said("今日は"), said("いい", 2.0, 3.0)))
    assert texts(editing.merge(transcript, 0)) == [text]


def test_words_without_times_get_some_when_they_are_merged_with_words_that_have_them() -> None:
    merged = editing.merge(Transcript(language="en", segments=(said("no times"), heard("but here", 2.0))), 0)
    words = merged.transcript.segments[0].words
    assert [word.text for word in words] == ["no", "times", "but", "here"]
    assert words[2:] == heard("but here", 2.0).words


def test_the_last_segment_has_nothing_to_be_merged_with() -> None:
    with pytest.raises(InvalidRequest) as refusal:
        editing.merge(TALK, 2)
    assert refusal.value.failure.code == "nothing_to_merge"


# ── Speakers ─────────────────────────────────────────────────────────────────────────────────────────────


def test_a_renamed_speaker_has_the_new_name_everywhere() -> None:
    edit = editing.rename_speaker(TALK, ANN, " Anna  Smith ")
    assert [segment.speaker for segment in edit.transcript.segments] == ["Anna Smith", BOB, "Anna Smith"]
    assert edit.transcript.segments[0].words[0].speaker == "Anna Smith"
    assert edit.transcript.segments[1] == TALK.segments[1]
    assert edit.change is Change.SPEAKER_RENAMED


def test_two_speakers_become_one_by_the_name_of_the_other() -> None:
    assert editing.rename_speaker(TALK, ANN, BOB).transcript.speakers == (BOB,)


def test_a_speaker_who_has_single_words_only_is_renamed_too() -> None:
    words = (Word("yes", 0.0, 1.0, speaker=ANN), Word("no", 1.0, 2.0, speaker=BOB))
    transcript = Transcript(language="en", segments=(said("yes no", 0.0, 2.0, words=words, speaker=ANN),))
    (segment,) = editing.rename_speaker(transcript, BOB, "Carl").transcript.segments
    assert [segment.speaker, *(word.speaker for word in segment.words)] == [ANN, ANN, "Carl"]


def test_a_speaker_who_is_not_there_is_not_found() -> None:
    with pytest.raises(NotFound) as refusal:
        editing.rename_speaker(TALK, "Carl", "Dan")
    assert refusal.value.failure.code == "no_such_speaker"


# ── All at once ──────────────────────────────────────────────────────────────────────────────────────────


def test_segments_that_are_saved_as_they_were_stay_so_to_the_last_word() -> None:
    saved = drafts(TALK)
    saved[1] = replace(saved[1], text="Order!")
    edit = editing.rewrite(TALK, saved)
    assert (edit.transcript.segments[0], edit.transcript.segments[2]) == (TALK.segments[0], TALK.segments[2])
    assert texts(edit)[1] == "Order!"
    assert edit.change is Change.REPLACED


def test_an_editor_that_moves_words_between_segments_keeps_their_times() -> None:
    saved = [Draft(0.0, 0.8, "good morning", ANN), Draft(0.8, 2.8, "mister speaker order order", BOB), drafts(TALK)[2]]
    first, second, _ = editing.rewrite(TALK, saved).transcript.segments
    starts = [word.start_seconds for word in first.words + second.words]
    heard_at = [word.start_seconds for segment in TALK.segments[:2] for word in segment.words]
    assert starts == heard_at
    assert {word.speaker for word in second.words} == {BOB}


def test_a_segment_that_is_only_moved_is_still_the_engines() -> None:
    saved = drafts(TALK)
    saved[2] = replace(saved[2], end_seconds=6.0)
    assert editing.rewrite(TALK, saved).transcript.segments[2].confidence == 0.8


def test_a_segment_that_nobody_heard_has_no_engine_and_shares_its_time_among_its_words() -> None:
    saved = [*drafts(TALK), Draft(9.0, 10.0, "the end", None)]
    added = editing.rewrite(TALK, saved).transcript.segments[3]
    assert (added.engine, added.confidence) == (None, None)
    assert (added.words[0].start_seconds, added.words[-1].end_seconds) == (9.0, 10.0)


def test_drafts_without_text_and_segments_that_are_not_saved_are_left_out() -> None:
    first, second, _ = drafts(TALK)
    assert texts(editing.rewrite(TALK, [first, replace(second, text=" ")])) == ["good morning mister speaker"]


def test_a_transcript_without_times_of_words_stays_without() -> None:
    transcript = Transcript(language="en", segments=(said("no times"),))
    edit = editing.rewrite(transcript, [Draft(0.0, 1.5, "no words", None), Draft(2.0, 3.0, "at all", None)])
    assert [segment.words for segment in edit.transcript.segments] == [(), ()]


@pytest.mark.parametrize(
    "times", [[(2.0, 1.0)], [(2.0, 3.0), (1.0, 3.0)], [(-1.0, 1.0)], [(float("nan"), 1.0)]], ids=str
)
def test_times_out_of_order_are_refused(times: list[tuple[float, float]]) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        editing.rewrite(TALK, [Draft(start, end, "x", None) for start, end in times])
    assert refusal.value.failure.code == "times_out_of_order"


# ── What it says of itself ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("edit", "summary"),
    [
        (editing.amend(TALK, 0, text="good evening mister speaker"), "At 0:00:00: “morning” became “evening”."),
        (editing.amend(TALK, 0, text="good morning dear mister speaker"), "At 0:00:00: “dear” was put in."),
        (editing.amend(TALK, 1, text="order"), "At 0:00:02: “order” was taken out."),
        (editing.amend(TALK, 2, text=""), "At 0:00:04: “thank you for watching” was taken out."),
        (editing.amend(TALK, 2, text="x" * 100), f"At 0:00:04: “thank you for watching” became “{'x' * 60}…”."),
        (editing.amend(TALK, 1, speaker=ANN), "At 0:00:02: Ann speaks."),
        (editing.amend(TALK, 1, speaker=""), "At 0:00:02: nobody knows who speaks."),
        (editing.split(TALK, 0, word=2), "At 0:00:00: split before “mister speaker”."),
        (editing.merge(TALK, 1), "At 0:00:02: merged with “thank you for watching”."),
        (editing.rename_speaker(TALK, ANN, "Anna"), "Ann is called Anna."),
        (editing.rename_speaker(TALK, ANN, BOB), "Ann and Bob are the same speaker."),
        (editing.restore(Revised(TALK, 2), [], 2), "Back to revision 2."),
        (editing.restore(Revised(TALK, 0), [], 0), "Back to what the engine wrote."),
    ],
)
def test_each_edit_is_told_in_a_sentence(edit: Edit, summary: str) -> None:
    assert edit.summary == summary


# ── Every edit ───────────────────────────────────────────────────────────────────────────────────────────

any_text = st.lists(st.sampled_from(["good", "Good,", "abc", "dee", "日本", "語", "—", "x y", " "]), max_size=8).map(
    " ".join
)


@st.composite
def edits(draw: st.DrawFn, transcript: Transcript) -> Edit:
    """One that can be made to that transcript."""
    position = draw(st.integers(0, max(0, len(transcript.segments) - 1)))
    made: list[Callable[[], Edit]] = [
        lambda: editing.amend(transcript, position, text=draw(any_text)),
        lambda: editing.amend(transcript, position, speaker=draw(st.sampled_from(["", ANN, BOB]))),
        lambda: editing.split(transcript, position, character=draw(st.integers(1, 20))),
        lambda: editing.split(transcript, position, word=draw(st.integers(1, 9))),
        lambda: editing.merge(transcript, position),
        lambda: editing.rename_speaker(transcript, draw(st.sampled_from([ANN, BOB])), draw(st.sampled_from("AB"))),
        lambda: editing.rewrite(transcript, draw(rewritten(transcript))),
    ]
    try:
        return draw(st.sampled_from(made))()
    except (InvalidRequest, NotFound):
        return Edit(transcript, Change.TEXT, "")


@st.composite
def rewritten(draw: st.DrawFn, transcript: Transcript) -> list[Draft]:
    kept = [draft for draft in drafts(transcript) if draw(st.integers(0, 3))]
    changed = [replace(draft, text=draw(any_text)) if draw(st.booleans()) else draft for draft in kept]
    moved = [replace(draft, end_seconds=draft.end_seconds + draw(st.sampled_from([0, 0, 1.0]))) for draft in changed]
    return sorted(moved, key=lambda draft: draft.start_seconds)


@given(transcripts, st.data())
def test_every_state_of_a_transcript_can_be_shown_again(transcript: Transcript, data: st.DataObject) -> None:
    states, revisions = [transcript], list[Revision]()
    for number in range(1, data.draw(st.integers(1, 6)) + 1):
        edited = data.draw(edits(states[-1])).transcript
        revisions.append(revision(number, *difference(states[-1].segments, edited.segments)))
        states.append(edited)
    last = Revised(states[-1], len(revisions))
    assert [at_revision(last, revisions, number) for number in range(len(states))] == states


@given(transcripts, st.data())
def test_after_an_edit_words_are_still_their_segments_text_inside_its_time(
    transcript: Transcript, data: st.DataObject
) -> None:
    edited = data.draw(edits(transcript)).transcript
    for segment in edited.segments:
        assert segment.start_seconds <= segment.end_seconds
        if segment.words:
            assert "".join(normalised(word.text) for word in segment.words) == "".join(segment.text.split())
            edges = [edge for word in segment.words for edge in (word.start_seconds, word.end_seconds)]
            assert all(a <= b for a, b in pairwise([segment.start_seconds, *edges, segment.end_seconds]))


@given(transcripts, st.data())
def test_a_segment_has_times_of_words_after_its_text_was_corrected_if_it_had_before(
    transcript: Transcript, data: st.DataObject
) -> None:
    assume(transcript.segments)
    position = data.draw(st.integers(0, len(transcript.segments) - 1))
    edited = editing.amend(transcript, position, text="quite another text").transcript.segments[position]
    assert len(edited.words) == (3 if transcript.segments[position].words else 0)


@given(st.lists(st.sampled_from(["a", "b", "Bee,", "c.", "dd"]), min_size=1, max_size=20), st.data())
def test_words_that_are_left_are_as_they_were_to_the_last_digit(said_: list[str], data: st.DataObject) -> None:
    segment = heard(" ".join(said_))
    kept = [text for text in said_ if data.draw(st.booleans())]
    edited = editing.amend(Transcript(language="en", segments=(segment,)), 0, text=" ".join(kept)).transcript
    words = [word for each in edited.segments for word in each.words]
    assert [word.text for word in words] == kept
    assert set(words) <= set(segment.words)


@given(st.integers(2, 12), st.data())
def test_a_new_word_touches_its_neighbours_at_most(count: int, data: st.DataObject) -> None:
    segment = heard(" ".join(f"word{number}" for number in range(count)))
    at = data.draw(st.integers(0, count))
    written = segment.text.split()
    written.insert(at, "brandnew")
    words = editing.amend(Transcript(language="en", segments=(segment,)), 0, text=" ".join(written)).transcript
    (edited,) = words.segments
    assert edited.words[: max(0, at - 1)] == segment.words[: max(0, at - 1)]
    assert edited.words[at + 2 :] == segment.words[at + 1 :]


@given(transcripts, transcripts)
def test_a_difference_undone_is_the_state_before(before: Transcript, after: Transcript) -> None:
    hunks = difference(before.segments, after.segments)
    assert undone(after, hunks).segments == before.segments
    assert all(hunk.removed != hunk.inserted for hunk in hunks)
    assert all(hunk.at + len(hunk.removed) <= following.at for hunk, following in pairwise(hunks))


@given(transcripts)
def test_a_transcript_does_not_differ_from_itself(transcript: Transcript) -> None:
    assert difference(transcript.segments, replace(transcript).segments) == ()


def test_segments_alike_but_for_their_words_differ() -> None:
    other = replace(TALK.segments[1], words=())
    assert difference(TALK.segments, (TALK.segments[0], other, TALK.segments[2])) == (
        Hunk(1, (TALK.segments[1],), (other,)),
    )
