"""A request that is sent again is not done again: its sender names it with a key, and what it made is remembered."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from hashlib import sha256
from typing import TypeVar
from uuid import UUID

from hansard.application.ports.records import IdempotencyKey, UnitOfWork
from hansard.domain.audio import AudioFile
from hansard.domain.errors import Conflict, NotFound
from hansard.domain.transcription import Transcription

KEPT_FOR = timedelta(hours=24)
"""How long a key is remembered: longer than any client sends a request again by itself."""

Made = TypeVar("Made", AudioFile, Transcription)


def request_key(key: str | None, *, owner: str, route: str, asked: object) -> IdempotencyKey | None:
    """The client's `key` for what is `asked`, in JSON's types; None where it gave none."""
    if key is None:
        return None
    request = json.dumps(asked, sort_keys=True, default=str)
    return IdempotencyKey(owner=owner, route=route, key=key, request=sha256(request.encode()).hexdigest())


def once(
    uow: UnitOfWork,
    key: IdempotencyKey | None,
    at: datetime,
    *,
    find: Callable[[UUID], Made],
    make: Callable[[], Made],
) -> Made:
    """What was made for `key` before, or else what `make` makes, which is then remembered for it.

    Raises `InvalidRequest` when the key was used for another request, `Conflict` when what it made was deleted.
    """
    if key is None:
        return make()
    made = made_before(uow, key, at, find=find)
    if made is None:
        made = make()
        uow.idempotency.keep(key, made.id, at)
    return made


def made_before(uow: UnitOfWork, key: IdempotencyKey, at: datetime, *, find: Callable[[UUID], Made]) -> Made | None:
    """What was made for `key`, if anything was. Raises as `once` does."""
    made_id = uow.idempotency.find(key, since=at - KEPT_FOR)
    if made_id is None:
        return None
    try:
        return find(made_id)
    except NotFound as error:
        raise Conflict(
            "What was made for this Idempotency-Key has been deleted since.",
            code="idempotency_key_spent",
            help="To have it made again, ask with a new key.",
        ) from error
