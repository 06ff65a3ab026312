"""What every `Diarizer` does, held against the fake and against the basic one.

`sherpa` and `pyannote` want models that are not to be had here: `tests/unit/test_optional_diarizers.py` tests what can
be tested of them without.
"""

import io
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from threading import Event as Flag

import pytest

from hansard.application.ports.engines import Diarizer, EngineState
from hansard.audio.decoder import PyAvDecoder
from hansard.diarization.basic import BasicDiarizer
from hansard.domain.diarization import SpeakerBounds
from hansard.domain.errors import DiarizationFailed, EngineStopped
from hansard.domain.speech import Span, Speech
from tests.audio_files import clip, silence
from tests.fakes import FakeDiarizer

BASIC = BasicDiarizer()


@dataclass(frozen=True)
class Conversation:
    """Two voices in turns; `spans` are theirs."""

    pcm: bytes
    spans: tuple[Span, ...]

    @property
    def speech(self) -> Speech:
        return Speech(len(self.pcm) / 32_000, self.spans)

    def audio(self, span: Span) -> bytes:
        start, end = (2 * round(seconds * 16_000) for seconds in (span.start_seconds, span.end_seconds))
        return self.pcm[start:end]


def voice(channel: int) -> bytes:
    """What one side of `two_voices.flac` says, without the silence."""
    pcm = b"".join(PyAvDecoder().decode(io.BytesIO(clip("two_voices.flac")), channel=channel))
    return pcm.strip(b"\0").ljust(len(pcm.strip(b"\0")) + len(pcm.strip(b"\0")) % 2, b"\0")


def conversation() -> Conversation:
    pcm, spans = b"", list[Span]()
    for spoken in (voice(0), voice(1)) * 3:
        spans.append(Span(len(pcm) / 32_000, (len(pcm) + len(spoken)) / 32_000))
        pcm += spoken + silence(0.5)
    return Conversation(pcm, tuple(spans))


TALK = conversation()
TWO = SpeakerBounds(least=2, most=2)


@pytest.fixture(params=["fake", "basic"])
def diarizer(request) -> Diarizer:
    return FakeDiarizer() if request.param == "fake" else BASIC


def test_it_is_ready(diarizer: Diarizer):
    assert diarizer.status().state is EngineState.READY


def test_two_voices_are_told_apart(diarizer: Diarizer):
    turns = diarizer.diarize(TALK.audio, TALK.speech, TWO)

    for number, span in enumerate(TALK.spans):
        middle = (span.start_seconds + span.end_seconds) / 2
        heard = {turn.speaker for turn in turns if turn.span.start_seconds <= middle < turn.span.end_seconds}
        assert heard == {str(number % 2 + 1)}


def test_turns_are_in_order_and_lie_in_the_speech(diarizer: Diarizer):
    turns = diarizer.diarize(TALK.audio, TALK.speech, SpeakerBounds())

    assert all(before.span <= after.span for before, after in pairwise(turns))
    assert all(any(_lies_in(turn.span, span) for span in TALK.spans) for turn in turns)


def test_one_speaker_is_one_when_that_is_known(diarizer: Diarizer):
    turns = diarizer.diarize(TALK.audio, TALK.speech, SpeakerBounds(most=1))

    assert {turn.speaker for turn in turns} == {"1"}


def test_where_nobody_speaks_there_are_no_turns(diarizer: Diarizer):
    assert diarizer.diarize(TALK.audio, Speech(10.0, ()), SpeakerBounds()) == ()


def test_it_stops_when_it_is_told_to(diarizer: Diarizer):
    stop = Flag()
    stop.set()

    with pytest.raises(EngineStopped):
        diarizer.diarize(TALK.audio, TALK.speech, TWO, stop)


def test_without_weights_the_basic_one_says_what_to_do(tmp_path: Path):
    status = BasicDiarizer(tmp_path / "none.pt").status()

    assert status.state is EngineState.UNAVAILABLE
    assert "make install" in (status.help or "")


def test_weights_that_are_not_the_expected_ones_are_never_opened(tmp_path: Path):
    other = tmp_path / "other.pt"
    other.write_bytes(b"cos\nsystem\n(S'false'\ntR.")

    with pytest.raises(DiarizationFailed, match="SHA-256"):
        BasicDiarizer(other).diarize(TALK.audio, TALK.speech, TWO)


def _lies_in(inner: Span, outer: Span) -> bool:
    return outer.start_seconds <= inner.start_seconds and inner.end_seconds <= outer.end_seconds
