"""Bytes that no recording has, found and removed; those that one has, or may come to have, stay."""

import io
from datetime import timedelta

from hansard.domain.audio import StoredObject
from tests.workshop import Workshop, speech

DAY = timedelta(days=1)


def left_behind(shop: Workshop, *, age: timedelta, data: bytes = b"an upload that was cut off") -> StoredObject:
    stored = shop.store.put(io.BytesIO(data))
    shop.store.stored_at[stored.sha256] = shop.clock() - age
    return stored


def test_bytes_without_a_recording_are_found_after_a_day_and_removed() -> None:
    shop = Workshop()
    orphan = left_behind(shop, age=2 * DAY)
    assert list(shop.orphans.find()) == [orphan]
    assert shop.orphans.remove(orphan)
    assert shop.store.objects == {}


def test_what_may_be_on_its_way_in_is_left_alone() -> None:
    shop = Workshop()
    left_behind(shop, age=DAY / 2)
    assert list(shop.orphans.find()) == []


def test_the_bytes_of_a_recording_are_none() -> None:
    shop = Workshop()
    audio = shop.uploaded(speech(1))
    shop.store.stored_at[audio.stored.sha256] = shop.clock() - 2 * DAY
    assert list(shop.orphans.find()) == []


def test_bytes_that_a_recording_came_to_have_after_they_were_found_stay() -> None:
    shop = Workshop()
    orphan = left_behind(shop, age=2 * DAY, data=speech(1))
    assert shop.uploaded(speech(1)).stored == orphan
    assert not shop.orphans.remove(orphan)
    assert list(shop.store.objects) == [orphan.sha256]
