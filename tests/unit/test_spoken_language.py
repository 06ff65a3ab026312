"""One language for a recording, told by an engine that can tell; and nothing that an engine can't do is passed over."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from hansard.application.ports.engines import EngineCall, Recognition
from hansard.domain.errors import EngineFailed, EngineRejected
from hansard.domain.transcript import Segment
from hansard.domain.transcription import Parameters, Status, Task, Transcription
from tests.fakes import FakeEngine
from tests.workshop import Workshop, speech

BROKEN = EngineFailed("It is broken.", engine="fake", provider_status=503)


@dataclass
class Ear(FakeEngine):
    """Detects `hears`, and writes in it, or in English when it translates. Refuses all but `understands`, if given."""

    hears: str = "de"
    understands: str | None = None

    def model_for(self, request: Recognition) -> str:
        if self.understands and request.language not in {None, self.understands}:
            raise EngineRejected("It does not understand that.", engine=self.name, code="unsupported_language")
        return super().model_for(request)

    def recognise(self, pcm: bytes, request: Recognition, call: EngineCall | None = None) -> Iterator[Segment]:
        self.model_for(request)
        for segment in super().recognise(pcm, request, call):
            if request.language is None and call is not None:
                call.spoken.append(self.hears)
            written = "en" if request.task is Task.TRANSLATE else request.language or self.hears
            yield replace(segment, language=written)


def fails_at(engine: FakeEngine, passage: int) -> None:
    """For good."""

    def fail(number: int) -> None:
        if number >= passage:
            raise BROKEN

    engine.on_passage = fail


def transcribed(shop: Workshop, asked: Parameters | None = None, *, seconds: int = 3) -> Transcription:
    return shop.transcribe(shop.submitted(speech(seconds), asked).id)


def languages(engine: FakeEngine) -> list[str | None]:
    return [request.language for request in engine.requests]


def test_the_language_that_one_engine_detected_holds_for_the_next() -> None:
    shop = Workshop(engine=Ear(hears="de"), others=[Ear(name="second", hears="nl")])
    fails_at(shop.engine, 2)
    assert transcribed(shop).result.language == "de"
    assert set(languages(shop.others[0])) == {"de"}


def test_what_an_engine_of_lesser_quality_takes_for_granted_is_told_to_no_other() -> None:
    shop = Workshop(engine=Ear(hears="en", degraded_reason="knows English only"), others=[Ear(name="second")])
    fails_at(shop.engine, 2)
    transcribed(shop)
    assert languages(shop.others[0])[0] is None


def test_nor_is_it_told_by_the_next_worker() -> None:
    shop = Workshop(engine=Ear(hears="en", degraded_reason="knows English only"))
    fails_at(shop.engine, 2)
    record = transcribed(shop)
    shop.others = [Ear(name="second")]
    shop.retry(record.id)
    shop.transcribe(record.id)
    assert languages(shop.others[0])[0] is None


def test_an_engine_that_does_not_know_the_language_that_was_detected_is_not_tried() -> None:
    english = Ear(name="second", understands="en", degraded_reason="knows English only")
    shop = Workshop(engine=Ear(hears="de"), others=[english])
    fails_at(shop.engine, 2)
    record = transcribed(shop)
    assert (record.status, english.heard) == (Status.FAILED, [])
    assert record.failure.code == BROKEN.failure.code


def test_nor_is_it_tried_by_the_next_worker() -> None:
    english = Ear(name="second", understands="en", degraded_reason="knows English only")
    shop = Workshop(engine=Ear(hears="de"), others=[english])
    fails_at(shop.engine, 2)
    record = transcribed(shop)
    shop.retry(record.id)
    shop.transcribe(record.id)
    assert english.heard == []


def test_a_translation_is_heard_in_the_language_spoken_not_in_that_of_its_text() -> None:
    shop = Workshop(engine=Ear(hears="de"))
    record = transcribed(shop, Parameters(task=Task.TRANSLATE))
    assert languages(shop.engine) == [None, "de", "de"]
    assert record.result.language == "en"


def test_a_translation_by_an_engine_that_does_not_tell_what_is_spoken_says_nothing_of_it() -> None:
    shop = Workshop()
    transcribed(shop, Parameters(task=Task.TRANSLATE))
    assert languages(shop.engine) == [None, None, None]


def test_a_translation_that_another_worker_takes_up_is_not_taken_for_english_speech() -> None:
    shop = Workshop(engine=Ear(hears="de"))
    fails_at(shop.engine, 2)
    record = transcribed(shop, Parameters(task=Task.TRANSLATE), seconds=2)
    shop.engine.on_passage = lambda number: None
    shop.engine.requests.clear()
    shop.retry(record.id)
    shop.transcribe(record.id)
    assert languages(shop.engine) == [None]


def test_task_and_temperature_reach_the_engine_also_where_it_hears_again() -> None:
    class Deaf(Ear):
        """Hears nothing in the first five seconds, the first time."""

        def recognise(self, pcm: bytes, request: Recognition, call: EngineCall | None = None) -> Iterator[Segment]:
            said = list(super().recognise(pcm, request, call))
            return iter(said if len(self.requests) > 5 else [])

    shop = Workshop(engine=Deaf())
    transcribed(shop, Parameters(task=Task.TRANSLATE, temperature=0.3, prompt="Order!"), seconds=8)
    again = shop.engine.requests[8:]
    assert again
    assert {(request.task, request.temperature, request.prompt) for request in again} == {(Task.TRANSLATE, 0.3, None)}
    assert {request.language for request in again} == {"de"}


# ── Engines that were named ──────────────────────────────────────────────────────────────────────────────


def test_an_engine_that_is_named_alone_refuses_a_language_at_once() -> None:
    shop = Workshop(engine=Ear(understands="en"), others=[Ear(name="second")])
    with pytest.raises(EngineRejected):
        shop.submitted(speech(1), Parameters(engine="fake", language="de"))
    assert shop.database.transcriptions == {}


def test_another_engine_takes_over_what_the_one_named_cannot_do_and_that_is_told() -> None:
    shop = Workshop(engine=Ear(understands="en"), others=[Ear(name="second")])
    record = transcribed(shop, Parameters(engine="fake", language="de", model="large", fallback=True))
    assert (record.status, record.result.engine) == (Status.COMPLETED, "second")
    assert record.result.degraded_reasons == ("fake could not go on (unsupported_language), so second took over",)
    assert {request.model for request in shop.others[0].requests} == {None}


def test_a_model_that_nobody_knows_is_refused_even_so() -> None:
    unknown = EngineRejected("There is no such model.", engine="fake", code="unknown_model")
    shop = Workshop(engine=Ear(refuses=unknown), others=[Ear(name="second")])
    with pytest.raises(EngineRejected):
        shop.submitted(speech(1), Parameters(engine="fake", model="parrot", fallback=True))
