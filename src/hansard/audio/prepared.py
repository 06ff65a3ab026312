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

_NAME = re.compile(r"(?P<id>[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})(\.[^.]+)?\.(pcm|part)")

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
"""Linux's name for the time since the machine was started: proc_sys_kernel(5)."""


class PreparedAudioFiles:
    """Implements `PreparedAudio`: one `<transcription_id>.<boot>.pcm` for each transcription, 16 kHz mono s16le.

    A name may survive a power cut that its samples did not. So what another `boot` of the machine left counts as not
    there; where it has no name (None), all samples are brought to the disk before the file is given its own.
    """

    def __init__(self, directory: Path, *, boot: str | None = None) -> None:
        self._directory = directory
        self._boot = boot

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
                    if self._boot is None:
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
        """Also what a writer that died, or another boot, left behind."""
        with _errors_translated(self._directory):
            for path in self._directory.glob(f"{transcription_id}.*"):
                if _NAME.fullmatch(path.name):
                    path.unlink(missing_ok=True)

    def kept(self) -> tuple[UUID, ...]:
        """Also those of which only something is left that is of no use. Files of other names are not ours."""
        with _errors_translated(self._directory):
            names = [path.name for path in self._directory.iterdir()] if self._directory.exists() else []
        return tuple({UUID(found["id"]) for name in names if (found := _NAME.fullmatch(name))})

    def _path(self, transcription_id: UUID) -> Path:
        return self._directory / (f"{transcription_id}.{self._boot}.pcm" if self._boot else f"{transcription_id}.pcm")


def this_boot() -> str | None:
    """What sets the time since this machine was started apart from any other; None where the system doesn't tell."""
    try:
        return _BOOT_ID.read_text("ascii").strip()
    except OSError:
        return None


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
