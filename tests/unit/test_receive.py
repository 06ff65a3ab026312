"""Uploads in pieces: what counts, what is made of them, and that it is made once, whatever dies in between."""

import hashlib
from uuid import uuid4

import pytest

from hansard.application.receive import KEPT_EVERY_BYTES, Checksum, Received
from hansard.domain.errors import (
    ChecksumMismatch,
    DiskScarce,
    InvalidAudio,
    InvalidRequest,
    NotFound,
    OffsetMismatch,
    QueueFull,
    StorageError,
    TooLarge,
    UploadGone,
    UploadInUse,
)
from hansard.domain.transcription import Parameters
from hansard.storage.partial_uploads import PartialUploadFiles
from tests.workshop import Workshop, speech

TALK = speech(2)


@pytest.fixture
def shop() -> Workshop:
    return Workshop()


def begin(shop: Workshop, data: bytes = TALK, **more):
    return shop.receive.begin(length_bytes=len(data), file_name="talk.wav", metadata="", **more)


def send(shop: Workshop, upload, data: bytes, offset: int = 0, checksum: Checksum | None = None):
    with shop.receive.piece(upload.id, offset_bytes=offset, checksum=checksum) as piece:
        piece.add(data)
    return piece.upload


def break_off(shop: Workshop, upload, data: bytes, checksum: Checksum | None = None) -> None:
    """The connection breaks behind these bytes."""

    def go() -> None:
        with shop.receive.piece(upload.id, offset_bytes=0, checksum=checksum) as piece:
            piece.add(data)
            raise ConnectionError

    with pytest.raises(ConnectionError):
        go()


def whole(shop: Workshop, **more):
    upload = begin(shop, **more)
    send(shop, upload, TALK)
    return upload


def test_a_recording_in_two_pieces_becomes_one_audio_file_of_the_same_id(shop):
    upload = begin(shop)
    assert send(shop, upload, TALK[:1000]).offset_bytes == 1000
    assert send(shop, upload, TALK[1000:], 1000).is_whole

    received = shop.receive.settle(upload.id)

    assert received.audio.id == upload.id
    assert shop.store.objects[received.audio.stored.sha256] == TALK
    assert received.transcription_id is None
    assert shop.partial_uploads.ids() == ()


def test_a_wish_is_queued_with_the_last_byte(shop):
    upload = whole(shop, parameters=Parameters(language="en"), request_id="r-7")

    received = shop.receive.settle(upload.id)

    transcription = shop.transcription(received.transcription_id)
    assert transcription.audio_id == upload.id
    assert transcription.parameters.language == "en"
    assert transcription.request_id == "r-7"
    assert shop.database.jobs == [transcription.id]


def test_another_transcription_asked_for_later_is_not_taken_for_the_wished_one(shop):
    upload = whole(shop, parameters=Parameters())
    first = shop.receive.settle(upload.id).transcription_id
    shop.clock.advance(1)
    shop.submit(upload.id, Parameters(language="de"))

    assert shop.receive.look(upload.id).transcription_id == first


def test_settling_again_makes_nothing_more(shop):
    upload = whole(shop)
    shop.receive.settle(upload.id)

    assert isinstance(shop.receive.look(upload.id), Received)
    assert len(shop.database.audio) == 1


def test_one_that_is_whole_when_the_process_dies_is_settled_by_whoever_looks(shop):
    upload = whole(shop)

    received = shop.receive.look(upload.id)

    assert received.audio.id == upload.id


def test_a_process_that_dies_after_the_commit_and_before_the_files_are_gone_makes_no_second_audio_file(shop):
    upload = whole(shop)
    with shop.receive.uploads.hold(upload.id) as held:
        shop.receive._take_in(held)

    received = shop.receive.look(upload.id)

    assert received.audio.id == upload.id
    assert len(shop.database.audio) == 1
    assert shop.partial_uploads.ids() == ()


def test_a_recording_that_was_deleted_does_not_come_back_from_files_left_behind(shop):
    upload = whole(shop)
    with shop.receive.uploads.hold(upload.id) as held:
        shop.receive._take_in(held)
    shop.delete_audio(upload.id)

    with pytest.raises(UploadGone):
        shop.receive.look(upload.id)
    assert not shop.database.audio
    assert shop.partial_uploads.ids() == ()


def test_what_a_process_left_that_died_while_it_removed_the_files_is_swept_up(shop, tmp_path):
    shop.partial_uploads = PartialUploadFiles(tmp_path)
    upload = whole(shop)
    with shop.receive.uploads.hold(upload.id) as held:
        shop.receive._take_in(held)
    (tmp_path / f"{upload.id}.json").unlink()

    assert isinstance(shop.receive.look(upload.id), Received)
    shop.receive.sweep()

    assert not list(tmp_path.iterdir())
    assert len(shop.database.audio) == 1


def test_a_commit_that_fails_leaves_the_upload_to_be_settled_later(shop):
    upload = whole(shop)
    put, shop.store.put = shop.store.put, fail_with(StorageError("The store is away."))
    with pytest.raises(StorageError):
        shop.receive.look(upload.id)
    shop.store.put = put

    assert isinstance(shop.receive.look(upload.id), Received)


def fail_with(error: Exception):
    def fail(*_):
        raise error

    return fail


def test_a_broken_piece_counts_as_far_as_it_came(shop):
    upload = begin(shop)

    break_off(shop, upload, TALK[:1000])

    assert shop.receive.look(upload.id).offset_bytes == 1000


def test_a_long_piece_is_kept_on_the_way(shop):
    shop.max_upload_bytes = 10**9
    upload = begin(shop, bytes(3 * KEPT_EVERY_BYTES))

    with shop.receive.piece(upload.id, offset_bytes=0) as piece:
        piece.add(bytes(KEPT_EVERY_BYTES))
        piece.add(b"more")
        assert shop.receive.look(upload.id).offset_bytes == KEPT_EVERY_BYTES


def test_a_piece_with_its_checksum_counts(shop):
    upload = begin(shop)

    assert send(shop, upload, TALK, checksum=Checksum("sha1", hashlib.sha1(TALK).digest())).is_whole


def test_a_piece_that_was_damaged_on_the_way_does_not_count(shop):
    upload = begin(shop)
    send(shop, upload, TALK[:10])

    with pytest.raises(ChecksumMismatch):
        send(shop, upload, TALK[10:20], 10, Checksum("sha256", bytes(32)))

    assert shop.receive.look(upload.id).offset_bytes == 10


def test_a_broken_piece_with_a_checksum_does_not_count(shop):
    upload = begin(shop)

    break_off(shop, upload, TALK[:1000], Checksum("sha1", bytes(20)))

    assert shop.receive.look(upload.id).offset_bytes == 0


@pytest.mark.parametrize("offset", [0, 11, 10**6])
def test_a_piece_for_another_offset_is_refused(shop, offset):
    upload = begin(shop)
    send(shop, upload, TALK[:10])

    with pytest.raises(OffsetMismatch):
        send(shop, upload, TALK[10:], offset)


def test_two_pieces_at_once_are_refused(shop):
    upload = begin(shop)

    with shop.receive.piece(upload.id, offset_bytes=0), pytest.raises(UploadInUse):
        send(shop, upload, TALK)


def test_more_bytes_than_announced_are_refused_and_those_before_stay(shop):
    upload = begin(shop)

    send(shop, upload, TALK[:-1])
    with pytest.raises(TooLarge):
        send(shop, upload, b"ab", len(TALK) - 1)

    assert shop.receive.look(upload.id).offset_bytes == len(TALK) - 1


def test_a_recording_that_is_none_stays_refused_until_it_expires(shop):
    upload = begin(shop, b"")

    for _ in range(2):
        with pytest.raises(InvalidAudio):
            shop.receive.look(upload.id)
    shop.clock.advance(3600)

    assert shop.receive.sweep().removed == (upload.id,)
    assert not shop.database.audio


def test_a_recording_too_large_is_refused_before_it_comes(shop):
    shop.max_upload_bytes = len(TALK) - 1

    with pytest.raises(TooLarge):
        begin(shop)
    assert shop.partial_uploads.ids() == ()


def test_what_is_still_to_come_of_others_takes_room_too(shop):
    shop.max_upload_bytes = 10**9
    shop.free_disk_bytes = 500_000_000 + 3_000_000
    begin(shop, bytes(2_000_000))

    with pytest.raises(DiskScarce):
        begin(shop, bytes(1_000_001))
    begin(shop, bytes(1_000_000))


def test_a_wish_that_cannot_be_granted_is_refused_before_anything_comes(shop):
    with pytest.raises(InvalidRequest, match="parrot"):
        begin(shop, parameters=Parameters(engine="parrot"))


def test_a_full_queue_refuses_before_anything_comes(shop):
    shop.queue_policy = type(shop.queue_policy)(most_waiting=1, most_waiting_of_owner=1)
    shop.submitted(TALK)

    with pytest.raises(QueueFull):
        begin(shop, parameters=Parameters())


def test_an_upload_that_nobody_goes_on_with_expires(shop):
    upload = begin(shop)
    shop.clock.advance(3599)
    send(shop, upload, TALK[:10])
    shop.clock.advance(3599)
    assert shop.receive.look(upload.id).offset_bytes == 10
    shop.clock.advance(1)

    with pytest.raises(UploadGone):
        shop.receive.look(upload.id)
    with pytest.raises(UploadGone):
        send(shop, upload, TALK[10:], 10)


def test_the_sweep_removes_what_expired_and_settles_what_is_whole(shop):
    expired, made = begin(shop), whole(shop)
    shop.clock.advance(3600)
    alive = begin(shop)

    swept = shop.receive.sweep()

    assert (swept.settled, swept.removed) == ((made.id,), (expired.id,))
    assert shop.partial_uploads.ids() == (alive.id,)
    assert set(shop.database.audio) == {made.id}


def test_the_sweep_leaves_what_is_being_sent_alone(shop):
    upload = begin(shop)

    with shop.receive.piece(upload.id, offset_bytes=0) as piece:
        shop.clock.advance(3600)
        assert shop.receive.sweep().removed == ()
        piece.add(TALK[:10])

    assert shop.receive.look(upload.id).offset_bytes == 10


def test_an_abandoned_upload_is_gone(shop):
    upload = begin(shop)

    shop.receive.abandon(upload.id)

    with pytest.raises(NotFound):
        shop.receive.look(upload.id)


def test_a_recording_is_not_deleted_by_abandoning_its_upload(shop):
    upload = whole(shop)
    shop.receive.settle(upload.id)

    with pytest.raises(NotFound):
        shop.receive.abandon(upload.id)
    assert set(shop.database.audio) == {upload.id}


def test_nobody_knows_an_upload_that_was_never_begun(shop):
    with pytest.raises(NotFound):
        shop.receive.look(uuid4())
