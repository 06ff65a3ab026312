"""The life of live sessions: how many there are, who comes back, and what becomes of what was said."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from hansard.application.live import LiveSession
from hansard.application.live_sessions import EMPTY_KEPT_SECONDS, RECONNECT_SECONDS, LiveChange
from hansard.application.ports.engines import TokenUsage
from hansard.domain.audio import BYTES_PER_SECOND
from hansard.domain.errors import (
    ConfigurationError,
    Conflict,
    EngineFailed,
    EngineStopped,
    InvalidAudio,
    InvalidRequest,
    NotFound,
    QueueFull,
    StorageError,
    TooManySessions,
)
from hansard.domain.events import EngineAttempted
from hansard.domain.live import LiveEnded, LiveRequest, SpeechStarted, UtteranceRecognised
from hansard.domain.transcription import Parameters, Status
from tests.audio_files import silence
from tests.fakes import FakeEngine
from tests.unit.test_live_session import REQUEST, SENTENCE, Client, client_of, recognise_all
from tests.workshop import ROOM_ENOUGH, Workshop, speech


def restarted(shop: Workshop) -> Workshop:
    """As after kill -9: nothing of the process is left, and its locks are gone."""
    after = Workshop(engine=shop.engine, clock=shop.clock, database=shop.database, store=shop.store)
    after.live_spool.streams = shop.live_spool.streams
    for stream in after.live_spool.streams.values():
        stream.spool = after.live_spool
        stream.release()
    return after


def ended(client: Client) -> LiveEnded:
    """The end, with a thread's work done by hand before it."""
    recognise_all(client.session)
    return client.shop.live.end(client.session)


def texts(shop: Workshop, transcription_id: UUID) -> list[str]:
    with shop.database.unit_of_work() as uow:
        return [passage.segments[0].text for passage in uow.transcripts.passages(transcription_id)]


def test_an_ended_session_is_a_recording_and_a_queued_transcription_with_what_was_recognised() -> None:
    shop = Workshop()
    client = client_of(shop, replace(REQUEST, parameters=Parameters(language="en"), request_id="r-1"))
    client.send(SENTENCE)
    over = ended(client)
    assert over.transcription_id == client.session.id
    transcription = shop.transcription(client.session.id)
    assert (transcription.status, transcription.audio_id) == (Status.QUEUED, over.audio_id)
    assert (transcription.parameters.language, transcription.request_id) == ("en", "r-1")
    assert texts(shop, transcription.id) == ["word1"]
    assert shop.database.jobs == [transcription.id]
    assert not shop.live_spool.streams
    assert list(shop.store.objects.values()) == [SENTENCE]


def test_the_worker_does_only_what_is_left() -> None:
    shop = Workshop()
    client = client_of(shop)
    client.send(speech(2) + silence(1))
    recognise_all(client.session)
    client.send(silence(4) + speech(1))
    client.session.finish(patience_seconds=0.0)
    over = shop.live.end(client.session)
    assert over.transcription_id is not None
    done = shop.transcribe(over.transcription_id)
    assert done.status is Status.COMPLETED
    # One of two seconds live, and one of the last second by the worker.
    assert [len(pcm) for pcm in shop.engine.heard[1:]] == [len(speech(1))]


def test_a_session_without_audio_leaves_nothing() -> None:
    shop = Workshop()
    over = shop.live.end(shop.live.begin(REQUEST))
    assert (over.transcription_id, over.audio_id) == (None, None)
    assert not shop.live_spool.streams
    assert not shop.database.transcriptions


def test_a_session_that_is_over_cannot_be_ended_or_joined() -> None:
    shop = Workshop()
    client = client_of(shop)
    ended(client)
    with pytest.raises(Conflict):
        shop.live.end(client.session)
    with pytest.raises(Conflict):
        shop.live.join(client.session, client.tell)


def test_a_queue_that_has_filled_up_since_does_not_keep_a_session_from_being_stored() -> None:
    shop = Workshop()
    client = client_of(shop)
    client.send(SENTENCE)
    shop.live.submit = replace(shop.submit, policy=replace(ROOM_ENOUGH, most_waiting=0))
    assert ended(client).transcription_id is not None


def test_a_session_that_could_not_be_stored_is_stored_later() -> None:
    shop = Workshop()
    client = client_of(shop)
    client.send(SENTENCE)
    put = shop.store.put

    def refuse(source: object) -> None:
        raise StorageError("The store is away.")

    shop.store.put = refuse  # type: ignore[method-assign, assignment]
    with pytest.raises(StorageError):
        ended(client)
    shop.store.put = put  # type: ignore[method-assign]
    shop.clock.advance(RECONNECT_SECONDS + 1)
    shop.live.sweep()
    assert texts(shop, client.session.id) == ["word1"]
    assert shop.live_changes[-2:] == [LiveChange.KEPT, LiveChange.STORED]


def test_what_is_no_recording_is_put_aside() -> None:
    shop = Workshop()
    client = client_of(shop)
    with pytest.raises(InvalidAudio):
        client.send(b"bad!")

    class Refusing:
        def probe(self, source):
            raise InvalidAudio("Not audio.", code="not_audio")

    shop.live.upload = replace(shop.upload, decoder=Refusing())
    with pytest.raises(InvalidAudio):
        shop.live.end(client.session)
    assert shop.live_spool.aside == [client.session.id]


# ── What engines did ─────────────────────────────────────────────────────────────────────────────────────


def slow_engine(shop: Workshop, *, seconds: float) -> None:
    shop.engine.on_passage = lambda number: shop.clock.advance(seconds)


def attempts(shop: Workshop, client: Client) -> list[tuple[str, str, str, float, float | None]]:
    return [
        (each.kind, each.engine, each.outcome, round(each.recognised_seconds, 1), each.processing_seconds)
        for each in shop.transcription(client.session.id).attempts
    ]


def test_the_work_of_an_engine_in_a_session_is_an_attempt_of_the_transcription() -> None:
    shop = Workshop()
    slow_engine(shop, seconds=0.5)
    client = client_of(shop, replace(REQUEST, interims=False))
    began_at = shop.clock()
    for _ in range(2):
        client.send(SENTENCE)
        recognise_all(client.session)
        shop.clock.advance(60)
    shop.live.end(client.session)
    # Two utterances of 2.3 s: the second begins in silence, and has that on both sides.
    assert attempts(shop, client) == [("live", "fake", "succeeded", 4.9, 1.0)]
    (attempt,) = shop.transcription(client.session.id).attempts
    assert (attempt.number, attempt.model, attempt.started_at) == (1, "fake-1", began_at)
    assert attempt.ended_at == began_at + timedelta(seconds=61)


def test_interims_are_an_attempt_of_their_own_since_they_cost_but_say_nothing() -> None:
    shop = Workshop()
    slow_engine(shop, seconds=0.25)
    client = client_of(shop)
    for second in (speech(1), speech(1), silence(1)):
        client.send(second)
        recognise_all(client.session)
    shop.live.end(client.session)
    assert attempts(shop, client) == [
        ("interims", "fake", "succeeded", 3.0, 0.5),
        ("live", "fake", "succeeded", 2.3, 0.25),
    ]


def test_what_an_engine_was_paid_for_is_in_its_attempt() -> None:
    class Charging(FakeEngine):
        def recognise(self, pcm, request, call=None):
            assert call is not None
            call.request_ids.append(f"req-{len(self.heard) + 1}")
            call.usage.append(TokenUsage(input_tokens=40, output_tokens=9))
            return super().recognise(pcm, request, call)

    shop = Workshop(engine=Charging())
    client = client_of(shop)
    client.send(SENTENCE + SENTENCE)
    ended(client)
    (attempt,) = shop.transcription(client.session.id).attempts
    assert (attempt.input_tokens, attempt.output_tokens, attempt.provider_request_id) == (80, 18, "req-2")


def test_the_failures_of_a_session_are_one_attempt_for_each_way_of_failing() -> None:
    shop = Workshop(others=[FakeEngine("second")])
    shop.engine.failures = [EngineFailed("It broke.", engine="fake"), EngineFailed("Again.", engine="fake")]
    slow_engine(shop, seconds=2)
    client = client_of(shop)
    client.send(SENTENCE * 3)
    ended(client)
    assert attempts(shop, client) == [
        ("live", "fake", "failed", 0.0, 4.0),
        ("live", "second", "succeeded", 4.9, 0.0),
        ("live", "fake", "succeeded", 2.6, 2.0),
    ]
    failure = shop.transcription(client.session.id).attempts[0].failure
    assert failure is not None
    assert failure.message == "Again."


def test_an_engine_that_is_called_off_at_the_end_was_at_work_all_the_same() -> None:
    shop = Workshop()
    client = client_of(shop)
    client.send(SENTENCE)
    shop.engine.on_passage = lambda number: client.session.give_up()
    shop.engine.failures = [EngineStopped("Given up.", engine="fake")]
    client.session.recognise_next()
    shop.live.end(client.session)
    assert attempts(shop, client) == [("live", "fake", "abandoned", 0.0, 0.0)]


def test_the_attempts_of_a_session_are_events_like_any_other() -> None:
    shop = Workshop()
    client = client_of(shop)
    client.send(SENTENCE)
    ended(client)
    told = [event for event in shop.database.events if isinstance(event, EngineAttempted)]
    assert [(event.number, event.kind, event.recognised_seconds) for event in told] == [(1, "live", 2.3)]


def test_what_a_worker_does_afterwards_are_further_attempts() -> None:
    shop = Workshop()
    client = client_of(shop)
    client.send(SENTENCE)
    ended(client)
    done = shop.transcribe(client.session.id)
    assert [(each.number, each.kind) for each in done.attempts] == [(1, "live"), (2, "recording")]


def test_the_time_of_a_transcription_is_that_of_engines_at_work_not_of_people_who_think() -> None:
    shop = Workshop()
    slow_engine(shop, seconds=0.5)
    client = client_of(shop)
    for _ in range(2):
        client.send(SENTENCE)
        recognise_all(client.session)
        shop.clock.advance(60)
    shop.live.end(client.session)
    result = shop.transcribe(client.session.id).result
    assert result is not None
    assert result.processing_seconds == 1.0


def test_work_is_counted_once_whether_it_was_done_before_or_after_a_crash() -> None:
    shop = Workshop()
    client = client_of(shop)
    client.send(SENTENCE + SENTENCE)
    client.session.recognise_next()
    after = restarted(shop)
    resumed = after.live.resume(client.session.id)
    assert isinstance(resumed, LiveSession)
    back = Client(after, resumed)
    back.send(SENTENCE)
    ended(back)
    (attempt,) = after.transcription(client.session.id).attempts
    heard = [len(pcm) / BYTES_PER_SECOND for pcm in shop.engine.heard]
    assert (len(heard), attempt.recognised_seconds) == (3, pytest.approx(sum(heard)))


# ── Room ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_more_sessions_than_are_allowed_are_refused_until_one_ends() -> None:
    shop = Workshop()
    first, _ = client_of(shop), client_of(shop)
    with pytest.raises(TooManySessions):
        shop.live.begin(REQUEST)
    ended(first)
    assert isinstance(shop.live.begin(REQUEST), LiveSession)


def test_who_came_and_went_without_a_word_keeps_nobody_out() -> None:
    shop = Workshop()
    for client in (client_of(shop), client_of(shop)):
        shop.live.leave(client.session, client.tell)
    with pytest.raises(TooManySessions):
        shop.live.begin(REQUEST)
    shop.clock.advance(EMPTY_KEPT_SECONDS)
    kept = client_of(shop)
    kept.send(speech(1))
    shop.live.leave(kept.session, kept.tell)
    present = client_of(shop)
    shop.clock.advance(EMPTY_KEPT_SECONDS)
    with pytest.raises(TooManySessions):
        shop.live.begin(REQUEST)
    assert list(shop.live_spool.streams) == [kept.session.id, present.session.id]
    assert shop.live_changes.count(LiveChange.EMPTY) == 2


def test_the_load_is_that_of_all_sessions_and_what_was_heard_stays_in_it() -> None:
    shop = Workshop()
    over, waiting = client_of(shop), client_of(shop)
    over.send(SENTENCE)
    ended(over)
    waiting.send(SENTENCE)

    load = shop.live.load()

    assert load.sessions == 1
    assert load.heard_seconds == 2 * len(SENTENCE) / BYTES_PER_SECOND
    assert load.backlog_seconds == waiting.session.backlog_seconds > 0


def test_a_service_without_live_sessions_says_so() -> None:
    shop = Workshop()
    shop.live_policy = replace(shop.live_policy, most_sessions=0)
    with pytest.raises(ConfigurationError) as refused:
        shop.live.begin(REQUEST)
    assert refused.value.failure.code == "live_off"


def test_a_session_does_not_begin_when_the_queue_is_full() -> None:
    shop = Workshop(queue_policy=replace(ROOM_ENOUGH, most_waiting=0))
    with pytest.raises(QueueFull):
        shop.live.begin(REQUEST)


def test_an_unknown_engine_is_refused_at_once() -> None:
    shop = Workshop()
    with pytest.raises(InvalidRequest):
        shop.live.begin(replace(REQUEST, parameters=Parameters(engine="nobody")))


# ── Coming back ──────────────────────────────────────────────────────────────────────────────────────────


def test_a_client_that_comes_back_within_a_minute_goes_on_where_it_was() -> None:
    shop = Workshop()
    client = client_of(shop)
    client.send(speech(1))
    shop.live.leave(client.session, client.tell)
    shop.clock.advance(RECONNECT_SECONDS - 1)
    shop.live.sweep()
    resumed = shop.live.resume(client.session.id)
    assert isinstance(resumed, LiveSession)
    back = Client(shop, resumed)
    assert resumed.received_bytes == len(speech(1))
    back.send(speech(1) + silence(1))
    recognise_all(resumed)
    assert back.finals() == ["word1"]
    assert shop.engine.heard == [speech(2) + silence(0.3)]


def test_who_comes_back_is_told_what_was_recognised_meanwhile() -> None:
    shop = Workshop()
    client = client_of(shop)
    client.send(SENTENCE)
    recognise_all(client.session)
    client.send(SENTENCE)
    shop.live.leave(client.session, client.tell)
    recognise_all(client.session)
    assert client.finals() == ["word1"]
    assert Client(shop, client.session, after=1).told_again() == [2]
    assert Client(shop, client.session).told_again() == [1, 2]


def test_the_session_of_a_client_that_stays_away_is_stored() -> None:
    shop = Workshop()
    client = client_of(shop)
    client.send(SENTENCE)
    recognise_all(client.session)
    shop.live.leave(client.session, client.tell)
    shop.clock.advance(RECONNECT_SECONDS)
    shop.live.sweep()
    assert texts(shop, client.session.id) == ["word1"]


def test_a_session_whose_client_is_there_is_not_swept_however_long_it_is_silent() -> None:
    shop = Workshop()
    client = client_of(shop)
    client.send(speech(1))
    shop.clock.advance(10 * RECONNECT_SECONDS)
    shop.live.sweep()
    client.send(speech(1))
    assert client.session.received_bytes == len(speech(2))


def test_who_comes_back_too_late_is_told_how_it_ended() -> None:
    shop = Workshop()
    client = client_of(shop)
    client.send(SENTENCE)
    over = ended(client)
    assert shop.live.resume(client.session.id) == over


def test_nobody_comes_back_to_a_session_that_never_was() -> None:
    with pytest.raises(NotFound) as refused:
        Workshop().live.resume(uuid4())
    assert refused.value.failure.code == "unknown_session"


# ── After kill -9 ────────────────────────────────────────────────────────────────────────────────────────


def test_a_session_of_a_dead_process_is_stored_when_nobody_comes_back() -> None:
    shop = Workshop()
    client = client_of(shop)
    client.send(SENTENCE + speech(1))
    client.session.recognise_next()
    after = restarted(shop)
    after.live.sweep()
    assert not after.database.transcriptions
    after.clock.advance(RECONNECT_SECONDS + 1)
    after.live.sweep()
    assert texts(after, client.session.id) == ["word1"]
    assert list(after.store.objects.values()) == [SENTENCE + speech(1)]


def test_a_client_comes_back_to_a_session_of_a_dead_process() -> None:
    shop = Workshop()
    client = client_of(shop)
    client.send(SENTENCE + SENTENCE + speech(1))
    client.session.recognise_next()
    after = restarted(shop)
    resumed = after.live.resume(client.session.id)
    assert isinstance(resumed, LiveSession)
    back = Client(after, resumed)
    assert resumed.received_bytes == len(SENTENCE + SENTENCE + speech(1))
    back.send(silence(1))
    recognise_all(resumed)
    told = [event.utterance.number for event in back.told if isinstance(event, UtteranceRecognised)]
    assert (back.told_again(), told) == ([1], [2, 3])
    assert SpeechStarted not in back.kinds()
    ended(back)
    assert len(texts(after, client.session.id)) == 3


@pytest.mark.parametrize("request_", [REQUEST, replace(REQUEST, by_voice=None)])
def test_what_a_client_had_committed_is_not_heard_again_after_a_crash(request_: LiveRequest) -> None:
    shop = Workshop()
    client = client_of(shop, request_)
    for _ in range(2):
        client.send(speech(1)[:31_998])
        client.session.commit()
        recognise_all(client.session)
    client.send(speech(1))
    after = restarted(shop)
    resumed = after.live.resume(client.session.id)
    assert isinstance(resumed, LiveSession)
    back = Client(after, resumed)
    assert resumed.commit()
    recognise_all(resumed)
    assert back.told_again() == [1, 2]
    ended(back)
    assert [len(pcm) for pcm in shop.engine.heard] == [31_998, 31_998, 32_000]
    assert len(texts(after, client.session.id)) == 3


def test_a_process_that_died_between_storing_and_tidying_up_stores_nothing_twice() -> None:
    shop = Workshop()
    client = client_of(shop)
    client.send(SENTENCE)
    stream = shop.live_spool.streams[client.session.id]
    ended(client)
    shop.live_spool.streams[client.session.id] = stream
    after = restarted(shop)
    after.clock.advance(RECONNECT_SECONDS + 1)
    after.live.sweep()
    assert len(after.database.transcriptions) == len(after.database.audio) == 1
    assert not after.live_spool.streams


def test_a_process_that_stops_leaves_its_sessions_to_the_next() -> None:
    shop = Workshop()
    client = client_of(shop)
    client.send(SENTENCE)
    shop.live.stop()
    after = restarted(shop)
    assert isinstance(after.live.resume(client.session.id), LiveSession)
