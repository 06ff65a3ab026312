"""What the preparation and the basic diarizer hold in memory on recordings of hours, each in a process of its own.

A recording of so many hours is laid end to end of others, in another order and at another loudness each time, and
goes through what a worker does with it: the object store, the decoder, voice activity, the prepared audio's file and
the diarizer. `python -m benchmarks.long_recording FILE SCRATCH` is one such process; it answers with JSON.
"""

import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from threading import Event as Flag
from uuid import uuid4

import av
import numpy as np
from rich.console import Console
from rich.table import Table

from hansard.application.prepare import PrepareAudio
from hansard.audio.decoder import PyAvDecoder
from hansard.audio.prepared import PreparedAudioFiles
from hansard.audio.voice_activity import SileroDetector, SileroModel
from hansard.diarization.basic import BasicDiarizer
from hansard.domain.audio import BYTES_PER_SECOND, SAMPLE_RATE_HZ, AudioFile
from hansard.domain.diarization import SpeakerBounds
from hansard.domain.transcription import Channels
from hansard.storage.object_store import ObjectAudioStore

LOUDNESS_FACTORS = (0.5, 1.0)
SEED = 11


def measure_memory(directory: Path, hours: list[float]) -> None:
    table = Table(
        "hours", "ready, MB", "prepared, MB", "diarized, MB", "prepared, s", "diarized, s", "speakers", "turns"
    )
    for length in hours:
        with tempfile.TemporaryDirectory(prefix="hansard-bench-") as scratch:
            file = Path(scratch, "long.flac")
            _write(file, _endless(directory), length * 3600)
            command = [sys.executable, "-m", "benchmarks.long_recording", str(file), scratch]
            told = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
        table.add_row(f"{length:g}", *(str(told[key]) for key in _KEYS))
    Console(width=120).print(table)


_KEYS = ("ready_mb", "prepared_mb", "diarized_mb", "prepare_seconds", "diarize_seconds", "speakers", "turns")


def main() -> None:
    file, scratch = Path(sys.argv[1]), Path(sys.argv[2])
    store = ObjectAudioStore((scratch / "objects").resolve().as_uri(), scratch / "tmp")
    decoder, prepared, model, diarizer = PyAvDecoder(), PreparedAudioFiles(scratch), SileroModel(), BasicDiarizer()
    prepare = PrepareAudio(
        store=store,
        decoder=decoder,
        detector=partial(SileroDetector, model),
        prepared=prepared,
        max_audio_seconds=100 * 3600.0,
    )
    with file.open("rb") as source:
        properties = decoder.probe(source)
        source.seek(0)
        stored = store.put(source)
    audio = AudioFile(
        id=uuid4(),
        file_name=file.name,
        media_type="audio/flac",
        stored=stored,
        properties=properties,
        uploaded_at=datetime.now(UTC),
    )
    transcription_id = uuid4()
    told: dict[str, float] = {"ready_mb": _most_mb()}
    started = time.perf_counter()
    speech = prepare(transcription_id, audio, Channels.MIXED, Flag())
    told["prepare_seconds"], told["prepared_mb"] = round(time.perf_counter() - started), _most_mb()
    started = time.perf_counter()
    turns = diarizer.diarize(partial(prepared.read, transcription_id), speech, SpeakerBounds())
    told["diarize_seconds"], told["diarized_mb"] = round(time.perf_counter() - started), _most_mb()
    told["speakers"], told["turns"] = len({turn.speaker for turn in turns}), len(turns)
    sys.stdout.write(json.dumps(told))


def _most_mb() -> int:
    """The most that this process ever had in memory (VmHWM)."""
    status = Path("/proc/self/status").read_text()
    return round(int(status.split("VmHWM:")[1].split()[0]) / 1024)


def _endless(directory: Path) -> Iterator[bytes]:
    """The samples of `manifest.json`'s recordings, again and again."""
    chance = random.Random(SEED)
    files = [directory / entry["file"] for entry in json.loads((directory / "manifest.json").read_text())]
    while True:
        for file in chance.sample(files, len(files)):
            factor = chance.uniform(*LOUDNESS_FACTORS)
            with file.open("rb") as source:
                for block in PyAvDecoder().decode(source):
                    yield (np.frombuffer(block, "<i2") * factor).astype("<i2").tobytes()


def _write(file: Path, blocks: Iterator[bytes], seconds: float) -> None:
    left = round(seconds) * BYTES_PER_SECOND
    with av.open(str(file), "w") as container:
        stream = container.add_stream("flac", rate=SAMPLE_RATE_HZ, layout="mono")
        while left > 0:
            samples = np.frombuffer(next(blocks)[:left], "<i2")
            left -= samples.nbytes
            frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
            frame.rate = SAMPLE_RATE_HZ
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


if __name__ == "__main__":
    main()
