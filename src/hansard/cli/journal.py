"""What a batch has done so far, so that the next call goes on where the last one was stopped, however it was.

It lies beside the transcripts, a line of JSON for each thing done, and is only ever added to. A recording is known by
what is in it, its name, what was asked and of whom: when one of these changes, it is another piece of work.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from uuid import UUID, uuid4

from hansard.domain.errors import InvalidRequest
from hansard.domain.transcription import Parameters

FILE_NAME = ".hansard-transcribe.jsonl"


@dataclass
class Journal:
    """Raises `InvalidRequest` where it cannot be written."""

    path: Path
    batch: str = ""
    """Goes into idempotency keys: another directory is another batch, and has its work done anew."""
    _transcriptions: dict[str, UUID] = field(default_factory=dict[str, UUID])
    _written: set[tuple[str, str, str]] = field(default_factory=set[tuple[str, str, str]])

    @classmethod
    def of(cls, directory: Path) -> "Journal":
        """That of the directory, which is made where it is missing."""
        journal = cls(directory / FILE_NAME)
        try:
            directory.mkdir(parents=True, exist_ok=True)
            text = journal.path.read_text(encoding="utf-8") if journal.path.exists() else ""
        except OSError as error:
            raise _not_written(directory, error) from error
        for line in text.splitlines():
            journal._read(line)
        if not journal.batch:
            journal.batch = str(uuid4())
            journal._add({"batch": journal.batch})
        return journal

    def idempotency_key(self, work: str) -> str:
        return hashlib.sha256(f"{self.batch} {work}".encode()).hexdigest()

    def transcription(self, work: str) -> UUID | None:
        return self._transcriptions.get(work)

    def note_transcription(self, work: str, transcription_id: UUID, *, recording: str) -> None:
        self._transcriptions[work] = transcription_id
        self._add({"work": work, "recording": recording, "transcription": str(transcription_id)})

    def has_written(self, work: str, target: Path, manner: str) -> bool:
        """Whether the file is there because of this. `manner` stands for how it was to be written."""
        return target.exists() and (work, self._name(target), manner) in self._written

    def note_written(self, work: str, target: Path, manner: str) -> None:
        self._written.add((work, self._name(target), manner))
        self._add({"work": work, "written": self._name(target), "manner": manner})

    def _name(self, target: Path) -> str:
        return target.relative_to(self.path.parent).as_posix()

    def _read(self, line: str) -> None:
        match _parsed(line):
            case {"batch": str(batch)}:
                self.batch = batch
            case {"work": str(work), "transcription": str(transcription_id)}:
                self._transcriptions[work] = UUID(transcription_id)
            case {"work": str(work), "written": str(name), "manner": str(manner)}:
                self._written.add((work, name, manner))
            case _:
                pass  # the last line, of a call that was killed while it wrote it

    def _add(self, entry: Mapping[str, str]) -> None:
        try:
            with self.path.open("a", encoding="utf-8") as file:
                # The line break goes first, too: the last line may be torn.
                file.write(f"\n{json.dumps(entry, ensure_ascii=False)}\n")
        except OSError as error:
            raise _not_written(self.path, error) from error


def work_of(place: str, file: Path, parameters: Parameters) -> str:
    """A name for what is to be done. Reads the whole file. Raises `OSError`."""
    with file.open("rb") as source:
        sha256 = hashlib.file_digest(source, "sha256").hexdigest()
    return digest([place, sha256, file.name, asdict(parameters)])


def digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def _parsed(line: str) -> object:
    try:
        return json.loads(line)
    except ValueError:
        return None


def _not_written(path: Path, error: OSError) -> InvalidRequest:
    return InvalidRequest(f"{path} cannot be written: {error.strerror}.", code="output_not_written")
