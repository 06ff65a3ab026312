"""`make bench-speakers ARGS=DIR`: how often the basic diarizer is wrong about who speaks.

DIR has a `manifest.json`, a list of `{"file", "rttm"}`: the recording, and the RTTM file in DIR that tells who speaks
when. Where that has several recordings, `"uri"` says which is meant; else it is the only one. `"set"` names what the
recording is counted among. Recordings of one voice alone have `"voice"`, its name, in place of `"rttm"`: conversations
are mixed of them. Names of speakers are the same throughout, as they say which recordings share a voice.

The diarization error rate is pyannote.metrics', with a collar of 0.25 s on either side of each change, overlaps
included. Beside the diarizer as it is stands the same with the settings that were best on the other recordings, of
those without any of its voices. `--hours` measures memory instead, on a recording as long made of those of DIR.
"""

import argparse
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from pyannote.core import Annotation, Segment, Timeline
from pyannote.metrics.diarization import DiarizationErrorRate
from rich.console import Console
from rich.table import Table

from benchmarks.conversations import Recording, recordings
from benchmarks.held_out import Errors, Judged, chosen_elsewhere, total
from benchmarks.long_recording import measure_memory
from hansard.application.ports.engines import EngineState
from hansard.diarization.basic import EDGE_SECONDS, BasicDiarizer, told_apart
from hansard.diarization.clustering import LEAST_LIKENESS
from hansard.domain.diarization import SpeakerBounds, Turn

COLLAR_SECONDS = 0.25
"""As NIST scores: that much before and after each change of speaker is not judged."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What was chosen by listening to recordings; the rest of the diarizer is its network's or anybody's."""

    edge_seconds: float
    least_likeness: float

    def __str__(self) -> str:
        return f"{self.least_likeness:g}, {self.edge_seconds:g} s"


SHIPPED = Setting(EDGE_SECONDS, LEAST_LIKENESS)
EDGES_SECONDS = (0.0, 0.3)
LIKENESSES = (0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55)
SETTINGS = tuple(Setting(edge, likeness) for edge, likeness in product(EDGES_SECONDS, LIKENESSES))


@dataclass(frozen=True, slots=True)
class Measured:
    recording: Recording
    found: int
    seconds: float
    guessed: Judged[Setting]
    given: Judged[Setting]


def main() -> None:
    options = _options()
    if options.hours:
        measure_memory(options.directory, options.hours)
        return
    diarizer = BasicDiarizer()
    known = recordings(options.directory, options.mixtures)
    if not known:
        sys.exit(f"{options.directory} has no manifest.json with recordings whose speakers are known.")
    status = diarizer.status()
    if status.state is not EngineState.READY:
        sys.exit(f"{diarizer.name} cannot work here: {status.detail}. {status.help}")
    measured = [_measured(diarizer, recording) for recording in known]
    console = Console(width=120)
    console.print(_by_recording(measured))
    console.print(_by_likeness(measured))


def _measured(diarizer: BasicDiarizer, recording: Recording) -> Measured:
    speakers = frozenset(recording.reference.labels())
    count = SpeakerBounds(least=len(speakers), most=len(speakers))
    guessed, given = dict[Setting, Errors](), dict[Setting, Errors]()
    found, seconds = 0, 0.0
    for edge in EDGES_SECONDS:
        started = time.perf_counter()
        heard = diarizer.hear(recording.audio, recording.speech, edge_seconds=edge)
        took = time.perf_counter() - started
        for setting in (setting for setting in SETTINGS if setting.edge_seconds == edge):
            turns = told_apart(heard, SpeakerBounds(), least_likeness=setting.least_likeness)
            guessed[setting] = _errors(recording, turns)
            given[setting] = _errors(recording, told_apart(heard, count, least_likeness=setting.least_likeness))
            if setting == SHIPPED:
                found, seconds = len({turn.speaker for turn in turns}), took
    return Measured(recording, found, seconds, Judged(speakers, guessed), Judged(speakers, given))


def _errors(recording: Recording, turns: Iterable[Turn]) -> Errors:
    told = Annotation()
    for number, turn in enumerate(turns):
        told[Segment(turn.span.start_seconds, turn.span.end_seconds), number] = turn.speaker
    rate = DiarizationErrorRate(collar=2 * COLLAR_SECONDS)
    parts = rate(recording.reference, told, uem=Timeline([Segment(0, recording.seconds)]), detailed=True)
    return Errors(parts["missed detection"] + parts["false alarm"] + parts["confusion"], parts["total"])


def _by_recording(measured: Sequence[Measured]) -> Table:
    """With its totals, each weighted by how much is said."""
    table = Table("recording", "speakers", "found", "DER", "held out", "by", "number given", "held out", "× real time")
    for kind in (*dict.fromkeys(one.recording.kind for one in measured), None):
        members = [one for one in measured if kind in (None, one.recording.kind)]
        sums = [Errors()] * 4
        for one in members:
            guessed, given = (
                chosen_elsewhere(own(one), [own(other) for other in measured])
                for own in (lambda one: one.guessed, lambda one: one.given)
            )
            errors = [
                one.guessed.errors[SHIPPED],
                one.guessed.errors[guessed],
                one.given.errors[SHIPPED],
                one.given.errors[given],
            ]
            sums = [so_far + more for so_far, more in zip(sums, errors, strict=True)]
            if kind is not None:
                table.add_row(
                    one.recording.name,
                    str(len(one.guessed.voices)),
                    str(one.found),
                    _rate(errors[0]),
                    _rate(errors[1]),
                    str(guessed),
                    _rate(errors[2]),
                    _rate(errors[3]),
                    f"{one.recording.seconds / one.seconds:.0f}",
                )
        cells = [_rate(errors) for errors in sums]
        table.add_row(f"[bold]{kind or 'all'}", "", "", *cells[:2], "", *cells[2:], "", end_section=True)
    return table


def _by_likeness(measured: Sequence[Measured]) -> Table:
    """Each set's error rate, were the threshold another one."""
    table = Table("threshold", *(f"{likeness:g}" for likeness in LIKENESSES))
    for kind in (*dict.fromkeys(one.recording.kind for one in measured), None):
        members = [one.guessed for one in measured if kind in (None, one.recording.kind)]
        settings = [setting for setting in SETTINGS if setting.edge_seconds == EDGE_SECONDS]
        table.add_row(kind or "all", *(_rate(total(members, setting)) for setting in settings))
    return table


def _rate(errors: Errors) -> str:
    return f"{errors.rate:.3f}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path, help="recordings, their RTTM files and a manifest.json")
    parser.add_argument("--mixtures", type=int, default=8, help="for each half of the single voices (default: 8)")
    parser.add_argument("--hours", type=float, nargs="+", default=[], help="measure memory on recordings so long")
    return parser.parse_args()


if __name__ == "__main__":
    main()
