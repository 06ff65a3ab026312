"""What a fetched file is called: as its server says, else as its URL ends."""

import mimetypes
from collections.abc import Mapping
from email.message import Message
from email.utils import collapse_rfc2231_value
from urllib.parse import unquote

_SAYS_NOTHING = {"application/octet-stream", "binary/octet-stream", "text/plain"}


def name_of(path: str, headers: Mapping[str, str]) -> str:
    """Unclean, as a stranger gave it. `headers` have lower-case names.

    Where there is no extension that tells the kind of file, the media type gives one: players and tools go by it.
    """
    name = _disposition_name(headers.get("content-disposition", "")) or unquote(path).rstrip("/").rpartition("/")[2]
    media_type = headers.get("content-type", "").partition(";")[0].strip().casefold()
    if mimetypes.guess_type(name)[0] is None and media_type not in _SAYS_NOTHING:
        name = f"{name or 'download'}{mimetypes.guess_extension(media_type) or ''}" if media_type else name
    return name


def _disposition_name(disposition: str) -> str:
    """`filename*` before `filename`, as RFC 6266 says."""
    message = Message()
    message["Content-Disposition"] = disposition
    try:
        parameters = message.get_params(header="content-disposition") or []
        names = [value for name, value in parameters if name.casefold() == "filename"]
        # The extended form has come as its three parts.
        best = next((name for name in names if isinstance(name, tuple)), names[0] if names else "")
        return collapse_rfc2231_value(best)
    except (ValueError, LookupError, TypeError):
        # The standard library's parser stumbles over some of what strangers send.
        return ""
