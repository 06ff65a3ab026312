"""The first step: decoding, and finding the speech."""

from dataclasses import replace
from uuid import UUID

import pytest

from hansard.domain.errors import InvalidAudio, Superseded
from hansard.domain.speech import Span
from hansard.domain.transcription import Status
from tests.fakes import FakeAudioDecoder
from tests.workshop import Workshop, speech


def started(shop: Workshop, pcm: bytes) -> tuple[UUID, int]:
    transcription = shop.submitted(pcm)
    with shop.database.unit_of_work() as uow:
        taken = uow.transcriptions.get(transcription.id)
        run = taken.start(shop.clock())
        uow.transcriptions.save(taken)
        uow.commit()
    return transcription.id, run


class NoDecoder(FakeAudioDecoder):
    def decode(self, source, *, channel=None):
        raise AssertionError("it was decoded again")


def without_decoder(shop: Workshop):
    step = shop.steps.prepare
    return replace(step, prepare_audio=replace(step.prepare_audio, decoder=NoDecoder()))


def test_speech_and_decoded_audio_are_kept() -> None:
    shop = Workshop()
    pcm = speech(1) + bytes(len(speech(1))) + speech(1)
    transcription_id, run = started(shop, pcm)
    measured = shop.steps.prepare(transcription_id, run)
    assert shop.database.speech[transcription_id].regions == (Span(0, 1), Span(2, 3))
    assert shop.prepared.pcm[transcription_id] == pcm
    assert (measured.audio_seconds, measured.speech_seconds, measured.speech_regions) == (3, 2, 2)


def test_the_pipeline_run_is_linked() -> None:
    shop = Workshop()
    transcription_id, run = started(shop, speech(1))
    shop.steps.prepare(transcription_id, run, pipeline_run_id="run-7")
    assert shop.transcription(transcription_id).pipeline_run_id == "run-7"


def test_what_is_prepared_already_is_not_decoded_again() -> None:
    shop = Workshop()
    transcription_id, run = started(shop, speech(1))
    first = shop.steps.prepare(transcription_id, run)
    assert without_decoder(shop)(transcription_id, run) == first


def test_decoded_audio_that_this_machine_lacks_is_made_again() -> None:
    shop = Workshop()
    transcription_id, run = started(shop, speech(1))
    shop.steps.prepare(transcription_id, run)
    shop.prepared.remove(transcription_id)
    shop.steps.prepare(transcription_id, run)
    assert shop.prepared.pcm[transcription_id] == speech(1)


def test_a_recording_without_speech_fails_and_says_so() -> None:
    shop = Workshop()
    transcription_id, run = started(shop, bytes(len(speech(2))))
    with pytest.raises(InvalidAudio):
        shop.steps.prepare(transcription_id, run)
    failed = shop.transcription(transcription_id)
    assert failed.status is Status.FAILED
    assert failed.failure is not None
    assert (failed.failure.code, failed.failure.retryable) == ("no_speech", False)


def test_a_file_that_cannot_be_decoded_fails_with_the_decoders_reason() -> None:
    class Encrypted(FakeAudioDecoder):
        def decode(self, source, *, channel=None):
            raise InvalidAudio("The file is encrypted.", code="encrypted")

    shop = Workshop()
    transcription_id, run = started(shop, speech(1))
    step = shop.steps.prepare
    with pytest.raises(InvalidAudio):
        replace(step, prepare_audio=replace(step.prepare_audio, decoder=Encrypted()))(transcription_id, run)
    failure = shop.transcription(transcription_id).failure
    assert failure is not None
    assert failure.code == "encrypted"


def test_an_error_nobody_foresaw_fails_as_ours_and_keeps_its_text_out_of_the_record() -> None:
    class Broken(FakeAudioDecoder):
        def decode(self, source, *, channel=None):
            raise ZeroDivisionError("secret detail")

    shop = Workshop()
    transcription_id, run = started(shop, speech(1))
    step = shop.steps.prepare
    with pytest.raises(ZeroDivisionError):
        replace(step, prepare_audio=replace(step.prepare_audio, decoder=Broken()))(transcription_id, run)
    failure = shop.transcription(transcription_id).failure
    assert failure is not None
    assert (failure.code, failure.category) == ("internal_error", "internal")
    assert "secret" not in failure.message


def test_a_run_that_was_taken_over_does_nothing() -> None:
    shop = Workshop()
    transcription_id, run = started(shop, speech(1))
    with pytest.raises(Superseded):
        shop.steps.prepare(transcription_id, run - 1)
    assert shop.transcription(transcription_id).status is Status.RUNNING
    assert shop.prepared.pcm == {}


def test_a_recording_that_never_ends_is_stopped_at_the_limit() -> None:
    shop = Workshop()
    transcription_id, run = started(shop, speech(seconds=61))
    with pytest.raises(InvalidAudio):
        shop.steps.prepare(transcription_id, run)
    failure = shop.transcription(transcription_id).failure
    assert failure is not None
    assert failure.code == "audio_too_long"
