"""Entity tags (RFC 9110, 8.8 and 13.1): the tag of a transcript is the number of its revision."""

import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, Header, Response
from starlette.exceptions import HTTPException

_TAG = re.compile(r'(?P<weak>W/)?(?P<tag>"[\x21\x23-\x7e\x80-\xff]*")')
_REVISION = re.compile('"r([0-9]{1,9})"')

IfNoneMatch = Annotated[
    str | None,
    Header(alias="If-None-Match", description="The ETag of what you have: where it is still that, the answer is 304."),
]


def of_revision(number: int) -> str:
    return f'"r{number}"'


def mark(answer: Response, revision: int) -> None:
    """Give the answer its tag. It may be kept, but not be used without asking."""
    answer.headers["ETag"] = of_revision(revision)
    answer.headers["Cache-Control"] = "private, no-cache"


def is_unchanged(if_none_match: str | None, etag: str) -> bool:
    """Weak comparison: here alone, `W/"…"` is as good as `"…"`."""
    return if_none_match is not None and (if_none_match.strip() == "*" or etag in _tags(if_none_match, weak=True))


async def _expected_revisions(
    if_match: Annotated[
        str | None,
        Header(
            alias="If-Match",
            description='The ETag of the transcript that you made the change to, such as `"r3"`. Where it was edited '
            "since, even in another place, this is refused with 412, and nobody's work is lost. `*` overrides that.",
        ),
    ] = None,
) -> frozenset[int] | None:
    if if_match is None:
        raise HTTPException(HTTPStatus.PRECONDITION_REQUIRED)
    if if_match.strip() == "*":
        return None
    found = (_REVISION.fullmatch(tag) for tag in _tags(if_match, weak=False))
    return frozenset(int(match[1]) for match in found if match)


Expected = Annotated[frozenset[int] | None, Depends(_expected_revisions)]
"""The revisions that If-Match names; None where any will do."""


def _tags(header: str, *, weak: bool) -> Iterator[str]:
    """Those of the list; the weak ones too, or the strong ones alone."""
    return (match["tag"] for match in _TAG.finditer(header) if weak or not match["weak"])
