"""The original bytes, as HTTP wants them: ranges and validators (RFC 9110), file names (RFC 6266, RFC 8187)."""

import re
import unicodedata
from dataclasses import dataclass
from urllib.parse import quote

from fastapi import Response
from fastapi.responses import StreamingResponse
from starlette.datastructures import Headers

from hansard.application.ports.storage import AudioStore
from hansard.domain.audio import AudioFile
from hansard.domain.errors import Category
from hansard.http import etags
from hansard.http.errors import problem_response

# A number of more than 20 digits is no position in any file: such a header is ignored, as RFC 9110 allows for all.
_ONE_RANGE = re.compile(r"bytes=[ \t]*(?P<first>[0-9]{0,20})-(?P<last>[0-9]{0,20})[ \t]*", re.IGNORECASE)

_ATTR_CHAR = "!#$&+-.^_`|~"
"""What RFC 8187 leaves unescaped beside letters and digits."""


@dataclass(frozen=True, slots=True)
class ByteRange:
    """From `start` up to, not including, `end`."""

    start: int
    end: int


class Unsatisfiable(Exception):
    """The range begins behind the end of the file."""


def requested_range(header: str, size_bytes: int) -> ByteRange | None:
    """What a Range header asks for; None where it is to be ignored: another unit, several ranges, not well-formed.

    Raises `Unsatisfiable`.
    """
    match = _ONE_RANGE.fullmatch(header)
    if match is None or match["first"] == match["last"] == "":
        return None
    if match["first"] == "":
        start, end = max(0, size_bytes - int(match["last"])), size_bytes
    else:
        start = int(match["first"])
        end = min(int(match["last"]) + 1, size_bytes) if match["last"] else size_bytes
        if match["last"] and int(match["last"]) < start:
            return None
    if start >= size_bytes:
        raise Unsatisfiable
    return ByteRange(start, end)


def download(audio: AudioFile, store: AudioStore, *, method: str, headers: Headers, request_id: str | None) -> Response:
    """The answer to GET or HEAD. Raises `RecordingLost` and `StorageError` before the first byte."""
    etag, size_bytes = f'"{audio.stored.sha256}"', audio.stored.size_bytes
    validators = {
        "ETag": etag,
        # The bytes of an id never change, but they may be deleted: ask, and be answered with 304.
        "Cache-Control": "private, no-cache",
        "Accept-Ranges": "bytes",
    }
    if etags.is_unchanged(headers.get("if-none-match"), etag):
        return Response(status_code=304, headers=validators)
    try:
        span = _span(method, headers, etag, size_bytes)
    except Unsatisfiable:
        return _not_satisfiable(size_bytes, request_id)
    whole = span is None
    span = span or ByteRange(0, size_bytes)
    answer_headers = {
        **validators,
        "Content-Length": str(span.end - span.start),
        "Content-Disposition": content_disposition(audio.file_name),
        # The media type is guessed from a name that a stranger chose: nobody is to guess further.
        "X-Content-Type-Options": "nosniff",
    }
    if not whole:
        answer_headers["Content-Range"] = f"bytes {span.start}-{span.end - 1}/{size_bytes}"
    blocks = store.read(audio.stored, span.start, span.end) if method == "GET" else iter(())
    return StreamingResponse(blocks, 200 if whole else 206, answer_headers, media_type=audio.media_type)


def _span(method: str, headers: Headers, etag: str, size_bytes: int) -> ByteRange | None:
    header = headers.get("range")
    if header is None or method != "GET" or headers.get("if-range", etag) != etag:
        return None
    return requested_range(header, size_bytes)


def _not_satisfiable(size_bytes: int, request_id: str | None) -> Response:
    return problem_response(
        request_id,
        416,
        detail=f"The range begins behind the end of the file, which has {size_bytes} bytes.",
        code="range_not_satisfiable",
        category=Category.CLIENT,
        help="Ask for a range that begins earlier, or without Range for the whole file.",
        headers={"Content-Range": f"bytes */{size_bytes}", "Accept-Ranges": "bytes"},
    )


def content_disposition(file_name: str) -> str:
    """For saving under `file_name` in any script, with an ASCII approximation for clients of the last century."""
    ascii_name = unicodedata.normalize("NFKD", file_name).encode("ascii", "ignore").decode()
    # Quotes and backslashes would need escapes that browsers read differently; some decode percent signs.
    fallback = re.sub(r'[\x00-\x1f\x7f"\\%/]', "_", ascii_name).strip()
    if not fallback.partition(".")[0]:
        fallback = f"recording{fallback}"
    # "replace": a lone surrogate has no UTF-8.
    extended = quote(file_name, safe=_ATTR_CHAR, encoding="utf-8", errors="replace")
    return f"attachment; filename=\"{fallback}\"; filename*=UTF-8''{extended}"
