"""Decoded audio on this machine's disk while a transcription runs, so that an engine can be given any stretch of it.

It is a cache: another machine, or this one after a cleaning-up, decodes the recording again.
"""

import os
import re
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from uuid import UUID

from hansard.domain.audio import SAMPLE_RATE_HZ
from hansard.domain.errors import StorageError
from hansard.domain.speech import Span
from hansard.timing.decorators import monitor_performance, time_it

_NAME = re.compile(r"(?P<id>[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})\.(pcm|[^.]+\.part)")


class PreparedAudioFiles:
    """Implements `PreparedAudio`: one `<transcription_id>.pcm` for each transcription, 16 kHz mono s16le."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @monitor_performance
    def write(self, transcription_id: UUID, blocks: Iterable[bytes]) -> None:
        """Of two writers at once, the later one's audio stays. Errors raised by `blocks` pass through."""
        part: Path | None = None
        try:
            with _errors_translated(self._directory):
                self._directory.mkdir(parents=True, exist_ok=True)
                file = NamedTemporaryFile(  # noqa: SIM115
                    dir=self._directory, prefix=f"{transcription_id}.", suffix=".part", delete=False
                )
            part = Path(file.name)
            with file:
                for block in blocks:
                    with _errors_translated(self._directory):
                        file.write(block)
                with _errors_translated(self._directory):
                    file.flush()
                    # A name that survives a power cut must not stand for samples that didn't.
                    os.fsync(file.fileno())
                    part.replace(self._path(transcription_id))
        finally:
            if part is not None:
                part.unlink(missing_ok=True)

    def exists(self, transcription_id: UUID) -> bool:
        return self._path(transcription_id).exists()

    @time_it
    def read(self, transcription_id: UUID, span: Span) -> bytes:
        """The samples of `span`, fewer where the recording ends sooner. Raises `StorageError` when there are none."""
        start, end = (2 * round(seconds * SAMPLE_RATE_HZ) for seconds in (span.start_seconds, span.end_seconds))
        with _errors_translated(self._directory), self._path(transcription_id).open("rb") as file:
            file.seek(start)
            return file.read(end - start)

    def remove(self, transcription_id: UUID) -> None:
        """Also what a writer that died left behind."""
        with _errors_translated(self._directory):
            self._path(transcription_id).unlink(missing_ok=True)
            for part in self._directory.glob(f"{transcription_id}.*.part"):
                part.unlink(missing_ok=True)

    def kept(self) -> tuple[UUID, ...]:
        """Also those of which a writer that died left a part behind. Files of other names are not ours."""
        with _errors_translated(self._directory):
            names = [path.name for path in self._directory.iterdir()] if self._directory.exists() else []
        return tuple({UUID(found["id"]) for name in names if (found := _NAME.fullmatch(name))})

    def _path(self, transcription_id: UUID) -> Path:
        return self._directory / f"{transcription_id}.pcm"


@contextmanager
def _errors_translated(directory: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"Prepared audio could not be kept in {directory}: {error.strerror}.",
            code="prepared_audio_unavailable",
            help="Check that the disk has room (2 MB for each minute of audio) and that the directory may be written.",
        ) from error
