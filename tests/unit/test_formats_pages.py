"""Transcripts to read and to tabulate, as readers that others wrote read them."""

import csv
import io
import re
import warnings
from dataclasses import replace
from datetime import UTC, datetime

import docx
import pytest
from docx.oxml.ns import qn
from hypothesis import given, settings
from markdown_it import MarkdownIt

from hansard.domain.errors import InvalidRequest
from hansard.domain.speech import Span
from hansard.domain.transcript import Word
from hansard.formats import Document, Options, write
from hansard.formats.tables import COLUMNS
from tests.unit.transcripts import document, documents, said, timed

DEBATE = document(
    timed("Order, order!", 0.0, speaker="Ann <Chair>"),
    timed("R&D *is* fine.", 65.5, speaker="Bob"),
    timed("We shall see.", 66.7, speaker="Bob"),
)

KNOWN = replace(
    DEBATE,
    file_name="harbour_committee.mp3",
    transcribed_at=datetime(2026, 11, 23, tzinfo=UTC),
    audio_seconds=3725.9,
    engine="whisper",
    model="small",
    translated=True,
    corrections=2,
    partial=True,
    degraded_reasons=("It was recognised by the offline engine.",),
    gaps=(Span(10.0, 20.5), Span(30.0, 40.0)),
)

TOLD = [
    "Transcribed: 2026-11-23",
    "Length: 01:02:05",
    "Language: English",
    "Translated: into English",
    "Engine: whisper, small",
    "Corrected by people: 2 times",
    "This is not the whole recording: its transcription ended early.",
    "This is a second-best record: It was recognised by the offline engine.",
    "Speech without text: 00:00:10 to 00:00:20, 00:00:30 to 00:00:40",
]


def one_line(text: str) -> str:
    return " ".join(text.split())


def words_of(made: Document) -> list[str]:
    return [word for segment in made.transcript.segments for word in segment.text.split()]


# ── Plain text ───────────────────────────────────────────────────────────────────────────────────────────


def test_txt_is_a_line_a_paragraph_with_an_empty_line_between():
    assert write(DEBATE, "txt").decode() == "Ann <Chair>: Order, order!\n\nBob: R&D *is* fine. We shall see.\n"


def test_txt_can_have_times_and_do_without_speakers():
    text = write(DEBATE, "txt", Options(times=True, speakers=False)).decode()
    assert text == "[00:00:00] Order, order!\n\n[00:01:05] R&D *is* fine. We shall see.\n"


def test_txt_is_nothing_but_what_was_said():
    assert write(KNOWN, "txt") == write(DEBATE, "txt")


# ── Markdown ─────────────────────────────────────────────────────────────────────────────────────────────


def blocks(markdown: bytes) -> list[str]:
    """The text of each block, as a reader of CommonMark sees it; what is not text would be missing."""
    tokens = MarkdownIt().parse(markdown.decode())
    inline = [token for token in tokens if token.type == "inline"]
    return ["".join(child.content for child in token.children) for token in inline]


def test_md_tells_what_is_known_and_what_is_lacking():
    assert blocks(write(KNOWN, "md"))[:-2] == ["harbour_committee.mp3", *TOLD]


def test_md_has_a_paragraph_for_each_with_its_speaker_and_time():
    assert write(DEBATE, "md").decode().split("\n\n")[2:] == [
        "**Ann \\<Chair\\>** (00:00:00): Order, order!",
        "**Bob** (00:01:05): R&D \\*is\\* fine. We shall see.\n".replace("&", "\\&"),
    ]


def test_md_can_do_without_times_and_speakers():
    assert blocks(write(DEBATE, "md", Options(times=False, speakers=False)))[2:] == [
        "Order, order!",
        "R&D *is* fine. We shall see.",
    ]


@pytest.mark.parametrize("text", ["# one", "- two", "+ two", "1. three", "2) four", "> five", "===", "---", "[a]: b"])
def test_what_looks_like_markdown_is_text(text):
    made = document(said(text), language=None)
    assert blocks(write(made, "md", Options(times=False))) == ["talk.wav", text]


@given(documents)
def test_md_read_back_has_every_word(made):
    read = " ".join(blocks(write(made, "md", Options(times=False, speakers=False)))[1:])
    without_facts = read.removeprefix("Language: English")
    assert visible("".join(without_facts.split())) == visible("".join(words_of(made)))


def visible(text: str) -> str:
    """CommonMark replaces NUL."""
    return text.replace("\0", "\ufffd")


# ── Word ─────────────────────────────────────────────────────────────────────────────────────────────────


def opened(made: Document, options: Options = Options()):  # noqa: B008 - frozen
    return docx.Document(io.BytesIO(write(made, "docx", options)))


def test_docx_tells_what_is_known_and_what_is_lacking():
    read = [paragraph.text for paragraph in opened(KNOWN).paragraphs]
    assert read == [
        "harbour_committee.mp3",
        *TOLD,
        "",
        "00:00:00  Ann <Chair>: Order, order!",
        "00:01:05  Bob: R&D *is* fine. We shall see.",
    ]


def test_docx_can_do_without_times_and_speakers():
    read = [paragraph.text for paragraph in opened(DEBATE, Options(times=False, speakers=False)).paragraphs]
    assert read[-2:] == ["Order, order!", "R&D *is* fine. We shall see."]


def test_docx_is_described_for_the_word_processor():
    properties = opened(KNOWN).core_properties
    assert (properties.title, properties.author, properties.language) == ("harbour_committee.mp3", "Hansard", "en")
    assert properties.created == datetime(2026, 11, 23, tzinfo=properties.created.tzinfo)


def test_docx_is_spelt_in_the_language_that_was_spoken():
    read = opened(document(said("Grüezi."), language="de"))
    assert {each.get(qn("w:val")) for each in read.styles.element.iter(qn("w:lang"))} == {"de"}


def test_docx_writes_arabic_from_right_to_left():
    read = opened(document(said("مرحبا"), language="ar"))
    assert read.paragraphs[-1]._p.pPr.find(qn("w:bidi")) is not None
    assert read.paragraphs[-1].runs[-1].font.rtl


@settings(max_examples=30)  # each takes a while
@given(documents)
def test_docx_read_back_has_every_word(made):
    read = opened(made, Options(times=False, speakers=False)).paragraphs
    said_there = "".join("".join(paragraph.text.split()) for paragraph in read[1:])
    expected = "".join(words_of(made))
    # XML knows no control characters.
    assert said_there.removeprefix("Language:English") == re.sub("[\x00-\x08\x0e-\x1f\ufffe\uffff]", "\ufffd", expected)


# ── Tables ───────────────────────────────────────────────────────────────────────────────────────────────


def rows(content: bytes, **dialect) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode(), newline=""), strict=True, **dialect))


def test_csv_is_as_rfc_4180_has_it():
    assert write(document(said('He said "no", twice.', 1, 2.5, speaker="Ann")), "csv") == (
        b'start_seconds,end_seconds,speaker,text\r\n1.000,2.500,Ann,"He said ""no"", twice."\r\n'
    )


def test_tsv_has_the_same_rows():
    assert rows(write(DEBATE, "tsv"), delimiter="\t", quoting=csv.QUOTE_NONE) == rows(write(DEBATE, "csv"))


def unguarded(cell: str) -> str:
    """As the docstring of `write_csv` says."""
    return cell[1:] if re.match(r"'+[=+\-@＝＋－＠]", cell) else cell


@given(documents)
def test_csv_read_back_is_what_was_said(made):
    head, *read = rows(write(made, "csv"))

    heard = [segment for segment in made.transcript.segments if segment.text.strip()]
    assert head == list(COLUMNS)
    assert [unguarded(row[3]) for row in read] == [one_line(segment.text) for segment in heard]
    assert [unguarded(row[2]) for row in read] == [segment.speaker or "" for segment in heard]


@given(documents)
def test_no_cell_is_a_formula(made):
    for row in rows(write(made, "csv"))[1:] + [line.split("\t") for line in write(made, "tsv").decode().split("\n")]:
        assert not any(cell.startswith(tuple("=+-@\t\r＝＋－＠")) for cell in row)


@given(documents)
def test_tsv_has_a_line_a_segment_and_a_tab_between_cells(made):
    lines = write(made, "tsv").decode().removesuffix("\n").split("\n")
    assert {line.count("\t") for line in lines} == {3}
    assert len(lines) == 1 + sum(1 for segment in made.transcript.segments if segment.text.strip())


# ── Who spoke when ───────────────────────────────────────────────────────────────────────────────────────


def test_rttm_is_a_line_a_turn():
    assert write(replace(DEBATE, file_name="my talk.wav"), "rttm").decode() == (
        "SPEAKER my_talk 1 0.000 0.800 <NA> <NA> Ann_<Chair> <NA> <NA>\n"
        "SPEAKER my_talk 1 65.500 2.400 <NA> <NA> Bob <NA> <NA>\n"
    )


def test_rttm_tells_speakers_within_a_segment_apart():
    words = (Word("Aye!", 0, 0.4, speaker="A"), Word("No!", 0.4, 0.8, speaker="B"))
    turns = write(document(said("Aye! No!", words=words)), "rttm").decode().splitlines()
    assert [turn.split()[7] for turn in turns] == ["A", "B"]


def test_rttm_names_nobody_where_nobody_is_known():
    turns = write(document(said("Aye!", speaker="A"), said("Shame!", 2, 3)), "rttm").decode().splitlines()
    assert turns[1] == "NOSCORE talk 1 2.000 1.000 <NA> <NA> <NA> <NA> <NA>"


def test_rttm_of_a_transcript_without_speakers_is_refused():
    with pytest.raises(InvalidRequest) as refusal:
        write(document(said("Aye!")), "rttm")
    assert refusal.value.failure.code == "no_speakers"
    assert "diarize" in refusal.value.failure.help


def test_pyannote_reads_the_turns(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about its own dependencies
        from pyannote.database.util import load_rttm
    file = tmp_path / "talk.rttm"
    file.write_bytes(write(DEBATE, "rttm"))

    (read,) = load_rttm(str(file)).values()

    assert [
        (round(turn.start, 3), round(turn.end, 3), name) for turn, _, name in read.itertracks(yield_label=True)
    ] == [
        (0.0, 0.8, "Ann_<Chair>"),
        (65.5, 67.9, "Bob"),
    ]
