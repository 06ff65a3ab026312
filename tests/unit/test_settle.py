"""The last step: closing the record."""

from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

import pytest

from hansard.domain.errors import EngineFailed, EngineNotAuthenticated, InvalidAudio, Superseded
from hansard.domain.speech import PassageLimits, Span
from hansard.domain.transcript import Segment, Word
from hansard.domain.transcription import Parameters, Result, Status
from tests.fakes import FakeEngine
from tests.workshop import Workshop, speech

SECOND_BEST = "The offline engine makes many mistakes."


class Listening(FakeEngine):
    """Takes two seconds for each passage."""

    def __init__(self, shop: Workshop, **more) -> None:
        super().__init__(**more)
        self.on_passage = lambda number: shop.clock.advance(2)


class Deaf(FakeEngine):
    def recognise(self, pcm, request, call=None):
        return iter(())


def recognised(shop: Workshop, seconds: int = 3, asked: Parameters | None = None) -> tuple[UUID, int]:
    transcription_id = shop.submitted(speech(seconds), asked).id
    return transcription_id, work_on(shop, transcription_id)


def work_on(shop: Workshop, transcription_id: UUID) -> int:
    with shop.database.unit_of_work() as uow:
        transcription = uow.transcriptions.get(transcription_id)
        run = transcription.start(shop.clock())
        uow.transcriptions.save(transcription)
        uow.commit()
    shop.steps.prepare(transcription_id, run)
    shop.steps.recognise(transcription_id, run)
    return run


def result_of(shop: Workshop, transcription_id: UUID, run: int) -> Result:
    shop.steps.settle(transcription_id, run)
    result = shop.transcription(transcription_id).result
    assert result is not None
    return result


def test_the_transcript_takes_the_place_of_its_passages() -> None:
    shop = Workshop()
    transcription_id, run = recognised(shop)
    shop.steps.settle(transcription_id, run)
    assert shop.database.transcripts[transcription_id].text == "word1 word2 word3"
    assert transcription_id not in shop.database.passages


def test_the_step_measures_what_the_whole_came_to() -> None:
    shop = Workshop()
    transcription_id, run = recognised(shop)
    settled = shop.steps.settle(transcription_id, run)
    assert (settled.engine, settled.segments, settled.words, settled.degraded) == ("fake", 3, 3, False)


def test_the_record_is_closed_with_its_measurements() -> None:
    shop = Workshop()
    shop.engine = Listening(shop)
    transcription_id, run = recognised(shop)
    result = result_of(shop, transcription_id, run)
    closed = shop.transcription(transcription_id)
    assert (closed.status, closed.progress) == (Status.COMPLETED, 1)
    assert (result.engine, result.model, result.language) == ("fake", "fake-1", "en")
    assert (result.audio_seconds, result.speech_seconds, result.word_count) == (3, 3, 3)
    assert (result.processing_seconds, result.real_time_factor) == (6, 2)


def test_the_event_comes_with_the_commit() -> None:
    shop = Workshop()
    transcription_id, run = recognised(shop)
    shop.steps.settle(transcription_id, run)
    assert shop.database.events[-1].type == "transcription.completed"


def test_a_second_best_engine_marks_the_record() -> None:
    shop = Workshop(engine=FakeEngine(degraded_reason=SECOND_BEST))
    transcription_id, run = recognised(shop)
    assert result_of(shop, transcription_id, run).degraded_reasons == (SECOND_BEST,)


def test_a_full_quality_engine_does_not() -> None:
    shop = Workshop()
    transcription_id, run = recognised(shop)
    assert result_of(shop, transcription_id, run).degraded_reasons == ()


def test_failed_tries_count_as_processing_but_a_dead_workers_time_does_not() -> None:
    shop = Workshop()
    shop.engine = Listening(shop, failures=[EngineFailed("busy", engine="fake")])
    transcription_id, _ = recognised(shop, seconds=1)
    with shop.database.unit_of_work() as uow:
        transcription = uow.transcriptions.get(transcription_id)
        transcription.begin_attempt(engine="fake", model="fake-1", at=shop.clock())
        shop.clock.now += timedelta(hours=1)
        run = transcription.start(shop.clock())
        uow.transcriptions.save(transcription)
        uow.commit()
    assert result_of(shop, transcription_id, run).processing_seconds == 4


def test_no_word_in_all_that_speech_is_a_failure_that_says_so() -> None:
    shop = Workshop(engine=Deaf())
    transcription_id, run = recognised(shop)
    with pytest.raises(InvalidAudio):
        shop.steps.settle(transcription_id, run)
    failed = shop.transcription(transcription_id)
    assert failed.status is Status.FAILED
    assert failed.failure is not None
    assert failed.failure.code == "no_words"
    assert transcription_id not in shop.database.transcripts


def test_a_run_that_was_taken_over_does_not_close_the_record() -> None:
    shop = Workshop()
    transcription_id, run = recognised(shop)
    work_on(shop, transcription_id)
    with pytest.raises(Superseded):
        shop.steps.settle(transcription_id, run)
    assert shop.transcription(transcription_id).status is Status.RUNNING


def test_the_engine_that_heard_most_of_it_gives_its_name() -> None:
    shop = Workshop()
    transcription_id = shop.submitted(speech(3)).id

    def stop_before(number: int) -> None:
        if number == 2:
            raise KeyboardInterrupt

    shop.engine.on_passage = stop_before
    with pytest.raises(KeyboardInterrupt):
        work_on(shop, transcription_id)
    shop.engine = FakeEngine("other", degraded_reason=SECOND_BEST)
    run = work_on(shop, transcription_id)
    result = result_of(shop, transcription_id, run)
    assert (result.engine, result.degraded_reasons) == ("other", (SECOND_BEST,))


def test_segments_keep_the_engine_that_heard_them() -> None:
    shop = Workshop()
    transcription_id, run = recognised(shop, seconds=1)
    shop.steps.settle(transcription_id, run)
    (segment,) = shop.database.transcripts[transcription_id].segments
    assert isinstance(segment, Segment)
    assert segment.engine == "fake"


# ── What is missing, and what nobody said ────────────────────────────────────────────────────────────────


@dataclass
class Says(FakeEngine):
    """Gives these words, each a second long, at these seconds of the first passage, whatever it hears."""

    at: tuple[float, ...] = ()
    name: str = "fake"
    limits: PassageLimits = field(default=PassageLimits(seconds=60, pause_seconds=30))

    def recognise(self, pcm, request, call=None):
        self.heard.append(pcm)
        if len(self.heard) == 1:
            for second in self.at:
                word = Word("word", second, second + 1, 0.9)
                yield Segment(start_seconds=second, end_seconds=second + 1, text="word", words=(word,))


def test_a_record_that_lacks_nothing_says_so() -> None:
    shop = Workshop()
    coverage = result_of(shop, *recognised(shop)).coverage
    assert (coverage.ratio, coverage.gaps, coverage.dropped) == (1, (), ())


def test_speech_without_text_is_told_and_makes_the_record_second_best() -> None:
    shop = Workshop(engine=Says(at=(0, 1, 2, 7, 8)))
    result = result_of(shop, *recognised(shop, seconds=9))
    assert result.coverage.gaps == (Span(3, 7),)
    assert result.degraded_reasons == ("4.0 s of 9.0 s that sound like speech have no text",)


def test_words_where_nobody_speaks_are_told_but_not_in_the_transcript() -> None:
    shop = Workshop(engine=Says(at=(0, 1, 10)))
    transcription_id = shop.submitted(speech(2) + bytes(len(speech(18))) + speech(1)).id
    result = result_of(shop, transcription_id, work_on(shop, transcription_id))
    assert [segment.start_seconds for segment in result.coverage.dropped] == [10]
    assert shop.database.transcripts[transcription_id].text == "word word"


def test_a_change_of_engine_makes_the_record_second_best() -> None:
    refused = EngineNotAuthenticated("The key is wrong.", engine="fake", provider_status=401)
    shop = Workshop(engine=FakeEngine(failures=[refused]), others=[FakeEngine("second")])
    result = result_of(shop, *recognised(shop))
    assert result.degraded_reasons == ("fake could not go on (engine_not_authenticated), so second took over",)
