"""Captions: within the rules, with every word, and as readers that others wrote read them."""

import io
import re
from dataclasses import replace
from itertools import pairwise

import av
import pytest
import srt
import webvtt
from hypothesis import assume, given
from hypothesis import strategies as st

from hansard.domain.errors import InvalidRequest
from hansard.domain.transcript import Word
from hansard.formats import Options, write
from hansard.formats.cues import LONGEST_PAUSE_MS, Cue, fitted
from hansard.formats.options import CaptionRules
from hansard.formats.units import width
from tests.unit.transcripts import conversations, document, documents, said, timed

WHOLE = Options(fit=False)

SPEECH = timed(
    "Good morning, ladies and gentlemen, and welcome to the annual general meeting of the harbour committee.",
    seconds_each=0.3,
)

rules = st.builds(
    CaptionRules,
    max_line_characters=st.integers(8, 60),
    max_lines=st.integers(1, 4),
    max_characters_per_second=st.sampled_from([4.0, 17.0]),
    min_cue_seconds=st.sampled_from([0.0, 5 / 6, 2.0]),
    max_cue_seconds=st.sampled_from([2.0, 7.0]),
    min_gap_seconds=st.sampled_from([0.0, 2 / 24, 0.5]),
)


def texts(cues: list[Cue]) -> list[str]:
    return ["\n".join(line.text for line in cue.lines) for cue in cues]


def cut(*segments, language="en", **changes) -> list[str]:
    made = document(*segments, language=language).transcript
    return texts(fitted(made, replace(CaptionRules(), **changes), labels=False))


# ── Where the text is cut ────────────────────────────────────────────────────────────────────────────────


def test_what_fits_on_a_line_is_one():
    assert cut(timed("Let's begin, shall we?")) == ["Let's begin, shall we?"]


def test_a_long_segment_is_cut_at_punctuation_into_balanced_lines():
    assert cut(SPEECH) == [
        "Good morning, ladies and gentlemen,",
        "and welcome to the annual general\nmeeting of the harbour committee.",
    ]


def test_a_cue_ends_with_a_sentence_rather_than_amid_the_next():
    assert cut(timed("We have heard the minister. Nobody believes a word of what he has just told us here.")) == [
        "We have heard the minister.",
        "Nobody believes a word of\nwhat he has just told us here.",
    ]


def test_short_sentences_share_a_cue():
    assert cut(timed("Yes. No. Perhaps.")) == ["Yes. No. Perhaps."]


def test_a_sentence_that_goes_on_in_the_next_segment_is_one_cue():
    assert cut(timed("We shall meet"), timed("again tomorrow.", 1.2)) == ["We shall meet again tomorrow."]


def test_a_long_pause_ends_a_cue():
    assert cut(timed("One"), timed("two", 0.4 + LONGEST_PAUSE_MS / 1000 + 0.1)) == ["One", "two"]


def test_no_cue_has_two_speakers():
    assert cut(timed("Aye!", speaker="A"), timed("No!", 0.4, speaker="B")) == ["Aye!", "No!"]


def test_speakers_are_told_apart_within_a_segment_too():
    words = (Word("Aye!", 0, 0.4, speaker="A"), Word("No!", 0.4, 0.8, speaker="B"))
    assert cut(said("Aye! No!", words=words)) == ["Aye!", "No!"]


def test_a_word_that_the_engine_gave_in_pieces_is_not_divided():
    words = (Word("well", 0, 0.4), Word("-known", 0.4, 0.8), Word("fact", 0.8, 1.2))
    assert cut(said("well-known fact", words=words), max_line_characters=8) == ["well-known\nfact"]


def test_punctuation_that_the_words_lack_is_kept():
    words = (Word("he", 0, 0.4), Word("said", 0.4, 0.8), Word("no", 0.8, 1.2))
    assert cut(said('He said: "No!"', words=words)) == ['He said: "No!"']
    assert cut(said('he said: "no!"', words=words), max_line_characters=8) == ['he said:\n"no!"']


@pytest.mark.parametrize("words", [(Word("something", 0, 1), Word("else", 1, 2)), (Word("Order!", 0, 0),)])
def test_words_that_are_not_those_of_the_text_or_have_no_times_are_left_aside(words):
    assert cut(said("Order!", words=words)) == ["Order!"]


def test_chinese_is_cut_without_spaces_and_no_line_begins_with_punctuation():
    captions = cut(
        said("今天的会议讨论三个问题，预算、新的起重机和海鸥。请大家坐下。", 0, 10),
        language="zh",
        max_line_characters=10,
    )
    assert "".join(captions).replace("\n", "") == "今天的会议讨论三个问题，预算、新的起重机和海鸥。请大家坐下。"
    assert not re.search("^[，、。]", "\n".join(captions), re.MULTILINE)


def test_thai_vowels_stay_with_their_consonants():
    lines = "\n".join(cut(said("สวัสดีครับเราจะเริ่มการประชุมเกี่ยวกับน้ำ", 0, 10), language="th", max_line_characters=8)).split(
        "\n"
    )
    assert not any(re.match("[\u0e30-\u0e3a\u0e45-\u0e4e]", line) for line in lines)
    assert not any(re.search("[\u0e40-\u0e44]$", line) for line in lines)


@pytest.mark.parametrize(
    ("text", "longest"),
    [
        ("word " * 40, 42),
        ("日本語のテキストです。" * 10, 13),
        ("这是中文文本。" * 20, 16),
        ("한국어 문장 입니다 " * 20, 16),
        ("ภาษาไทย " * 30, 35),
    ],
)
def test_lines_are_as_long_as_the_script_allows(text, longest):
    captions = write(document(said(text, 0, 20), language=None), "srt").decode()
    widest = max(width(line) for line in captions.splitlines() if "-->" not in line)
    assert longest / 2 < widest <= longest


def test_rules_that_are_given_take_the_place_of_the_usual():
    options = Options(max_line_characters=110, max_lines=1, max_cue_seconds=20)
    assert SPEECH.text in write(document(SPEECH), "srt", options).decode()


# ── When it is shown ─────────────────────────────────────────────────────────────────────────────────────


def shown(*segments, **changes) -> list[tuple[int, int]]:
    cues = fitted(document(*segments).transcript, replace(CaptionRules(), **changes), labels=False)
    return [(cue.start_ms, cue.end_ms) for cue in cues]


def test_a_short_word_stays_long_enough_to_be_read():
    assert shown(said("Oh.", 2, 2.1)) == [(2000, 2833)]


def test_a_fast_sentence_stays_until_it_can_be_read_where_there_is_room():
    assert shown(said("x" * 34, 0, 1)) == [(0, 2000)]


def test_no_cue_stays_long_after_the_last_word():
    assert shown(said("x" * 40, 0, 0.1), max_characters_per_second=1) == [(0, 100 + LONGEST_PAUSE_MS)]


def test_between_two_cues_the_screen_is_empty_for_a_moment():
    assert shown(timed("Aye!", speaker="A", seconds_each=2.0), timed("No!", 2.0, 2.0, speaker="B")) == [
        (0, 1917),
        (2000, 4000),
    ]


def test_people_who_talk_at_once_are_shown_at_once():
    assert shown(said("Order!", 0, 4, speaker="A"), said("Shame!", 1, 3, speaker="B")) == [(0, 4000), (1000, 3000)]


def test_one_person_is_never_shown_twice_at_once():
    first, second = shown(said("x " * 40, 0, 4), said("y " * 40, 3, 7))
    assert first[1] < second[0]


def test_who_is_interrupted_is_shown_no_longer_than_he_talks():
    assert shown(said("x" * 40, 0, 1, speaker="A"), said("No!", 0.9, 4, speaker="B"))[0] == (0, 1000)


# ── Whatever is said ─────────────────────────────────────────────────────────────────────────────────────


@given(conversations(), rules)
def test_every_cue_is_within_the_rules(made, rule):
    for cue in fitted(made.transcript, rule, labels=False):
        assert 1 <= len(cue.lines) <= rule.max_lines
        for line in cue.lines:
            assert width(line.text) <= rule.max_line_characters or len(line.units) == 1
        assert cue.start_ms < cue.end_ms <= cue.start_ms + 1000 * rule.max_cue_seconds


@given(conversations(), rules, st.booleans())
def test_cues_come_one_after_another_with_a_gap(made, rule, labels):
    cues = fitted(made.transcript, rule, labels=labels)
    for before, after in pairwise(cues):
        gap_ms = min(round(1000 * rule.min_gap_seconds), (after.start_ms - before.start_ms) // 2)
        assert before.end_ms + gap_ms <= after.start_ms


@given(conversations(), rules)
def test_every_character_is_in_one_cue_in_order(made, rule):
    cues = fitted(made.transcript, rule, labels=False)
    told = "".join("".join(texts(cues)).split())
    assert told == "".join("".join(segment.text for segment in made.transcript.segments).split())


@given(conversations(language="en"), rules)
def test_words_of_a_spaced_script_stay_apart(made, rule):
    cues = fitted(made.transcript, rule, labels=False)
    assert " ".join(" ".join(texts(cues)).split()) == " ".join(
        " ".join(segment.text for segment in made.transcript.segments).split()
    )


@given(documents, st.sampled_from(["srt", "vtt"]), st.sampled_from([Options(), WHOLE]))
def test_cues_begin_in_order_and_end_after_they_begin(made, format, options):
    times = re.findall(r"^(\d\S+) --> (\S+)$", write(made, format, options).decode(), flags=re.MULTILINE)
    cues = [(milliseconds(start), milliseconds(end)) for start, end in times]
    assert all(start < end for start, end in cues)
    assert all(before[0] <= after[0] for before, after in pairwise(cues))


def milliseconds(time: str) -> int:
    hours, minutes, seconds, fraction = map(int, re.split(r"[:.,]", time))
    assert minutes < 60
    assert seconds < 60
    return ((hours * 60 + minutes) * 60 + seconds) * 1000 + fraction


# ── The files ────────────────────────────────────────────────────────────────────────────────────────────

DEBATE = document(
    said("Order, order!", 0.0, 1.25, speaker="A"),
    said("", 1.25, 2.0),
    said("R&D <is> fine --> really.", 3599.9996, 3661.5),
)


def test_srt_reads_as_players_expect():
    assert write(DEBATE, "srt", WHOLE).decode() == (
        "1\n00:00:00,000 --> 00:00:01,250\nA: Order, order!\n\n"
        "2\n01:00:00,000 --> 01:01:01,500\nR&D <is> fine → really.\n\n"
    )


def test_vtt_reads_as_the_standard_says():
    assert write(DEBATE, "vtt", WHOLE).decode() == (
        "WEBVTT\n"
        "\n00:00:00.000 --> 00:00:01.250\n<v A>Order, order!\n"
        "\n01:00:00.000 --> 01:01:01.500\nR&amp;D &lt;is&gt; fine --&gt; really.\n"
    )


@pytest.mark.parametrize(("format", "name"), [("srt", "A:"), ("vtt", "<v A>")])
def test_speakers_can_be_left_out(format, name):
    assert name not in write(DEBATE, format, Options(speakers=False)).decode()
    assert name in write(DEBATE, format, Options(speakers=True)).decode()


def test_a_speakers_name_counts_as_part_of_the_line():
    made = document(timed("Order, order!", speaker="The Speaker"))
    assert "The Speaker:\nOrder, order!" in write(made, "srt", Options(max_line_characters=20)).decode()
    assert "The Speaker: Order, order!" in write(made, "srt", Options(max_line_characters=26)).decode()


def test_a_day_long_recording_counts_its_hours_on():
    captions = write(document(said("Still here.", 360_000, 360_001)), "srt").decode()
    assert "100:00:00,000 --> 100:00:01,000" in captions


def test_a_segment_of_no_length_still_shows():
    assert "00:00:02,000 --> 00:00:02,001" in write(document(said("Oh.", 2, 2)), "srt", WHOLE).decode()


@pytest.mark.parametrize(("format", "empty"), [("srt", b""), ("vtt", b"WEBVTT\n")])
def test_a_record_without_words_has_no_cues(format, empty):
    assert write(document(said(" ")), format) == empty


def test_karaoke_marks_each_word_but_the_first_with_its_time():
    captions = write(document(timed("R&D is fine.", 1.0, 0.5)), "vtt", Options(words=True)).decode()
    assert "\nR&amp;D <00:00:01.500>is <00:00:02.000>fine.\n" in captions


@given(conversations(with_word_times=True))
def test_karaoke_times_lie_within_their_cue_and_only_go_forward(made):
    assume(any(word.end_seconds > word.start_seconds for each in made.transcript.segments for word in each.words))
    captions = write(made, "vtt", Options(words=True)).decode()
    for start, end, text in re.findall(r"^(\d\S+) --> (\S+)\n((?:.+\n)+)", captions, flags=re.MULTILINE):
        stamps = [milliseconds(time) for time in (start, *re.findall(r"<(\d[\d:.]+)>", text), end)]
        assert all(before < after for before, after in pairwise(stamps))


def test_times_that_nobody_measured_are_not_made_up():
    with pytest.raises(InvalidRequest) as refusal:
        write(document(said("Order!")), "vtt", Options(words=True))
    assert refusal.value.failure.code == "no_word_times"


def test_karaoke_marks_only_what_was_measured():
    captions = write(document(timed("One two"), said("three four", 5, 6)), "vtt", Options(words=True)).decode()
    assert "One <00:00:00.400>two" in captions
    assert "three four" in captions


# ── As others read them ──────────────────────────────────────────────────────────────────────────────────


def expected(made, *, labels):
    return fitted(made.transcript, CaptionRules.of(Options(), made.transcript.text), labels=labels)


@given(conversations())
def test_the_srt_library_reads_every_cue(made):
    read = list(srt.parse(write(made, "srt").decode()))

    assert [(round(cue.start.total_seconds() * 1000), round(cue.end.total_seconds() * 1000)) for cue in read] == [
        (cue.start_ms, cue.end_ms) for cue in expected(made, labels=True)
    ]
    assert [cue.content for cue in read] == texts(expected(made, labels=True))


@given(conversations())
def test_webvtt_py_reads_every_cue_with_its_voice(made):
    read = webvtt.from_string(write(made, "vtt").decode())

    cues = expected(made, labels=False)
    assert [(milliseconds(cue.start), milliseconds(cue.end)) for cue in read] == [
        (cue.start_ms, cue.end_ms) for cue in cues
    ]
    assert [cue.voice for cue in read] == [None if cue.speaker is None else escaped(cue.speaker) for cue in cues]
    assert [cue.text for cue in read] == [escaped(text) for text in texts(cues)]


def escaped(text: str) -> str:
    """webvtt-py takes tags away and leaves character references as they are."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def packets(content: bytes, demuxer: str) -> list[tuple[int, int, str]]:
    with av.open(io.BytesIO(content), format=demuxer) as container:
        return [
            (packet.pts, packet.pts + packet.duration, bytes(packet).decode())
            for packet in container.demux()
            if packet.size
        ]


@given(conversations().filter(lambda made: made.transcript.text.strip()), st.sampled_from(["srt", "webvtt"]))
def test_ffmpeg_reads_every_cue(made, demuxer):
    read = packets(write(made, "vtt" if demuxer == "webvtt" else "srt"), demuxer)

    cues = expected(made, labels=demuxer == "srt")
    assert [packet[:2] for packet in read] == [(cue.start_ms, cue.end_ms) for cue in cues]
    if demuxer == "srt":
        assert [packet[2] for packet in read] == texts(cues)
