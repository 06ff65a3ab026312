"""A transcript as a file. What players and programs read back must be what was said."""

import json
import re
from html import unescape
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansard.domain.errors import InvalidRequest
from hansard.domain.transcript import Segment, Transcript, Word
from hansard.formats import FORMATS, write

SRT_CUE = re.compile(r"(\d+)\n(\d\d+:\d\d:\d\d,\d{3}) --> (\d\d+:\d\d:\d\d,\d{3})\n(.+)")
VTT_CUE = re.compile(r"(\d\d+:\d\d:\d\d\.\d{3}) --> (\d\d+:\d\d:\d\d\.\d{3})\n(?:<v ([^<>]+)>)?([^<>]+)")


def said(text: str, start: float = 0.0, end: float = 1.5, **more) -> Segment:
    return Segment(start_seconds=start, end_seconds=end, text=text, **more)


def record(*segments: Segment, language: str | None = "en") -> Transcript:
    return Transcript(language=language, segments=segments)


def milliseconds(time: str) -> int:
    hours, minutes, seconds, fraction = map(int, re.split(r"[:.,]", time))
    assert minutes < 60
    assert seconds < 60
    return ((hours * 60 + minutes) * 60 + seconds) * 1000 + fraction


def one_line(text: str) -> str:
    return " ".join(text.split())


def spoken(transcript: Transcript) -> list[Segment]:
    """What has text, in order of the cues' whole milliseconds."""
    heard = [segment for segment in transcript.segments if segment.text.strip()]
    return sorted(heard, key=lambda segment: round(segment.start_seconds * 1000))


awkward_text = st.text(
    alphabet=st.one_of(st.sampled_from("ab -->\n\r\t&<>:0,.\u2028é日"), st.characters(codec="utf-8")), max_size=30
)
segments = st.builds(
    lambda start, length, text, speaker: said(text, start, start + length, speaker=speaker),
    start=st.floats(0, 400_000),
    length=st.floats(0, 5000),
    text=awkward_text,
    speaker=st.sampled_from([None, "A", "Ann <Chair>"]),
)
records = st.lists(segments, max_size=6).map(lambda found: record(*found))

DEBATE = record(
    said("Order, order!", 0.0, 1.25, speaker="A"),
    said("", 1.25, 2.0),
    said("R&D <is> fine --> really.", 3599.9996, 3661.5),
)


def test_txt_is_a_line_a_segment() -> None:
    assert write(DEBATE, "txt") == "A: Order, order!\nR&D <is> fine --> really.\n"


def test_srt_reads_as_players_expect() -> None:
    assert write(DEBATE, "srt") == (
        "1\n00:00:00,000 --> 00:00:01,250\nA: Order, order!\n\n"
        "2\n01:00:00,000 --> 01:01:01,500\nR&D <is> fine → really.\n\n"
    )


def test_vtt_reads_as_the_standard_says() -> None:
    assert write(DEBATE, "vtt") == (
        "WEBVTT\n"
        "\n00:00:00.000 --> 00:00:01.250\n<v A>Order, order!\n"
        "\n01:00:00.000 --> 01:01:01.500\nR&amp;D &lt;is&gt; fine --&gt; really.\n"
    )


def test_json_holds_all_that_is_known() -> None:
    segment = said(
        "Hi.",
        0.1,
        0.5004,
        words=(Word("Hi.", 0.1, 0.5, 0.91239),),
        confidence=0.87654,
        speaker="A",
        engine="whisper",
    )
    assert json.loads(write(record(segment), "json")) == {
        "version": 1,
        "language": "en",
        "text": "Hi.",
        "segments": [
            {
                "start_seconds": 0.1,
                "end_seconds": 0.5,
                "text": "Hi.",
                "confidence": 0.877,
                "speaker": "A",
                "engine": "whisper",
                "words": [{"text": "Hi.", "start_seconds": 0.1, "end_seconds": 0.5, "probability": 0.912}],
            }
        ],
    }


def test_json_says_null_where_nothing_is_known() -> None:
    (segment,) = json.loads(write(record(said("Hi."), language=None), "json"))["segments"]
    assert (segment["confidence"], segment["speaker"], segment["words"]) == (None, None, [])


def test_json_keeps_every_script_legible() -> None:
    assert "日本" in write(record(said("日本")), "json")


def test_a_day_long_recording_counts_its_hours_on() -> None:
    assert "100:00:00,000 --> 100:00:01,000" in write(record(said("Still here.", 360_000, 360_001)), "srt")


def test_a_segment_of_no_length_still_shows() -> None:
    assert "00:00:02,000 --> 00:00:02,001" in write(record(said("Oh.", 2, 2)), "srt")


@pytest.mark.parametrize(("format", "empty"), [("txt", ""), ("srt", ""), ("vtt", "WEBVTT\n")])
def test_a_record_without_words_has_no_cues(format: str, empty: str) -> None:
    assert write(record(said(" ")), format) == empty


def test_an_unknown_format_is_refused_with_the_names_of_the_known() -> None:
    with pytest.raises(InvalidRequest) as refusal:
        write(DEBATE, "doc")
    assert refusal.value.failure.help == "Use one of: txt, srt, vtt, json."


@pytest.mark.parametrize(
    ("format", "media_type"),
    [("txt", "text/plain"), ("srt", "application/x-subrip"), ("vtt", "text/vtt"), ("json", "application/json")],
)
def test_each_format_has_its_media_type(format: str, media_type: str) -> None:
    assert FORMATS[format].media_type == media_type


@given(records)
def test_srt_read_back_is_what_was_said(transcript: Transcript) -> None:
    blocks = write(transcript, "srt").split("\n\n")[:-1]
    for number, (block, segment) in enumerate(zip(blocks, spoken(transcript), strict=True), start=1):
        cue = SRT_CUE.fullmatch(block)
        assert cue is not None
        text = one_line(segment.text).replace("-->", "→")
        assert (int(cue[1]), cue[4]) == (number, f"{segment.speaker}: {text}" if segment.speaker else text)


@given(records)
def test_vtt_read_back_is_what_was_said(transcript: Transcript) -> None:
    header, *blocks = write(transcript, "vtt").removesuffix("\n").split("\n\n")
    assert header == "WEBVTT"
    for block, segment in zip(blocks, spoken(transcript), strict=True):
        cue = VTT_CUE.fullmatch(block)
        assert cue is not None
        assert cue[3] is None if segment.speaker is None else unescape(cue[3]) == segment.speaker
        assert unescape(cue[4]) == one_line(segment.text)


@given(records, st.sampled_from(["srt", "vtt"]))
def test_cues_begin_in_order_and_end_after_they_begin(transcript: Transcript, format: str) -> None:
    times = re.findall(r"^(\d\S+) --> (\S+)$", write(transcript, format), flags=re.MULTILINE)
    cues = [(milliseconds(start), milliseconds(end)) for start, end in times]
    assert all(start < end for start, end in cues)
    assert all(before[0] <= after[0] for before, after in pairwise(cues))


@given(records)
def test_json_read_back_is_what_was_said(transcript: Transcript) -> None:
    document = json.loads(write(transcript, "json"))
    assert document["text"] == transcript.text
    assert [segment["text"] for segment in document["segments"]] == [s.text for s in transcript.segments]
