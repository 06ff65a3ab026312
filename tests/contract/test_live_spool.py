"""What every `LiveSpool` does, held against the fake and against files."""

import os
import resource
import wave
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from hansard.application.ports.storage import LiveSpool
from hansard.domain.errors import Category, Conflict, Failure, NotFound, StorageError
from hansard.domain.live import Encoding, EndPointing, Hearing, LiveRequest
from hansard.domain.speech import Span
from hansard.domain.transcript import DecodingScores, RecognisedPassage, Segment, Word
from hansard.domain.transcription import Attempt, AttemptKind, AttemptOutcome, Channels, Parameters, Task
from hansard.storage.live_spool import LiveSpoolFiles, SpooledFiles
from tests.fakes import FakeClock, FakeLiveSpool

REQUEST = LiveRequest(
    started_at=datetime(2026, 1, 1, tzinfo=UTC),
    encoding=Encoding.PCM16,
    sample_rate_hz=24_000,
    parameters=Parameters(
        engine="whisper", prompt="Grüße", task=Task.TRANSLATE, channels=Channels.MIXED, metadata={"case": "1"}
    ),
    longest_seconds=30.0,
    by_voice=EndPointing(threshold=0.5, silence_seconds=0.5, padding_seconds=0.3, longest_seconds=15.0),
    request_id="r-1",
)
PASSAGE = RecognisedPassage(
    span=Span(0.5, 2.25),
    engine="fake",
    model="fake-1",
    segments=(
        Segment(
            start_seconds=0.5,
            end_seconds=2.0,
            text="Grüße, “word”\n",
            words=(Word("Grüße", 0.5, 1.0, 0.9), Word("word", 1.0, 2.0)),
            confidence=0.9,
            language="de",
            scores=DecodingScores(temperature=0.2),
        ),
    ),
)
CALL = Attempt(
    number=1,
    engine="fake",
    model="fake-1",
    started_at=datetime(2026, 1, 1, 12, tzinfo=UTC),
    ended_at=datetime(2026, 1, 1, 12, 0, 1, 500, tzinfo=UTC),
    outcome=AttemptOutcome.FAILED,
    input_tokens=7,
    provider_request_id="req-1",
    failure=Failure(code="engine_failed", category=Category.SERVER, message="Es ging nicht.", engine="fake"),
    kind=AttemptKind.LIVE,
)
HEARING = Hearing(calls=(CALL, replace(CALL, outcome=AttemptOutcome.SUCCEEDED, failure=None)), passage=PASSAGE)
IN_VAIN = Hearing(calls=(CALL,))


class Files(LiveSpoolFiles):
    """Remembers what it gave, so that a test's end is like a process's."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.given: list[SpooledFiles] = []

    def create(self, session_id: UUID, request: LiveRequest) -> SpooledFiles:
        self.given.append(super().create(session_id, request))
        return self.given[-1]

    def take(self, session_id: UUID) -> SpooledFiles:
        self.given.append(super().take(session_id))
        return self.given[-1]


@pytest.fixture
def files(tmp_path: Path) -> Iterator[LiveSpoolFiles]:
    files = Files(tmp_path / "live")
    yield files
    for given in files.given:
        given.release()


@pytest.fixture(params=["fake", "files"])
def spool(request: pytest.FixtureRequest, files: LiveSpoolFiles) -> LiveSpool:
    return FakeLiveSpool(FakeClock()) if request.param == "fake" else files


def test_what_was_appended_and_noted_is_there_for_whoever_takes_it_next(spool: LiveSpool) -> None:
    session_id = uuid4()
    stream = spool.create(session_id, REQUEST)
    stream.append(b"one ")
    stream.append(b"two ")
    stream.note(HEARING)
    stream.release()
    taken = spool.take(session_id)
    assert (taken.request, taken.hearings()) == (REQUEST, (HEARING,))
    assert (b"".join(taken.blocks()), taken.received_bytes) == (b"one two ", 8)
    taken.append(b"three.")
    taken.note(IN_VAIN)
    assert b"".join(taken.blocks()) == b"one two three."
    assert taken.hearings() == (HEARING, IN_VAIN)


def test_nobody_takes_what_somebody_has(spool: LiveSpool) -> None:
    session_id = uuid4()
    spool.create(session_id, REQUEST)
    with pytest.raises(Conflict) as refused:
        spool.take(session_id)
    assert refused.value.failure.code == "session_busy"


def test_there_is_nothing_to_take_of_a_session_that_never_was_or_was_removed(spool: LiveSpool) -> None:
    session_id = uuid4()
    spool.create(session_id, REQUEST).remove()
    for unknown in (session_id, uuid4()):
        with pytest.raises(NotFound):
            spool.take(unknown)


def test_abandoned_is_what_nobody_has_and_took_in_nothing_for_a_while(spool: LiveSpool) -> None:
    session_id, held_id = uuid4(), uuid4()
    spool.create(session_id, REQUEST).release()
    held = spool.create(held_id, REQUEST)
    now = spool.clock() if isinstance(spool, FakeLiveSpool) else datetime.now(UTC)
    assert spool.abandoned(now - timedelta(seconds=60)) == ()
    assert spool.abandoned(now + timedelta(seconds=60)) == (session_id,)
    held.release()


def test_what_was_put_aside_is_not_found_again(spool: LiveSpool) -> None:
    session_id = uuid4()
    spool.create(session_id, REQUEST).set_aside()
    assert spool.abandoned(datetime.now(UTC) + timedelta(days=1000)) == ()


def test_an_empty_stream_holds_nothing(spool: LiveSpool) -> None:
    stream = spool.create(uuid4(), REQUEST)
    stream.sync()
    assert (stream.received_bytes, list(stream.blocks()), stream.hearings()) == (0, [], ())


def test_the_recording_can_be_read_while_the_stream_is_held(spool: LiveSpool) -> None:
    stream = spool.create(uuid4(), REQUEST)
    stream.append(b"abcd")
    with stream.recording() as recording:
        assert recording.read().endswith(b"abcd")


def test_a_half_sample_of_a_process_that_was_killed_is_dropped(files: LiveSpoolFiles) -> None:
    session_id = uuid4()
    stream = files.create(session_id, REQUEST)
    stream.append(b"abcde")
    stream.release()
    taken = files.take(session_id)
    assert (taken.received_bytes, b"".join(taken.blocks())) == (4, b"abcd")


def test_a_note_that_was_cut_off_is_as_good_as_none_and_harms_no_other(files: LiveSpoolFiles, tmp_path: Path) -> None:
    session_id = uuid4()
    stream = files.create(session_id, REQUEST)
    stream.note(HEARING)
    stream.note(HEARING)
    stream.release()
    (notes,) = tmp_path.rglob("*.jsonl")
    os.truncate(notes, notes.stat().st_size - 10)
    taken = files.take(session_id)
    taken.note(IN_VAIN)
    assert taken.hearings() == (HEARING, IN_VAIN)


def test_what_a_full_disk_took_only_a_part_of_is_not_there(files: LiveSpoolFiles, tmp_path: Path) -> None:
    session_id = uuid4()
    stream = files.create(session_id, REQUEST)
    (notes,) = tmp_path.rglob("*.jsonl")
    # No file of this process grows beyond some bytes more than this one has: what is longer is written in part.
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (notes.stat().st_size + 10, limits[1]))
    try:
        with pytest.raises(StorageError):
            stream.note(HEARING)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    stream.note(IN_VAIN)
    assert stream.hearings() == (IN_VAIN,)


def test_samples_are_a_wav_file_of_their_length(files: LiveSpoolFiles) -> None:
    stream = files.create(uuid4(), REQUEST)
    stream.append(bytes(48_000))
    with stream.recording() as recording, wave.open(recording) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (24_000, 1, 2)
        assert file.getnframes() == 24_000


def test_a_container_is_kept_as_it_came(files: LiveSpoolFiles) -> None:
    stream = files.create(uuid4(), replace(REQUEST, encoding=Encoding.OPUS))
    stream.append(b"OggS\0")
    with stream.recording() as recording:
        assert recording.read() == b"OggS\0"
