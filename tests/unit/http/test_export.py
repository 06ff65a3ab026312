"""A transcript is exported as a file: in each format, as the parameters say, and telling what it lacks."""

import io
import json
import zipfile
from uuid import UUID

import docx
import pytest

from hansard.domain.transcript import Segment, Transcript, Word
from hansard.formats import FORMATS
from tests.unit.http.api import submit

MADE_OF = Transcript(
    language="en",
    segments=(
        Segment(
            start_seconds=0,
            end_seconds=2,
            text="Order, order!",
            words=(Word("Order,", 0, 1), Word("order!", 1, 2)),
            speaker="Ann",
        ),
        Segment(start_seconds=2.1, end_seconds=2.2, text="Shame!", speaker="Ann"),
    ),
)


@pytest.fixture
def export(client, container):
    """Ask for the transcript above in a format."""
    transcription = submit(client, engine="fake")
    container.transcribe(UUID(transcription["id"]))
    with container.unit_of_work() as uow:
        uow.transcripts.save(uow.transcriptions.get(UUID(transcription["id"])), MADE_OF)
        uow.commit()
    return lambda kind, **query: client.get(
        f"/transcriptions/{transcription['id']}/export", params={"format": kind, **query}
    )


@pytest.mark.parametrize("format", FORMATS)
def test_each_format_is_named_like_the_recording(export, format):
    answer = export(format)

    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(FORMATS[format].media_type)
    assert f'filename="talk.{format}"' in answer.headers["content-disposition"]


def test_text_is_told_to_be_utf_8(export):
    assert export("csv").headers["content-type"] == "text/csv; charset=utf-8"


def test_a_document_for_a_word_processor_opens(export):
    read = docx.Document(io.BytesIO(export("docx").content))

    assert read.paragraphs[0].text == "talk.wav"
    assert read.paragraphs[-1].text == "00:00:00  Ann: Order, order! Shame!"


def test_all_formats_come_in_one_archive(export):
    with zipfile.ZipFile(io.BytesIO(export("zip").content)) as archive:
        assert set(archive.namelist()) == {f"talk.{name}" for name in FORMATS if name != "zip"}


@pytest.mark.parametrize(
    ("format", "query", "found"),
    [
        ("txt", {"times": "true"}, "[00:00:00] Ann: Order, order!"),
        ("md", {"times": "false"}, "**Ann**: Order"),
        ("srt", {"speakers": "false"}, "\nOrder, order!"),
        ("vtt", {"words": "true"}, "<v Ann>Order, <00:00:01.000>order!"),
        ("srt", {"max_line_characters": "12", "speakers": "false"}, "Order,\norder!"),
        ("srt", {"max_line_characters": "8", "max_lines": "1", "speakers": "false"}, "\n2\n"),
        ("srt", {"fit": "false"}, "order!\n\n2\n00:00:02,100 --> 00:00:02,200\nAnn: Shame!"),
        ("srt", {"max_cue_seconds": "1", "speakers": "false"}, "00:00:00,000 --> 00:00:00,917\nOrder,"),
        ("srt", {"max_cue_seconds": "1", "min_gap_seconds": "0"}, "00:00:00,000 --> 00:00:01,000"),
        ("srt", {"min_cue_seconds": "3"}, "00:00:00,000 --> 00:00:03,000"),
        ("srt", {"max_characters_per_second": "8", "speakers": "false"}, "00:00:00,000 --> 00:00:02,500"),
    ],
)
def test_a_parameter_does_what_it_says(export, format, query, found):
    assert found in export(format, **query).text
    assert found not in export(format).text


@pytest.mark.parametrize(
    ("query", "code", "told"),
    [
        ({"format": "srt", "times": "true"}, "option_not_applicable", "The format srt has no use for `times`."),
        ({"format": "json", "fit": "true"}, "option_not_applicable", "The format json has no use for `fit`."),
        ({"format": "srt", "max_lines": "9"}, "invalid_request", "max_lines"),
        ({"format": "srt", "max_lines": "many"}, "invalid_request", "max_lines"),
        ({"format": "srt", "colour": "red"}, "invalid_request", "colour: is not a parameter here."),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(export, query, code, told):
    answer = export(query["format"], **query)

    assert answer.status_code == 422
    assert answer.json()["code"] == code
    assert told in answer.json()["detail"]


def test_json_tells_where_the_words_come_from(export):
    read = json.loads(export("json").text)

    assert read["recording"]["file_name"] == "talk.wav"
    assert read["engine"] == "fake"
    assert read["partial"] is False


def test_the_openapi_document_has_every_format_and_parameter(client):
    operation = client.get("/openapi.json").json()["paths"]["/transcriptions/{transcription_id}/export"]["get"]

    assert operation["responses"]["200"]["content"].keys() == {each.media_type for each in FORMATS.values()}
    parameters = {each["name"]: each for each in operation["parameters"]}
    assert parameters["format"]["schema"]["enum"] == list(FORMATS)
    assert parameters.keys() >= FORMATS["zip"].options
    assert all(each["description"] for name, each in parameters.items() if name != "transcription_id")
