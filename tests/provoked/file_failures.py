"""Every way in which a recording is unusable, as a file that is so."""

from hansard.application.ports.engines import EngineState, EngineStatus
from hansard.domain.errors import DiarizationFailed
from hansard.domain.transcription import Channels, Parameters, Status
from tests.audio_files import broken_files, files_broken_at_their_end
from tests.error_table import Provoked, answered, failure_of, file_fails, provokes, raised_by
from tests.fakes import FakeAudioDecoder, FakeDiarizer, FakeEngine
from tests.workshop import Workshop, speech

SECTION = "Recordings"

AT_UPLOAD = {
    "empty_file": "The file is empty",
    "not_audio": "It is a picture, a document, an archive, text, or nothing we know",
    "damaged_audio": "It begins like a recording, but its headers are damaged",
    "no_audio_stream": "It has pictures only",
    "unsupported_codec": "Its codec is one that FFmpeg cannot decode",
    "encrypted_audio": "It is encrypted (DRM)",
    "truncated_audio": "It holds much less sound than its headers promise",
    "nothing_decodable": "Not one sample can be decoded",
}
AT_WORK = {
    "truncated_audio": "The same, where only decoding shows it",
    "not_a_number": "No sample is a number",
}

for files, events in ((broken_files(), AT_UPLOAD), (files_broken_at_their_end(), AT_WORK)):
    for data, code in files.values():

        @provokes(SECTION, events[code])
        def _(data: bytes = data) -> Provoked:
            return file_fails(data)


def job_fails(shop: Workshop, pcm: bytes) -> Provoked:
    return Provoked(failure_of(shop.transcribe(shop.submitted(pcm).id), shop), "Job fails")


@provokes(SECTION, "It is longer than `HANSARD_MAX_AUDIO_SECONDS`, its headers say")
def too_long_by_its_headers() -> Provoked:
    error = raised_by(lambda: Workshop(max_audio_seconds=60).uploaded(speech(61)))
    return Provoked(error.failure, "Refused", answered(error))


@provokes(SECTION, "It is longer than that, but only decoding shows it")
def too_long() -> Provoked:
    return job_fails(Workshop(), speech(61))


@provokes(SECTION, "Nobody speaks in it")
def silent() -> Provoked:
    return job_fails(Workshop(), bytes(len(speech(3))))


@provokes(SECTION, "It sounds like speech, but no engine heard a word")
def unintelligible() -> Provoked:
    class Deaf(FakeEngine):
        def recognise(self, pcm, request, call=None):
            return iter(())

    return job_fails(Workshop(engine=Deaf()), speech(3))


def apart(channels: int) -> Provoked:
    shop = Workshop(decoder=FakeAudioDecoder(channels))
    error = raised_by(lambda: shop.submitted(speech(channels), Parameters(channels=Channels.SEPARATE)))
    return Provoked(error.failure, "Refused", answered(error))


@provokes(SECTION, "Its channels are to be heard apart, and it has one")
def one_channel() -> Provoked:
    return apart(1)


@provokes(SECTION, "Its channels are to be heard apart, and it has more than eight")
def many_channels() -> Provoked:
    return apart(9)


@provokes("Who speaks", "Asked for, and the diarizer of `HANSARD_DIARIZER` cannot work here")
def no_diarizer() -> Provoked:
    unavailable = EngineStatus(state=EngineState.UNAVAILABLE, detail="no weights", help="Install them.")
    shop = Workshop(diarizer=FakeDiarizer(states=[unavailable]))
    error = raised_by(lambda: shop.submitted(speech(1), Parameters(diarize=True)))
    return Provoked(error.failure, "Refused", answered(error))


@provokes("Who speaks", "The diarizer fails")
def diarizer_fails() -> Provoked:
    error = DiarizationFailed("It is too noisy.", help="Record it again, closer to those who speak.")
    shop = Workshop(diarizer=FakeDiarizer(failures=[error]))
    record = shop.transcribe(shop.submitted(speech(1), Parameters(diarize=True)).id)
    assert record.status is Status.COMPLETED
    assert "It is too noisy." in record.warnings[0]
    return Provoked(error.failure, "Goes on")
