"""`make bench-waiting`: what a request to OpenAI's API waits beyond what the bare engine takes for the same recording.

The engine of both is Whisper with a tiny made-up model, which answers in a moment, so that the rest shows. A call of
the bare engine and a request take turns, and what is told of is the difference between the two of a pair.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import openai

from benchmarks.clips import clips
from benchmarks.ways import free_port, wait_until_ready
from hansard.application.ports.engines import Recognition
from hansard.audio.decoder import PyAvDecoder
from hansard.audio.voice_activity import SileroDetector, SileroModel
from hansard.domain.audio import BYTES_PER_SECOND
from hansard.domain.speech import plan_passages
from hansard.engines.whisper import WhisperEngine
from hansard.engines.whisper_models import WhisperModels
from tests.tiny_whisper import build_tiny_whisper

WARM_UP_CALLS = 10

Listen = Callable[[Path], str]


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory(prefix="hansard-bench-") as scratch, ExitStack() as stack:
        directory = Path(scratch)
        directory.chmod(0o755)  # as root, the database's user has to pass through
        model = build_tiny_whisper(directory / "tiny")
        bare = _bare_engine(model)
        asked = stack.enter_context(_service(directory / "service", model))
        sys.stdout.write(
            f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, {os.cpu_count()} cores, Python "
            f"{platform.python_version()}, {options.rounds} rounds; milliseconds, median\n"
        )
        for seconds in options.seconds:
            files = clips(directory, seconds, options.rounds + WARM_UP_CALLS, name=f"clip-{seconds}")
            pairs = [(_milliseconds(bare, file), _milliseconds(asked, file)) for file in files][WARM_UP_CALLS:]
            added = sorted(through - alone for alone, through in pairs)
            sys.stdout.write(
                f"{seconds:g} s: bare engine {statistics.median(alone for alone, _ in pairs):.1f}, request "
                f"{statistics.median(through for _, through in pairs):.1f}, added {statistics.median(added):.1f} "
                f"(a tenth below {added[len(added) // 10]:.1f}, a tenth above {added[-1 - len(added) // 10]:.1f})\n"
            )


def _milliseconds(listen: Listen, file: Path) -> float:
    started = time.perf_counter()
    listen(file)
    return (time.perf_counter() - started) * 1000


def _bare_engine(model: Path) -> Listen:
    """Decode, find speech, recognise: nothing is stored, nobody is told."""
    decoder, ears = PyAvDecoder(), SileroModel()
    engine = WhisperEngine(
        WhisperModels(model.parent, offline=True),
        model=str(model),
        device="cpu",
        compute_type="default",
        beam_size=5,
        batch_size=1,
        threads=1,
    )

    def listen(file: Path) -> str:
        detector, pcm = SileroDetector(ears), bytearray()
        with file.open("rb") as source:
            for block in decoder.decode(source):
                detector.feed(block)
                pcm += block
        texts: list[str] = []
        for span in plan_passages(detector.finish().regions, engine.limits):
            start, end = (round(edge * BYTES_PER_SECOND / 2) * 2 for edge in (span.start_seconds, span.end_seconds))
            texts += [segment.text for segment in engine.recognise(bytes(pcm[start:end]), Recognition())]
        return " ".join(texts)

    return listen


@contextmanager
def _service(directory: Path, model: Path) -> Generator[Listen]:
    port = free_port()
    settings = {
        "HANSARD_DATA_DIR": str(directory),
        "HANSARD_PORT": str(port),
        "HANSARD_WORKERS": "1",
        "HANSARD_OFFLINE": "1",
        "HANSARD_WHISPER_MODEL": str(model),
        "HANSARD_WHISPER_DEVICE": "cpu",
        "HANSARD_GAP_SECONDS": "3600",  # the made-up model says the same few words of any recording
        "LOG_LEVEL": "WARNING",
    }
    process = subprocess.Popen([sys.executable, "-m", "hansard", "up"], env=os.environ | settings)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as http:
            wait_until_ready(process, http)
        client = openai.OpenAI(api_key="none", base_url=f"http://127.0.0.1:{port}/v1", max_retries=0)
        yield lambda file: client.audio.transcriptions.create(file=file, model="whisper").text
    finally:
        process.terminate()
        process.wait()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, nargs="+", default=[3, 11], help="lengths of clips (default 3 11)")
    parser.add_argument("--rounds", type=int, default=50, help="pairs of each length (default 50)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
