"""Every way in which a recording is unusable, as a file that is so."""

from tests.audio_files import broken_files, files_broken_at_their_end
from tests.error_table import Provoked, failure_of, file_fails, provokes
from tests.fakes import FakeEngine
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


@provokes(SECTION, "It is longer than `HANSARD_MAX_AUDIO_SECONDS`")
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
