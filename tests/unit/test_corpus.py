"""A directory of recordings is read as its manifest says, and what is wrong with it is told."""

import json

import pytest

from hansard.analytics.corpus import read_corpus
from hansard.domain.diarization import Turn
from hansard.domain.errors import InvalidRequest
from hansard.domain.speech import Span


@pytest.fixture
def corpus(tmp_path):
    def write(*entries, **files):
        for name, content in files.items():
            (tmp_path / name.replace("_", ".")).write_text(content)
        (tmp_path / "manifest.json").write_text(json.dumps(entries))
        return tmp_path

    return write


def test_recordings_come_with_what_is_known_of_them(corpus):
    directory = corpus({"file": "a.wav", "reference": "Guten Tag.", "language": "de", "seconds": 2.5}, a_wav="sound")

    (sample,) = read_corpus(directory)

    assert (sample.name, sample.reference, sample.language, sample.turns) == ("a.wav", "Guten Tag.", "de", None)
    assert sample.path.read_text() == "sound"


def test_an_empty_reference_is_none(corpus):
    (sample,) = read_corpus(corpus({"file": "a.wav", "reference": ""}, a_wav=""))

    assert sample.reference is None


def test_turns_are_read_from_rttm_by_the_recording_they_are_of(corpus):
    rttm = "SPEAKER a 1 0.5 1.5 <NA> <NA> Ann <NA> <NA>\nSPEAKER b 1 0 9 <NA> <NA> Bob <NA> <NA>\n"
    entries = ({"file": "a.wav", "rttm": "x.rttm"}, {"file": "c.wav", "rttm": "x.rttm", "uri": "b"})

    first, second = read_corpus(corpus(*entries, a_wav="", c_wav="", x_rttm=rttm))

    assert first.turns == (Turn(Span(0.5, 2.0), "Ann"),)
    assert second.turns == (Turn(Span(0.0, 9.0), "Bob"),)


def test_the_digest_tells_when_the_sound_or_the_reference_changes(corpus):
    def digest(reference, sound):
        return read_corpus(corpus({"file": "a.wav", "reference": reference}, a_wav=sound))[0].digest

    assert digest("one", "sound") == digest("one", "sound")
    assert len({digest("one", "sound"), digest("two", "sound"), digest("one", "noise")}) == 3


@pytest.mark.parametrize(
    ("entries", "problem"),
    [
        ([], "not a list"),
        ([{"reference": "no file"}], 'no "file"'),
        (["a.wav"], 'no "file"'),
        ([{"file": "missing.wav"}], "missing.wav cannot be read"),
        ([{"file": "a.wav"}, {"file": "a.wav"}], "twice"),
        ([{"file": "a.wav", "reference": 7}], "not a text"),
        ([{"file": "a.wav", "rttm": "x.rttm", "uri": "z"}], "nothing about z"),
        ([{"file": "a.wav", "rttm": "y.rttm"}], "not RTTM"),
    ],
)
def test_what_is_wrong_with_it_is_told(corpus, entries, problem):
    directory = corpus(
        *entries, a_wav="", x_rttm="SPEAKER a 1 0 1 <NA> <NA> Ann\n", y_rttm="SPEAKER a 1 zero 1 <NA> <NA> Ann\n"
    )

    with pytest.raises(InvalidRequest, match=problem):
        read_corpus(directory)


def test_a_directory_without_a_manifest_is_told(tmp_path):
    with pytest.raises(InvalidRequest, match=r"manifest\.json cannot be read"):
        read_corpus(tmp_path)


def test_a_manifest_that_is_not_json_is_told(tmp_path):
    (tmp_path / "manifest.json").write_text("a.wav: hello")

    with pytest.raises(InvalidRequest, match="not JSON"):
        read_corpus(tmp_path)
