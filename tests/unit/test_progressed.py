"""How far a transcription is, as events: at each tenth that is recognised and kept."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest

from hansard.domain.events import TranscriptionProgressed
from hansard.domain.transcription import Parameters, Transcription
from tests.workshop import Workshop, speech

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def told(transcription: Transcription) -> list[float]:
    return [event.progress for event in transcription.pull_events() if isinstance(event, TranscriptionProgressed)]


@pytest.mark.parametrize(
    ("since", "to", "tenths"),
    [
        (0.0, 0.05, []),
        (0.05, 0.1, [0.1]),
        (0.1, 0.19, []),
        (0.19, 0.45, [0.4]),
        (0.1 + 0.2, 0.3 + 1e-9, []),
        (0.29, 0.1 + 0.2, [0.3]),
        (0.7, 0.9, [0.9]),
        (0.9, 1.0, []),
        (0.0, 1.0, []),
    ],
)
def test_another_tenth_is_told_of_once(since: float, to: float, tenths: list[float]) -> None:
    transcription = Transcription.queue(audio_id=uuid4(), parameters=Parameters(), at=NOON)
    transcription.keep_progress(since, to, NOON)
    assert told(transcription) == tenths


def test_who_waits_for_the_whole_is_told_of_none() -> None:
    transcription = Transcription.queue(audio_id=uuid4(), parameters=Parameters(interactive=True), at=NOON)
    transcription.keep_progress(0.0, 0.5, NOON)
    assert told(transcription) == []


def test_a_recording_tells_of_its_tenths_as_its_passages_are_kept() -> None:
    shop = Workshop()
    job = shop.submitted(speech(20))
    kept: list[tuple[int, float]] = []

    def look(number: int) -> None:
        events = shop.database.unit_of_work().__enter__().events.of(job.id)
        kept.append(
            (number - 1, max([event.progress for event in events if event.type == "transcription.progressed"] or [0.0]))
        )

    shop.engine.on_passage = look
    shop.transcribe(job.id)
    # With n of twenty passages kept, so many tenths are told.
    assert kept == [(number, number // 2 / 10) for number in range(20)]


def test_what_is_done_again_after_a_crash_is_not_told_again() -> None:
    shop = Workshop()
    job = shop.submitted(speech(10))

    class Killed(BaseException):
        pass

    def die_once(number: int) -> None:
        if number == 6:
            shop.engine.on_passage = lambda _: None
            raise Killed

    shop.engine.on_passage = die_once
    with pytest.raises(Killed):
        shop.transcribe(job.id)
    shop.transcribe(job.id)
    with shop.database.unit_of_work() as uow:
        tenths = [event.progress for event in uow.events.of(job.id) if isinstance(event, TranscriptionProgressed)]
    assert tenths == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
