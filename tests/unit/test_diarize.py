"""The step that finds out who speaks, and what becomes of it."""

from dataclasses import replace
from uuid import UUID

import pytest

from hansard.application.ports.engines import EngineState, EngineStatus
from hansard.domain.diarization import SpeakerBounds
from hansard.domain.errors import DiarizationFailed, EngineRateLimited, InvalidAudio, InvalidRequest
from hansard.domain.transcription import Channels, Parameters, Status
from tests.fakes import FakeAudioDecoder, FakeDiarizer, FakeEngine
from tests.workshop import Workshop, speech

WHO = Parameters(diarize=True)
APART = Parameters(channels=Channels.SEPARATE)
UNAVAILABLE = EngineStatus(state=EngineState.UNAVAILABLE, detail="no weights", help="Install them.")


class Naming(FakeEngine):
    """Tells speakers apart itself, within a passage."""

    def recognise(self, pcm, request, call=None):
        for segment in super().recognise(pcm, request, call):
            yield replace(segment, speaker="A", words=())


def transcribed(shop: Workshop, seconds: int = 3, parameters: Parameters = WHO) -> UUID:
    transcription = shop.submitted(speech(seconds), parameters)
    shop.transcribe(transcription.id)
    assert shop.transcription(transcription.id).status is Status.COMPLETED
    return transcription.id


def speakers(shop: Workshop, transcription_id: UUID) -> list[str | None]:
    return [segment.speaker for segment in shop.database.transcripts[transcription_id].segments]


def test_every_segment_has_the_speaker_of_its_turn() -> None:
    shop = Workshop()
    assert speakers(shop, transcribed(shop)) == ["1", "2", "1"]


def test_who_does_not_ask_is_not_told() -> None:
    shop = Workshop()
    assert speakers(shop, transcribed(shop, parameters=Parameters())) == [None, None, None]
    assert shop.diarizer.asked == []


def test_the_diarizer_hears_how_many_speak() -> None:
    shop = Workshop()
    transcribed(shop, parameters=Parameters(diarize=True, min_speakers=1, max_speakers=3))
    assert shop.diarizer.asked == [SpeakerBounds(least=1, most=3)]


@pytest.mark.parametrize("failure", [DiarizationFailed("It is too noisy."), MemoryError()])
def test_a_failure_costs_the_speakers_and_not_the_text(failure: Exception) -> None:
    shop = Workshop(diarizer=FakeDiarizer(failures=[failure]))
    made = transcribed(shop)
    assert shop.database.transcripts[made].text == "word1 word2 word3"
    assert speakers(shop, made) == [None, None, None]


def test_a_failure_is_told_as_a_warning_with_what_to_do() -> None:
    shop = Workshop(diarizer=FakeDiarizer(failures=[DiarizationFailed("It is too noisy.", help="Try sherpa.")]))
    made = transcribed(shop)
    assert shop.transcription(made).warnings == ("Nobody could tell who speaks: It is too noisy. Try sherpa.",)


def test_a_diarizer_that_is_gone_when_the_work_comes_is_a_warning() -> None:
    ready = EngineStatus(state=EngineState.READY, detail="ready")
    shop = Workshop(diarizer=FakeDiarizer(states=[ready, UNAVAILABLE]))
    (warning,) = shop.transcription(transcribed(shop)).warnings
    assert "no weights" in warning
    assert "Install them." in warning


def test_what_a_diarizer_is_bad_at_is_told_with_its_turns() -> None:
    shop = Workshop(diarizer=FakeDiarizer(limitation="It guesses."))
    assert shop.transcription(transcribed(shop)).warnings == ("It guesses.",)


def test_a_diarizer_that_cannot_work_here_is_told_when_it_is_asked_for() -> None:
    shop = Workshop(diarizer=FakeDiarizer(states=[UNAVAILABLE]))
    with pytest.raises(InvalidRequest) as raised:
        shop.submitted(speech(1), WHO)
    assert raised.value.failure.code == "diarization_unavailable"
    assert "Install them." in (raised.value.failure.help or "")


def test_turns_that_are_on_record_are_not_worked_out_again() -> None:
    shop = Workshop()
    submitted = shop.submitted(speech(2), WHO)
    run = started(shop, submitted.id)
    shop.steps.prepare(submitted.id, run)
    shop.steps.recognise(submitted.id, run)
    first = shop.steps.diarize(submitted.id, run)
    assert shop.steps.diarize(submitted.id, run) == first
    assert len(shop.diarizer.asked) == 1


def test_new_wishes_forget_the_turns() -> None:
    failing = FakeEngine(failures=[EngineRateLimited("slow down", engine="fake")] * 9)
    shop = Workshop(engine=failing)
    submitted = shop.submitted(speech(2), WHO)
    shop.transcribe(submitted.id)
    with shop.database.unit_of_work() as uow:
        uow.transcripts.save_turns(submitted.id, ())
        uow.commit()
    shop.retry(submitted.id, Parameters(diarize=True, max_speakers=1))
    assert submitted.id not in shop.database.turns


def test_a_cancellation_stops_the_diarizer() -> None:
    shop = Workshop()
    submitted = shop.submitted(speech(2), WHO)
    told: list[bool] = []

    def cancelled_meanwhile(stop) -> None:
        shop.cancel(submitted.id)
        told.append(stop.wait(10))

    shop.diarizer.on_work = cancelled_meanwhile
    shop.transcribe(submitted.id)
    assert told == [True]
    assert shop.transcription(submitted.id).status is Status.CANCELLED


def test_a_diarizer_under_which_workers_die_is_not_tried_for_ever() -> None:
    shop = Workshop()
    submitted = shop.submitted(speech(2), WHO)
    run = started(shop, submitted.id)
    shop.steps.prepare(submitted.id, run)
    shop.steps.recognise(submitted.id, run)
    shop.database.transcriptions[submitted.id].crashes = 2
    shop.steps.diarize(submitted.id, run)
    assert shop.diarizer.asked == []
    assert "died 2 times" in shop.transcription(submitted.id).warnings[0]


def test_an_engine_that_heard_it_all_in_one_go_is_believed() -> None:
    shop = Workshop(engine=Naming())
    made = transcribed(shop, seconds=1)
    assert speakers(shop, made) == ["A"]
    assert shop.diarizer.asked == []


def test_an_engine_that_took_several_passages_is_overruled() -> None:
    shop = Workshop(engine=Naming())
    assert speakers(shop, transcribed(shop, seconds=2)) == ["1", "2"]


def test_audio_that_is_not_on_this_machine_is_decoded_again() -> None:
    shop = Workshop()
    submitted = shop.submitted(speech(2), WHO)
    run = started(shop, submitted.id)
    shop.steps.prepare(submitted.id, run)
    shop.steps.recognise(submitted.id, run)
    shop.prepared.remove(submitted.id)
    assert shop.steps.diarize(submitted.id, run).turns == 2


# ── Channels heard apart ─────────────────────────────────────────────────────────────────────────────────


def stereo(left: bytes, right: bytes) -> tuple[Workshop, bytes]:
    return Workshop(decoder=FakeAudioDecoder(channels=2)), left + right


def apart(shop: Workshop, pcm: bytes) -> UUID:
    transcription = shop.submitted(pcm, APART)
    shop.transcribe(transcription.id)
    return transcription.id


def test_each_channel_is_a_speaker_and_all_is_in_order_of_time() -> None:
    left, right = speech(1) + bytes(len(speech(2))), bytes(len(speech(2))) + speech(1)
    shop, pcm = stereo(left, right)
    made = apart(shop, pcm)
    segments = shop.database.transcripts[made].segments
    assert [(each.text, each.speaker, each.start_seconds) for each in segments] == [
        ("word1", "1", 0.0),
        ("word2", "2", 2.0),
    ]


def test_the_length_is_that_of_the_recording() -> None:
    shop, pcm = stereo(speech(3), bytes(len(speech(3))))
    result = shop.transcription(apart(shop, pcm)).result
    assert result is not None
    assert (result.audio_seconds, result.coverage.ratio) == (3.0, 1.0)


def test_the_limit_is_the_recordings_not_that_of_all_channels_together() -> None:
    shop, pcm = stereo(speech(40), bytes(len(speech(40))))
    shop.engine.limits = replace(shop.engine.limits, seconds=60.0)
    assert shop.transcription(apart(shop, pcm)).status is Status.COMPLETED


def test_channels_that_say_the_same_are_heard_once() -> None:
    shop, pcm = stereo(speech(1), speech(1))
    made = apart(shop, pcm)
    assert shop.database.transcripts[made].text == "word1"
    assert "say the same" in shop.transcription(made).warnings[0]


def test_a_mono_recording_is_refused_when_it_is_asked_for() -> None:
    shop = Workshop()
    with pytest.raises(InvalidAudio) as raised:
        shop.submitted(speech(1), APART)
    assert raised.value.failure.code == "one_channel"


def started(shop: Workshop, transcription_id: UUID) -> int:
    with shop.database.unit_of_work() as uow:
        transcription = uow.transcriptions.get(transcription_id)
        run = transcription.start(shop.clock())
        uow.transcriptions.save(transcription)
        uow.commit()
    return run
