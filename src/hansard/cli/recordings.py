"""Which recordings a command is about, and what their transcripts are called."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from hansard.domain.errors import InvalidAudio, InvalidRequest

# fmt: off
SUFFIXES = frozenset({
    ".3gp", ".aac", ".ac3", ".aif", ".aiff", ".amr", ".au", ".avi", ".caf", ".flac", ".flv", ".m4a", ".m4b", ".m4v",
    ".mka", ".mkv", ".mov", ".mp2", ".mp3", ".mp4", ".mpeg", ".mpg", ".oga", ".ogg", ".ogv", ".opus", ".spx", ".ts",
    ".wav", ".webm", ".wma", ".wmv",
})
# fmt: on
"""What is tried in a folder. A file that is named is tried whatever it is called."""


def require_recording(file: Path) -> None:
    """Raises `InvalidAudio` for what cannot be a recording, before anything is started."""
    if file.is_dir():
        raise InvalidAudio(
            f"{file} is a directory.", code="is_directory", help="Name a directory for the transcripts with --out."
        )
    try:
        with file.open("rb") as source:
            empty = not source.read(1)
    except FileNotFoundError as error:
        raise InvalidAudio(f"There is no file {file}.", code="no_such_file") from error
    except OSError as error:
        raise InvalidAudio(f"{file} cannot be read: {error.strerror}.", code="unreadable_file") from error
    if empty:
        raise InvalidAudio(f"{file} is empty.", code="empty_file", help="Was it copied to its end?")


def named(paths: Sequence[Path]) -> Mapping[Path, Path]:
    """The recordings, in order and once each, with the paths of their transcripts in a directory, less the ending.

    A folder stands for the recordings in it and below; their transcripts lie in folders of the same names. Where two
    would have the same name, "talk.mp3" and "talk.wav", they keep the recordings' endings; where that does not help,
    "monday/talk.mp3" and "tuesday/talk.mp3", they keep the folders. Raises `InvalidRequest` where a folder has none.
    """
    found = dict(_found(paths))
    names = {file: place.with_suffix("") for file, place in found.items()}
    names.update({file: found[file] for file in _clashing(names)})
    if clashing := _clashing(names):
        top = os.path.commonpath([file.absolute().parent for file in clashing])
        names.update({file: file.absolute().relative_to(top) for file in clashing})
    return names


def _found(paths: Iterable[Path]) -> Iterator[tuple[Path, Path]]:
    for path in paths:
        if not path.is_dir():
            yield path, Path(path.name)
            continue
        recordings = [file for file in sorted(path.rglob("*")) if _is_recording(file, path)]
        if not recordings:
            raise InvalidRequest(
                f"There are no recordings in {path}.",
                code="no_recordings",
                help="In a folder, those with a usual ending are taken, such as .mp3; others must be named.",
            )
        for file in recordings:
            yield file, file.relative_to(path)


def _is_recording(file: Path, folder: Path) -> bool:
    hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
    return file.suffix.lower() in SUFFIXES and not hidden and file.is_file()


def _clashing(names: Mapping[Path, Path]) -> list[Path]:
    """Small and capital letters are one to some file systems."""
    taken = Counter(str(name).casefold() for name in names.values())
    return [file for file, name in names.items() if taken[str(name).casefold()] > 1]
