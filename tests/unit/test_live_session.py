"""One live session on fakes: what is told when, and what is kept. `recognise_next` stands for the session's thread."""

from dataclasses import fields, replace
from datetime import UTC, datetime

import pytest

from hansard.application.circuit_breaker import CircuitBreaker
from hansard.application.live import LiveSession, Tell
from hansard.application.live_recognition import PATIENCE_SECONDS
from hansard.application.ports.engines import EngineState, EngineStatus
from hansard.domain.errors import (
    Conflict,
    EngineFailed,
    EngineRejected,
    EngineUnavailable,
    InvalidRequest,
    StorageError,
)
from hansard.domain.live import (
    Encoding,
    EndPointing,
    Interim,
    Joined,
    LiveEvent,
    LiveRequest,
    SpeechStarted,
    SpeechStopped,
    TakenOver,
    UtteranceFailed,
    UtteranceRecognised,
)
from hansard.domain.transcription import Parameters
from tests.audio_files import silence
from tests.fakes import FakeEngine
from tests.workshop import Workshop, speech

RULES = EndPointing(threshold=0.5, silence_seconds=0.5, padding_seconds=0.3, longest_seconds=30.0)
REQUEST = LiveRequest(
    started_at=datetime(2026, 1, 1, tzinfo=UTC),
    encoding=Encoding.PCM16,
    sample_rate_hz=16_000,
    parameters=Parameters(),
    longest_seconds=30.0,
    by_voice=RULES,
)
SENTENCE = speech(2) + silence(1)


class Client:
    """A connection, and all that it was told."""

    def __init__(self, shop: Workshop, session: LiveSession, *, after: int = 0) -> None:
        self.shop, self.session = shop, session
        self.told: list[LiveEvent] = []
        self.tell: Tell = self.told.append
        shop.live.join(session, self.tell, after=after)

    def send(self, pcm: bytes, *, chunk_bytes: int = 3200) -> None:
        for start in range(0, len(pcm), chunk_bytes):
            self.session.receive(pcm[start : start + chunk_bytes], self.tell)

    def kinds(self) -> list[type]:
        return [type(event) for event in self.told if not isinstance(event, Joined)]

    def finals(self) -> list[str]:
        return [e.passage.segments[0].text for e in self.told if isinstance(e, UtteranceRecognised)]

    def told_again(self) -> list[int]:
        joined = self.told[0]
        assert isinstance(joined, Joined)
        return [recognised.utterance.number for recognised in joined.recognised]


def client_of(shop: Workshop, request: LiveRequest = REQUEST) -> Client:
    return Client(shop, shop.live.begin(request))


def recognise_all(session: LiveSession) -> None:
    while session.recognise_next():
        pass


def test_an_utterance_is_told_from_its_beginning_to_its_text() -> None:
    client = client_of(Workshop())
    client.send(SENTENCE)
    recognise_all(client.session)
    assert client.kinds() == [SpeechStarted, SpeechStopped, UtteranceRecognised]
    assert client.finals() == ["word1"]


def test_the_times_of_an_utterance_count_from_the_beginning_of_the_session() -> None:
    shop = Workshop()
    client = client_of(shop)
    client.send(silence(2) + SENTENCE)
    recognise_all(client.session)
    passage = shop.live_spool.streams[client.session.id].notes[0].passage
    assert round(passage.segments[0].start_seconds, 1) == 1.7
    assert round(passage.segments[0].words[0].end_seconds, 1) == 4.3
    assert passage.segments[0].engine == "fake"


def test_an_engine_is_given_the_samples_of_its_utterance_however_long_ago_the_session_began() -> None:
    shop = Workshop()
    client = client_of(shop)
    client.send(silence(60) + SENTENCE)
    recognise_all(client.session)
    (heard,) = shop.engine.heard
    assert heard == silence(0.3) + speech(2) + silence(0.3)


def test_an_odd_number_of_bytes_is_refused_and_not_taken_in() -> None:
    client = client_of(Workshop())
    with pytest.raises(InvalidRequest) as refused:
        client.session.receive(b"\1\2\3", client.tell)
    assert refused.value.failure.code == "odd_byte_count"
    assert client.session.received_bytes == 0


def test_what_could_not_be_kept_is_not_taken_in() -> None:
    shop = Workshop()
    client = client_of(shop)
    shop.live_spool.streams[client.session.id].failures.append(StorageError("The disk is full."))
    with pytest.raises(StorageError):
        client.send(SENTENCE)
    assert (client.session.received_bytes, client.session.received_seconds) == (0, 0.0)


def test_what_is_acknowledged_is_safe() -> None:
    shop = Workshop()
    client = client_of(shop)
    client.send(SENTENCE)
    stream = shop.live_spool.streams[client.session.id]
    assert stream.synced_bytes == 0
    assert client.session.acknowledge() == stream.synced_bytes == len(SENTENCE)


# ── Interims ─────────────────────────────────────────────────────────────────────────────────────────────


def test_what_is_being_said_is_told_now_and_then() -> None:
    client = client_of(Workshop())
    for _ in range(3):
        client.send(speech(1))
        recognise_all(client.session)
    texts = [event.text for event in client.told if isinstance(event, Interim)]
    assert texts == ["word1", "word2", "word3"]


def test_an_interim_waits_for_more_to_be_said() -> None:
    shop = Workshop()
    client = client_of(shop)
    client.send(speech(1))
    recognise_all(client.session)
    client.send(speech(1)[:16_000])
    recognise_all(client.session)
    assert len(shop.engine.heard) == 1


def test_after_a_slow_interim_the_next_comes_later() -> None:
    shop = Workshop()
    shop.engine.on_passage = lambda number: shop.clock.advance(2.0)
    client = client_of(shop)
    for _ in range(6):
        client.send(speech(1))
        recognise_all(client.session)
    assert len(shop.engine.heard) == 2


def test_nothing_is_heard_twice_while_an_utterance_waits() -> None:
    client = client_of(Workshop())
    client.send(SENTENCE + speech(2))
    client.session.recognise_next()
    assert client.finals() == ["word1"]
    assert Interim not in client.kinds()


def test_an_interim_that_comes_after_the_end_is_not_told() -> None:
    shop = Workshop()
    client = client_of(shop)
    client.send(speech(2))
    shop.engine.on_passage = lambda number: client.send(silence(1)) if number == 1 else None
    recognise_all(client.session)
    assert client.kinds() == [SpeechStarted, SpeechStopped, UtteranceRecognised]


@pytest.mark.parametrize(("asked", "told"), [(None, 0), (False, 0), (True, 1)])
def test_an_engine_that_is_paid_by_the_call_hears_nothing_twice_unless_asked(asked: bool | None, told: int) -> None:
    shop = Workshop()
    shop.live_policy = replace(shop.live_policy, charged_by_call=frozenset({"fake"}))
    client = client_of(shop, replace(REQUEST, interims=asked))
    client.send(speech(1))
    recognise_all(client.session)
    assert client.kinds().count(Interim) == told


def test_a_failing_interim_says_nothing() -> None:
    shop = Workshop()
    client = client_of(shop)
    shop.engine.failures = [EngineFailed("It broke.", engine="fake")]
    client.send(speech(1))
    recognise_all(client.session)
    assert client.kinds() == [SpeechStarted]


def test_an_interim_that_breaks_the_engine_does_not_break_the_session() -> None:
    def breaks(number: int) -> None:
        raise RuntimeError

    shop = Workshop()
    client = client_of(shop)
    shop.engine.on_passage = breaks
    client.send(speech(2))
    assert client.session.recognise_next()
    shop.engine.on_passage = lambda number: None
    client.send(silence(1))
    recognise_all(client.session)
    assert client.finals() == ["word1"]


# ── Engines ──────────────────────────────────────────────────────────────────────────────────────────────


def test_the_next_engine_takes_over_from_one_that_fails() -> None:
    shop = Workshop(others=[FakeEngine("second")])
    client = client_of(shop)
    shop.engine.failures = [EngineFailed("It broke.", engine="fake")]
    client.send(SENTENCE)
    recognise_all(client.session)
    assert shop.live_spool.streams[client.session.id].notes[0].passage.engine == "second"


def test_an_engine_whose_model_is_being_fetched_is_not_waited_for() -> None:
    preparing = EngineStatus(state=EngineState.PREPARING, detail="10 %")
    shop = Workshop(engine=FakeEngine(states=[preparing] * 20), others=[FakeEngine("second")])
    client = client_of(shop)
    client.send(SENTENCE)
    recognise_all(client.session)
    assert shop.live_spool.streams[client.session.id].notes[0].passage.engine == "second"


def test_what_no_engine_recognised_is_told_and_the_session_goes_on() -> None:
    shop = Workshop()
    client = client_of(shop)
    shop.engine.failures = [EngineFailed("It broke.", engine="fake")]
    client.send(SENTENCE + SENTENCE)
    recognise_all(client.session)
    failed = [event for event in client.told if isinstance(event, UtteranceFailed)]
    assert [event.failure.code for event in failed] == ["engine_failed"]
    assert client.finals() == ["word1"]


def test_what_an_engine_refuses_no_other_is_asked() -> None:
    shop = Workshop(others=[FakeEngine("second")])
    client = client_of(shop)
    shop.engine.failures = [EngineRejected("Not that.", engine="fake")]
    client.send(SENTENCE)
    recognise_all(client.session)
    assert client.kinds()[-1] is UtteranceFailed


def test_failures_count_towards_the_circuit() -> None:
    shop = Workshop()
    client = client_of(shop)
    shop.engine.failures = [EngineFailed("It broke.", engine="fake") for _ in range(5)]
    client.send(SENTENCE * 6)
    recognise_all(client.session)
    codes = [event.failure.code for event in client.told if isinstance(event, UtteranceFailed)]
    assert codes == ["engine_failed"] * 5 + ["circuit_open"]


def test_what_was_heard_counts_though_the_database_is_away() -> None:
    shop = Workshop()
    client = client_of(shop)

    class Away(CircuitBreaker):
        def succeeded(self, engine: str) -> None:
            raise StorageError("The database is away.")

    breaker = Away(**{each.name: getattr(shop.breaker, each.name) for each in fields(CircuitBreaker)})
    client.session.recognition = replace(client.session.recognition, breaker=breaker)
    client.send(SENTENCE)
    recognise_all(client.session)
    assert client.finals() == ["word1"]


def test_an_engine_that_does_not_answer_is_given_up() -> None:
    shop = Workshop()

    class Hanging(FakeEngine):
        def recognise(self, pcm, request, call=None):
            shop.clock.advance(PATIENCE_SECONDS + 1)
            call.stop.wait(30)
            yield from ()

    shop.engine = Hanging()
    client = client_of(shop)
    client.send(SENTENCE)
    client.session.recognise_next()
    failed = client.told[-1]
    assert isinstance(failed, UtteranceFailed)
    assert failed.failure.code == "engine_timed_out"


def test_a_session_does_not_begin_when_no_engine_can_listen() -> None:
    unavailable = EngineStatus(state=EngineState.UNAVAILABLE, detail="no model")
    shop = Workshop(engine=FakeEngine(states=[unavailable] * 5))
    with pytest.raises(EngineUnavailable):
        shop.live.begin(REQUEST)
    assert not shop.live_spool.streams


def test_the_language_of_the_first_utterance_is_that_of_the_session() -> None:
    shop = Workshop()
    client = client_of(shop)
    client.send(SENTENCE)
    recognise_all(client.session)
    client.send(SENTENCE)
    recognise_all(client.session)
    assert [request.language for request in shop.engine.requests] == [None, "en"]


# ── By hand, and at the end ──────────────────────────────────────────────────────────────────────────────


def test_without_end_pointing_only_a_commit_ends_an_utterance() -> None:
    client = client_of(Workshop(), replace(REQUEST, by_voice=None))
    client.send(SENTENCE + SENTENCE)
    assert client.kinds() == []
    assert client.session.commit()
    assert client.kinds() == [SpeechStopped]
    assert not client.session.commit()


def test_what_waits_is_counted_until_it_is_recognised() -> None:
    client = client_of(Workshop())
    client.send(SENTENCE + SENTENCE)
    assert 4.0 < client.session.backlog_seconds < 6.0
    recognise_all(client.session)
    assert client.session.backlog_seconds == 0.0


def test_what_is_being_said_at_the_end_is_an_utterance() -> None:
    client = client_of(Workshop())
    client.send(speech(2))
    client.session.finish(patience_seconds=0.0)
    assert client.kinds() == [SpeechStarted, SpeechStopped]


# ── Connections ──────────────────────────────────────────────────────────────────────────────────────────


def test_a_second_connection_takes_the_session_over() -> None:
    shop = Workshop()
    first = client_of(shop)
    first.send(speech(1))
    resumed = shop.live.resume(first.session.id)
    assert isinstance(resumed, LiveSession)
    second = Client(shop, resumed)
    with pytest.raises(Conflict) as refused:
        first.send(speech(1))
    second.send(speech(1) + silence(1))
    assert refused.value.failure.code == "session_taken_over"
    assert first.kinds()[-1] is TakenOver
    assert second.kinds() == [SpeechStopped]
    assert resumed.received_bytes == len(speech(2) + silence(1))
