"""Recordings of which it is known who speaks when: a directory's, and conversations mixed of its single voices."""

import json
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import numpy as np
from pyannote.core import Annotation, Segment

from hansard.audio.decoder import PyAvDecoder
from hansard.audio.voice_activity import SileroDetector, SileroModel
from hansard.domain.audio import BYTES_PER_SECOND, SAMPLE_RATE_HZ
from hansard.domain.speech import Span, Speech

SHORTEST_PIECE_SECONDS = 1.5
MOST_PIECES = 4
"""Of one voice in a mixture; how many more or fewer another has is left to chance."""

LONGEST_PAUSE_SECONDS = 0.6
LOUDNESS = 2000.0
"""Root mean square of a piece, of 32,768: nobody is told by how loud a microphone stood."""

LEAST_SPEAKERS, MOST_SPEAKERS = 2, 5
TELEPHONE_HZ = (300, 3400)
ALONE_SECONDS = 30.0
"""A recording of one voice that is as long counts by itself, too: is one voice taken for one?"""

SEED = 7


class Entry(TypedDict, total=False):
    """Of `manifest.json`; `set` is what the recording is counted among."""

    file: str
    set: str
    rttm: str
    uri: str
    voice: str


@dataclass(frozen=True, slots=True)
class Recording:
    name: str
    kind: str
    pcm: bytes
    speech: Speech
    reference: Annotation

    @property
    def seconds(self) -> float:
        return len(self.pcm) / BYTES_PER_SECOND

    def audio(self, span: Span) -> bytes:
        start, end = (2 * round(edge * SAMPLE_RATE_HZ) for edge in (span.start_seconds, span.end_seconds))
        return self.pcm[start:end]


def recordings(directory: Path, mixtures_per_half: int) -> list[Recording]:
    manifest = directory / "manifest.json"
    if not manifest.exists():
        return []
    entries: list[Entry] = json.loads(manifest.read_text())
    model = SileroModel()
    known = [_known(directory, entry, model) for entry in entries if entry.get("rttm")]
    alone = [_alone(directory, entry, model) for entry in entries if entry.get("voice")]
    voices: dict[str, list[bytes]] = {}
    for recording in alone:
        (voice,) = recording.reference.labels()
        pieces = (region for region in recording.speech.regions if region.seconds >= SHORTEST_PIECE_SECONDS)
        voices.setdefault(voice, []).extend(map(recording.audio, pieces))
    long = [recording for recording in alone if recording.seconds >= ALONE_SECONDS]
    return [*known, *long, *(_mixture(model, *mixed) for mixed in mixtures(voices, mixtures_per_half))]


def mixtures(
    voices: Mapping[str, Sequence[bytes]], per_half: int
) -> Iterator[tuple[str, str, bytes, list[tuple[Span, str]]]]:
    """Name, kind, samples and who speaks when. No voice is in both halves; half of each sounds as on the telephone."""
    chance = random.Random(SEED)
    names = sorted(name for name, pieces in voices.items() if pieces)
    chance.shuffle(names)
    for letter, half in zip("ab", (names[: len(names) // 2], names[len(names) // 2 :]), strict=True):
        for number in range(per_half if len(half) >= LEAST_SPEAKERS else 0):
            count = LEAST_SPEAKERS + number % (min(MOST_SPEAKERS, len(half)) - LEAST_SPEAKERS + 1)
            pool = [
                (name, piece)
                for name in chance.sample(half, count)
                for piece in chance.sample(voices[name], min(MOST_PIECES, len(voices[name])))
            ]
            chance.shuffle(pool)
            pcm, turns = end_to_end(pool, [chance.uniform(0, LONGEST_PAUSE_SECONDS) for _ in pool])
            if telephone := number >= per_half / 2:
                pcm = _telephone(pcm)
            kind = "mixtures, telephone" if telephone else "mixtures"
            yield f"{letter}{number + 1}", kind, pcm, turns


def end_to_end(
    pieces: Iterable[tuple[str, bytes]], pauses_seconds: Iterable[float]
) -> tuple[bytes, list[tuple[Span, str]]]:
    """The pieces of samples, equally loud, with a pause after each; and where each is, and whose."""
    pcm, turns = bytearray(), list[tuple[Span, str]]()
    for (voice, piece), pause_seconds in zip(pieces, pauses_seconds, strict=True):
        samples = np.frombuffer(piece, "<i2").astype(np.float32)
        samples *= LOUDNESS / max(1.0, float(np.sqrt(np.mean(samples**2))))
        turns.append((Span(len(pcm) / BYTES_PER_SECOND, (len(pcm) + len(piece)) / BYTES_PER_SECOND), voice))
        pcm += np.clip(samples, -32768, 32767).astype("<i2").tobytes() + bytes(
            2 * round(pause_seconds * SAMPLE_RATE_HZ)
        )
    return bytes(pcm), turns


def _telephone(pcm: bytes) -> bytes:
    samples = np.frombuffer(pcm, "<i2").astype(np.float64)
    spectrum, hertz = np.fft.rfft(samples), np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE_HZ)
    spectrum[(hertz < TELEPHONE_HZ[0]) | (hertz > TELEPHONE_HZ[1])] = 0
    return np.clip(np.fft.irfft(spectrum, len(samples)), -32768, 32767).astype("<i2").tobytes()


def _mixture(model: SileroModel, name: str, kind: str, pcm: bytes, turns: Iterable[tuple[Span, str]]) -> Recording:
    return Recording(name, kind, pcm, _speech([pcm], model), _annotation(turns))


def _known(directory: Path, entry: Entry, model: SileroModel) -> Recording:
    pcm, speech = _decoded(directory / entry["file"], model)
    reference = _reference((directory / entry["rttm"]).read_text(), entry.get("uri"))
    return Recording(entry["file"], entry.get("set", "recordings"), pcm, speech, reference)


def _alone(directory: Path, entry: Entry, model: SileroModel) -> Recording:
    pcm, speech = _decoded(directory / entry["file"], model)
    reference = _annotation((region, entry["voice"]) for region in speech.regions)
    return Recording(entry["file"], "one voice", pcm, speech, reference)


def _decoded(file: Path, model: SileroModel) -> tuple[bytes, Speech]:
    with file.open("rb") as source:
        blocks = list(PyAvDecoder().decode(source))
    return b"".join(blocks), _speech(blocks, model)


def _speech(blocks: Iterable[bytes], model: SileroModel) -> Speech:
    detector = SileroDetector(model)
    for block in blocks:
        detector.feed(block)
    return detector.finish()


def _annotation(turns: Iterable[tuple[Span, str]]) -> Annotation:
    annotation = Annotation()
    for number, (span, speaker) in enumerate(turns):
        annotation[Segment(span.start_seconds, span.end_seconds), number] = speaker
    return annotation


def _reference(rttm: str, uri: str | None) -> Annotation:
    """SPEAKER uri channel start duration <NA> <NA> speaker …"""
    lines = (line.split() for line in rttm.splitlines() if line.startswith("SPEAKER "))
    return _annotation(
        (Span(float(fields[3]), float(fields[3]) + float(fields[4])), fields[7])
        for fields in lines
        if uri in (None, fields[1])
    )
