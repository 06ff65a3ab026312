"""Reads a directory of recordings and its `manifest.json`, which tells what is said in them: see docs/benchmarks.md."""

import json
from collections.abc import Iterator, Mapping
from hashlib import file_digest
from pathlib import Path
from typing import Any, cast

from hansard.domain.benchmark import Sample
from hansard.domain.diarization import Turn
from hansard.domain.errors import InvalidRequest
from hansard.domain.speech import Span

MANIFEST = "manifest.json"

_HELP = (
    'It has to be a list, an entry for each recording: [{"file": "talk.flac", "reference": "what is said", '
    '"language": "en"}]. docs/benchmarks.md tells what else an entry may have.'
)


def read_corpus(directory: Path) -> tuple[Sample, ...]:
    """The recordings in the order of the manifest. Raises `InvalidRequest` where that is wrong, or a file missing."""
    manifest = directory / MANIFEST
    try:
        entries = json.loads(manifest.read_text("utf-8"))
    except OSError as error:
        raise _wrong(f"{manifest} cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise _wrong(f"{manifest} is not JSON: {error}") from error
    if not isinstance(entries, list) or not entries:
        raise _wrong(f"{manifest} is not a list of recordings")
    samples = tuple(_sample(directory, entry) for entry in cast("list[object]", entries))
    if len({sample.name for sample in samples}) < len(samples):
        raise _wrong(f"{manifest} names a file twice")
    return samples


def _sample(directory: Path, entry: object) -> Sample:
    match entry:
        case {"file": str(name)} if name:
            facts = cast("Mapping[str, Any]", entry)
        case _:
            raise _wrong(f'An entry of {directory / MANIFEST} has no "file": {json.dumps(entry)[:80]}')
    reference, language = (_text(facts, name) for name in ("reference", "language"))
    path = directory / name
    try:
        turns = tuple(_turns(directory, facts)) if facts.get("rttm") else None
        with path.open("rb") as file:
            digest = file_digest(file, "sha256")
    except OSError as error:
        raise _wrong(f"{error.filename} cannot be read ({error.strerror})") from error
    digest.update(json.dumps([reference, language, _plain(turns)]).encode())
    return Sample(
        name=name, path=path, digest=digest.hexdigest()[:16], reference=reference, language=language, turns=turns
    )


def _text(facts: Mapping[str, Any], name: str) -> str | None:
    value = facts.get(name) or None
    if value is not None and not isinstance(value, str):
        raise _wrong(f'"{name}" of {facts["file"]} is not a text')
    return value


def _turns(directory: Path, facts: Mapping[str, Any]) -> Iterator[Turn]:
    """RTTM (NIST, The Rich Transcription evaluation plan): type, recording, channel, start, duration, -, -, speaker."""
    rttm = directory / str(facts["rttm"])
    lines = [line.split() for line in rttm.read_text("utf-8").splitlines() if line.startswith("SPEAKER ")]
    recordings = {line[1] for line in lines}
    recording = facts.get("uri") or (next(iter(recordings)) if len(recordings) == 1 else Path(facts["file"]).stem)
    if recording not in recordings:
        raise _wrong(f'{rttm} has nothing about {recording}; "uri" in the manifest names the recording')
    try:
        for line in lines:
            if line[1] == recording:
                start_seconds, duration_seconds = float(line[3]), float(line[4])
                yield Turn(Span(start_seconds, start_seconds + duration_seconds), line[7])
    except (ValueError, IndexError) as error:
        raise _wrong(f"{rttm} is not RTTM") from error


def _plain(turns: tuple[Turn, ...] | None) -> list[tuple[float, float, str]] | None:
    return (
        turns if turns is None else [(turn.span.start_seconds, turn.span.end_seconds, turn.speaker) for turn in turns]
    )


def _wrong(problem: str) -> InvalidRequest:
    return InvalidRequest(f"{problem}.", help=_HELP)
