"""A transcript as a file: what each format is called, what it takes, and the JSON that has all of it."""

import io
import json
import zipfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansard.domain.errors import InvalidRequest
from hansard.domain.speech import Span
from hansard.domain.transcript import DecodingScores, Segment, Transcript, Word
from hansard.formats import FORMATS, Document, Options, check, write
from tests.unit.transcripts import document, documents, said

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "transcript.schema.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
"""A second reader of the JSON, which knows nothing of its writer."""


@pytest.mark.parametrize(
    ("format", "media_type"),
    [
        ("txt", "text/plain"),
        ("srt", "application/x-subrip"),
        ("vtt", "text/vtt"),
        ("json", "application/json"),
        ("csv", "text/csv"),
        ("tsv", "text/tab-separated-values"),
        ("md", "text/markdown"),
        ("rttm", "text/x-rttm"),
        ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        ("zip", "application/zip"),
    ],
)
def test_each_format_has_its_media_type(format, media_type):
    assert FORMATS[format].media_type == media_type


def test_an_unknown_format_is_refused_with_the_names_of_the_known():
    with pytest.raises(InvalidRequest) as refusal:
        write(document(said("Hi.")), "doc")
    assert refusal.value.failure.help == f"Use one of: {', '.join(FORMATS)}."


# ── Options ──────────────────────────────────────────────────────────────────────────────────────────────

SETTINGS = {
    "times": True,
    "speakers": False,
    "words": False,
    "fit": False,
    "max_line_characters": 30,
    "max_lines": 1,
    "max_characters_per_second": 20.0,
    "min_cue_seconds": 1.0,
    "max_cue_seconds": 5.0,
    "min_gap_seconds": 0.1,
}


def test_every_option_is_tried_here():
    assert set(SETTINGS) == {each for name in FORMATS for each in FORMATS[name].options}


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("option", SETTINGS)
def test_an_option_is_honoured_or_refused_by_name(format, option):
    options = Options(**{option: SETTINGS[option]})
    if option in FORMATS[format].options:
        check(format, options)
        return
    with pytest.raises(InvalidRequest) as refusal:
        check(format, options)
    assert refusal.value.failure.code == "option_not_applicable"
    assert str(refusal.value) == f"The format {format} has no use for `{option}`."


def test_who_is_refused_learns_which_formats_have_a_use_for_it():
    with pytest.raises(InvalidRequest) as refusal:
        check("srt", Options(words=True))
    assert refusal.value.failure.help == "Leave it out, or ask for one of: vtt, zip."


@pytest.mark.parametrize(
    "options", [Options(max_lines=0), Options(max_line_characters=201), Options(max_cue_seconds=0.1)]
)
def test_a_rule_beyond_its_limits_is_refused(options):
    with pytest.raises(InvalidRequest, match="must be from"):
        check("srt", options)


def test_rules_that_contradict_each_other_are_refused():
    with pytest.raises(InvalidRequest, match="must not be above"):
        write(document(said("Hi.")), "srt", Options(min_cue_seconds=8, max_cue_seconds=7))


# ── JSON ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_json_holds_all_that_is_known():
    segment = said(
        "Hi.",
        0.1,
        0.5004,
        words=(Word("Hi.", 0.1, 0.5, 0.91239, "A"),),
        confidence=0.87654,
        language="en",
        language_probability=0.98765,
        speaker="A",
        engine="whisper",
        scores=DecodingScores(average_log_probability=-0.25, temperature=0.0),
    )
    whole = Document(
        transcript=Transcript(language="en", segments=(segment,), language_probability=0.98765),
        file_name="talk.wav",
        transcribed_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        audio_seconds=2.0,
        engine="whisper",
        model="small",
        corrections=2,
        degraded_reasons=("Speech was left untranscribed.",),
        gaps=(Span(1.0, 2.0),),
    )

    assert json.loads(write(whole, "json")) == {
        "version": 1,
        "recording": {"file_name": "talk.wav", "duration_seconds": 2.0},
        "transcribed_at": "2026-01-02T03:04:05+00:00",
        "engine": "whisper",
        "model": "small",
        "language": "en",
        "language_probability": 0.988,
        "translated": False,
        "corrections": 2,
        "partial": False,
        "degraded_reasons": ["Speech was left untranscribed."],
        "gaps": [{"start_seconds": 1.0, "end_seconds": 2.0}],
        "speakers": ["A"],
        "text": "Hi.",
        "segments": [
            {
                "start_seconds": 0.1,
                "end_seconds": 0.5,
                "text": "Hi.",
                "confidence": 0.877,
                "language": "en",
                "language_probability": 0.988,
                "speaker": "A",
                "engine": "whisper",
                "scores": {
                    "average_log_probability": -0.25,
                    "compression_ratio": None,
                    "no_speech_probability": None,
                    "temperature": 0.0,
                },
                "words": [
                    {"text": "Hi.", "start_seconds": 0.1, "end_seconds": 0.5, "probability": 0.912, "speaker": "A"}
                ],
            }
        ],
    }


def test_json_says_null_where_nothing_is_known():
    (segment,) = json.loads(write(document(said("Hi."), language=None), "json"))["segments"]
    assert (segment["confidence"], segment["speaker"], segment["scores"], segment["words"]) == (None, None, None, [])


def test_json_keeps_every_script_legible():
    assert "日本" in write(document(said("日本")), "json").decode()


@given(documents)
def test_json_read_back_is_what_was_said_and_has_the_documented_shape(made):
    read = json.loads(write(made, "json"))

    VALIDATOR.validate(read)
    assert read["text"] == made.transcript.text
    assert [segment["text"] for segment in read["segments"]] == [each.text for each in made.transcript.segments]


def shapes(schema):
    """Each object in the schema, with the fields that it knows."""
    if "properties" in schema:
        yield schema["properties"].keys(), schema["required"]
    for inner in (*schema.get("properties", {}).values(), *([schema["items"]] if "items" in schema else [])):
        yield from shapes(inner)


def test_the_schema_wants_every_field_that_it_describes():
    for schema in (SCHEMA, *SCHEMA["$defs"].values()):
        for described, required in shapes(schema):
            assert set(described) == set(required)


def test_the_schema_refuses_what_is_not_a_transcript():
    read = json.loads(write(document(said("Hi.")), "json"))
    del read["segments"][0]["text"]

    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate(read)


def test_the_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


# ── All of them in one ───────────────────────────────────────────────────────────────────────────────────


def members(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_zip_has_every_other_format():
    made = document(said("Order!", speaker="A"))

    assert members(write(made, "zip")) == {f"talk.{name}": write(made, name) for name in FORMATS if name != "zip"}


def test_zip_leaves_out_who_spoke_when_where_nobody_knows():
    assert "talk.rttm" not in members(write(document(said("Order!")), "zip"))


def test_zip_gives_each_format_the_options_it_has_a_use_for():
    made = document(said("Order!", speaker="A"))

    found = members(write(made, "zip", Options(times=True, max_lines=1)))

    assert found["talk.txt"] == b"[00:00:00] A: Order!\n"


@pytest.mark.parametrize("format", ["zip", "docx"])
def test_what_is_written_twice_is_the_same_twice(format):
    made = document(said("Order!"))
    assert write(made, format) == write(made, format)


def test_what_is_only_a_part_says_so_in_its_name():
    assert next(iter(members(write(replace(document(said("Order!")), partial=True), "zip")))) == "talk.partial.txt"


@pytest.mark.parametrize("format", [name for name in FORMATS if name != "rttm"])
@pytest.mark.parametrize("segments", [(), (said(" "),)])
def test_a_record_without_words_can_be_written(format: str, segments: tuple[Segment, ...]):
    assert isinstance(write(document(*segments), format), bytes)


@given(documents, st.sampled_from([name for name, each in FORMATS.items() if each.is_text and name != "rttm"]))
def test_text_ends_in_a_line_break(made, format):
    text = write(made, format).decode()
    assert text == "" or text.endswith("\n")
