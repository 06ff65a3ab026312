"""`make bench`: what the service costs beside the bare engine, side by side in one run."""

import argparse
import json
import os
import platform
import re
import statistics
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import jiwer
from rich.console import Console
from rich.table import Table

from benchmarks.clips import clips
from benchmarks.ways import Done, Way, bare_engine, in_process, service
from hansard.audio.decoder import PyAvDecoder
from hansard.domain.audio import BYTES_PER_SECOND


def main() -> None:
    options = _options()
    console = Console(width=120)
    with tempfile.TemporaryDirectory(prefix="hansard-bench-") as scratch, ExitStack() as stack:
        directory = Path(scratch)
        directory.chmod(0o755)  # as root, the database's user has to pass through
        files = _recordings(options.audio) if options.audio else clips(directory, options.seconds, options.files)
        warm_up = clips(directory, 5, 1, name="warm-up")[0]
        audio_seconds = sum(_seconds(file) for file in files)
        console.print(
            f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, {os.cpu_count()} cores, Python "
            f"{platform.python_version()}: {len(files)} files, {audio_seconds:.0f} s, {options.rounds} rounds"
        )
        one = stack.enter_context(bare_engine(1, warm_up))
        alone = stack.enter_context(in_process(directory / "in-process", warm_up))
        all_cores = stack.enter_context(bare_engine(options.workers, warm_up))
        whole = stack.enter_context(service(directory / "service", options.workers, warm_up))
        table = Table("way", "seconds (median)", "× real time", "÷ bare engine, median (min … max)", "WER")
        for bare, other in ((one, alone), (all_cores, whole)):
            _compare(table, bare, other, files, audio_seconds, options.rounds)
        console.print(table)


def _compare(table: Table, bare: Way, other: Way, files: Sequence[Path], audio_seconds: float, rounds: int) -> None:
    done = [(bare(files), other(files)) for _ in range(rounds)]
    ratios = [b.wall_seconds / a.wall_seconds for a, b in done]
    spread = f"{statistics.median(ratios):.3f} ({min(ratios):.3f} … {max(ratios):.3f})"
    for way, index, ratio in ((bare, 0, "1"), (other, 1, spread)):
        runs = [pair[index] for pair in done]
        seconds = statistics.median(run.wall_seconds for run in runs)
        errors = _word_error_rate(files, runs[-1])
        table.add_row(way.name, f"{seconds:.2f}", f"{audio_seconds / seconds:.1f}", ratio, errors)


def _word_error_rate(files: Sequence[Path], done: Done) -> str:
    """Over the English files that have a reference; case and punctuation don't count."""
    manifest = files[0].parent / "manifest.json"
    if not manifest.exists():
        return ""
    references = {
        entry["file"]: entry["reference"]
        for entry in json.loads(manifest.read_text())
        if entry.get("reference") and entry.get("language", "en") == "en"
    }
    heard = {file.name: _plain(text) for file, text in zip(files, done.texts, strict=True)}
    pairs = [(_plain(references[name]), text) for name, text in heard.items() if name in references]
    return f"{jiwer.wer([said for said, _ in pairs], [text for _, text in pairs]):.3f}" if pairs else ""


def _plain(text: str) -> str:
    return " ".join(re.findall(r"[\w']+", text.lower()))


def _recordings(directory: Path) -> list[Path]:
    """What can be decoded."""
    return [file for file in sorted(directory.iterdir()) if file.is_file() and _seconds(file)]


def _seconds(file: Path) -> float:
    try:
        with file.open("rb") as source:
            return sum(len(block) for block in PyAvDecoder().decode(source)) / BYTES_PER_SECOND
    except Exception:  # noqa: BLE001 - whatever it is, it is no recording
        return 0.0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="length of a clip (default 60)")
    parser.add_argument("--files", type=int, default=4, help="number of clips (default 4)")
    parser.add_argument("--audio", type=Path, help="use the recordings in this directory instead")
    parser.add_argument("--rounds", type=int, default=3, help="how often each way is timed (default 3)")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes (default: one per core)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
