"""`python -m benchmarks.diarization DIR`: how often the diarizer is wrong about who speaks, and how fast it is.

DIR has a `manifest.json`, a list of `{"file", "rttm"}`: the recording, and the RTTM file in DIR that tells who speaks
when. Where that has several recordings, `"uri"` says which is meant; else it is the only one. The diarization error
rate is pyannote.metrics', with a collar of 0.25 s on either side of each change, overlaps included.
"""

import argparse
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from pyannote.core import Annotation, Segment, Timeline
from pyannote.metrics.diarization import DiarizationErrorRate
from rich.console import Console
from rich.table import Table

from hansard.application.ports.engines import Diarizer, EngineState
from hansard.audio.decoder import PyAvDecoder
from hansard.audio.voice_activity import SileroDetector, SileroModel
from hansard.diarization.basic import BasicDiarizer
from hansard.domain.audio import BYTES_PER_SECOND, SAMPLE_RATE_HZ
from hansard.domain.diarization import SpeakerBounds
from hansard.domain.speech import Span, Speech

COLLAR_SECONDS = 0.25
"""As NIST scores: that much before and after each change of speaker is not judged."""


@dataclass(frozen=True, slots=True)
class Recording:
    name: str
    pcm: bytes
    speech: Speech
    reference: Annotation

    @property
    def seconds(self) -> float:
        return len(self.pcm) / BYTES_PER_SECOND

    def audio(self, span: Span) -> bytes:
        start, end = (2 * round(edge * SAMPLE_RATE_HZ) for edge in (span.start_seconds, span.end_seconds))
        return self.pcm[start:end]


def main() -> None:
    directory: Path = _options().directory
    diarizer = BasicDiarizer()
    recordings = _recordings(directory)
    if not recordings:
        sys.exit(f"{directory} has no manifest.json with recordings whose speakers are known: nothing to measure.")
    status = diarizer.status()
    if status.state is not EngineState.READY:
        sys.exit(f"{diarizer.name} cannot work here: {status.detail}. {status.help}")
    table = Table("recording", "speakers", "found", "DER", "confusion", "DER, number given", "× real time")
    guessed, given = (DiarizationErrorRate(collar=2 * COLLAR_SECONDS) for _ in range(2))
    for recording in recordings:
        _measure(table, diarizer, recording, guessed, given)
    table.add_row("all", "", "", f"{abs(guessed):.3f}", "", f"{abs(given):.3f}", "")
    Console(width=120).print(table)


def _measure(
    table: Table, diarizer: Diarizer, recording: Recording, guessed: DiarizationErrorRate, given: DiarizationErrorRate
) -> None:
    started = time.perf_counter()
    found = _told(diarizer, recording, SpeakerBounds())
    seconds = time.perf_counter() - started
    speakers = len(recording.reference.labels())
    judged = Timeline([Segment(0, recording.seconds)])
    score = guessed(recording.reference, found, uem=judged, detailed=True)
    known = _told(diarizer, recording, SpeakerBounds(least=speakers, most=speakers))
    table.add_row(
        recording.name,
        str(speakers),
        str(len(found.labels())),
        f"{score['diarization error rate']:.3f}",
        f"{score['confusion'] / score['total']:.3f}",
        f"{given(recording.reference, known, uem=judged):.3f}",
        f"{recording.seconds / seconds:.0f}",
    )


def _told(diarizer: Diarizer, recording: Recording, bounds: SpeakerBounds) -> Annotation:
    told = Annotation()
    for number, turn in enumerate(diarizer.diarize(recording.audio, recording.speech, bounds)):
        told[Segment(turn.span.start_seconds, turn.span.end_seconds), number] = turn.speaker
    return told


def _recordings(directory: Path) -> list[Recording]:
    manifest = directory / "manifest.json"
    if not manifest.exists():
        return []
    model = SileroModel()
    return [_recording(directory, entry, model) for entry in json.loads(manifest.read_text()) if entry.get("rttm")]


def _recording(directory: Path, entry: dict[str, str], model: SileroModel) -> Recording:
    detector = SileroDetector(model)
    pcm = bytearray()
    with (directory / entry["file"]).open("rb") as source:
        for block in PyAvDecoder().decode(source):
            detector.feed(block)
            pcm += block
    reference = _reference((directory / entry["rttm"]).read_text(), entry.get("uri"))
    return Recording(entry["file"], bytes(pcm), detector.finish(), reference)


def _reference(rttm: str, uri: str | None) -> Annotation:
    """SPEAKER uri channel start duration <NA> <NA> speaker …"""
    reference = Annotation()
    for number, fields in enumerate(line.split() for line in rttm.splitlines() if line.startswith("SPEAKER ")):
        if uri in (None, fields[1]):
            start, seconds = float(fields[3]), float(fields[4])
            reference[Segment(start, start + seconds), number] = fields[7]
    return reference


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path, help="recordings, their RTTM files and a manifest.json")
    return parser.parse_args()


if __name__ == "__main__":
    main()
