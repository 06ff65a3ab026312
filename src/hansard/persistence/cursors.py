"""Where the next page begins: what all cursors have in common."""

import re

from hansard.domain.errors import InvalidRequest


def number_in(cursor: str, *, most_digits: int) -> int:
    """Of a cursor that is a row's number. Raises `InvalidRequest` for one that we have not made."""
    if not re.fullmatch(f"[0-9]{{1,{most_digits}}}", cursor):
        raise invalid_cursor()
    return int(cursor)


def invalid_cursor() -> InvalidRequest:
    return InvalidRequest(
        "That cursor is not one of ours.",
        code="invalid_cursor",
        help="Use the next_cursor of the page before, as it is; leave it out for the first page.",
    )
