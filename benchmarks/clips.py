"""Recordings of any length, made from the one that comes with the project."""

import wave
from pathlib import Path

from hansard.audio.decoder import PyAvDecoder
from hansard.domain.audio import SAMPLE_RATE_HZ

SAMPLE = Path(__file__).parent.parent / "samples" / "welcome.mp3"


def clips(directory: Path, seconds: float, count: int, name: str = "clip") -> list[Path]:
    """The sample recording over and over, begun at another place in each clip."""
    with SAMPLE.open("rb") as source:
        spoken = b"".join(PyAvDecoder().decode(source))
    length = round(seconds * SAMPLE_RATE_HZ) * 2
    endless = spoken * (2 + length // len(spoken))
    clips: list[Path] = []
    for number in range(count):
        start = (number * len(spoken) // count) // 2 * 2
        clip = directory / f"{name}-{number}.wav"
        with wave.open(str(clip), "wb") as target:
            target.setparams((1, 2, SAMPLE_RATE_HZ, 0, "NONE", "NONE"))
            target.writeframes(endless[start : start + length])
        clips.append(clip)
    return clips
