"""Transcripts to search in."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import uuid4

from hansard.application.ports.records import SearchHit, SearchQuery, UnitOfWork
from hansard.domain.audio import AudioFile, AudioProperties, StoredObject
from hansard.domain.transcript import Segment, Transcript, Word
from hansard.domain.transcription import Parameters, Transcription

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def a_segment(start_seconds: float, text: str, *, language: str | None = "en", speaker: str | None = None) -> Segment:
    """A word takes a tenth of a second."""
    begins = [round(start_seconds + number / 10, 1) for number in range(len(text.split()) + 1)]
    words = (Word(word, *times) for word, times in zip(text.split(), pairwise(begins), strict=True))
    return Segment(
        start_seconds=float(start_seconds),
        end_seconds=float(start_seconds + 1),
        text=text,
        words=tuple(words),
        language=language,
        speaker=speaker,
    )


def keep(
    database: Callable[[], UnitOfWork],
    *said: Segment | str,
    minute: int = 0,
    owner: str = "ann",
    file_name: str = "minutes.mp3",
    metadata: Mapping[str, str] | None = None,
) -> Transcription:
    """A transcription with its recording and transcript. What is said as text begins at 0, 1, 2 … seconds."""
    at = NOON + timedelta(minutes=minute)
    audio = AudioFile(
        id=uuid4(),
        file_name=file_name,
        media_type="audio/mpeg",
        stored=StoredObject(sha256="ab" * 32, size_bytes=5),
        properties=AudioProperties(
            container="mp3", codec="mp3", channels=2, sample_rate_hz=44_100, duration_seconds=61.5
        ),
        uploaded_at=at,
        owner=owner,
    )
    made = Transcription.queue(audio_id=audio.id, parameters=Parameters(metadata=metadata or {}), at=at, owner=owner)
    segments = [a_segment(number, each) if isinstance(each, str) else each for number, each in enumerate(said)]
    with database() as uow:
        uow.audio.add(audio)
        uow.transcriptions.add(made)
        uow.transcripts.save(made, Transcript(language="en", segments=tuple(segments)))
        uow.commit()
    return made


def find(database: Callable[[], UnitOfWork], words: str, *, owner: str = "ann", **filters: Any) -> list[SearchHit]:
    with database() as uow:
        return list(uow.search.find(SearchQuery(words=words, **filters), owner=owner, limit=100).items)


def times(hits: list[SearchHit]) -> list[float]:
    """When each hit begins, which tells them apart."""
    return [hit.segment.start_seconds for hit in hits]
