"""What PostgreSQL can keep, and what all kinds of rows hold.

PostgreSQL's text holds neither NUL nor half a surrogate pair, and its JSON no NaN. Engines and file names bring all
three, and a transcript must not be lost to them: characters that can't be kept are dropped or replaced, and a number
that is none is kept as unknown.
"""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from hansard.domain.errors import Category, Failure

Row = Mapping[Any, Any]
"""Column names and values, as SQLAlchemy takes and gives them."""

Json = dict[str, Any]


def storable(text: str) -> str:
    """`text` without NUL, and with U+FFFD for each half of a surrogate pair that lacks the other."""
    if text.isascii():
        return text.replace("\0", "")
    return text.replace("\0", "").encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def storable_or_none(text: str | None) -> str | None:
    return None if text is None else storable(text)


def moment_or_none(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.astimezone(UTC)


def moment_to_json(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def moment_from_json(moment: Any) -> datetime | None:  # noqa: ANN401 - JSON is what it is
    return None if moment is None else datetime.fromisoformat(moment)


def number_or_none(number: float | None) -> float | None:
    return number if number is not None and math.isfinite(number) else None


def failure_to_json(failure: Failure) -> Json:
    return {
        "code": failure.code,
        "category": failure.category.value,
        "message": storable(failure.message),
        "retryable": failure.retryable,
        "engine": storable_or_none(failure.engine),
        "provider_status": failure.provider_status,
        "provider_request_id": storable_or_none(failure.provider_request_id),
        "help": storable_or_none(failure.help),
    }


def failure_from_json(data: Json) -> Failure:
    return Failure(
        code=data["code"],
        category=Category(data["category"]),
        message=data["message"],
        retryable=data["retryable"],
        engine=data["engine"],
        provider_status=data["provider_status"],
        provider_request_id=data["provider_request_id"],
        help=data["help"],
    )
