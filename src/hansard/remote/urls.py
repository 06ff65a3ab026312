"""URLs that others give us: what one must be before anything is asked of it, or sent to it."""

from collections.abc import Callable

import httpx

from hansard.domain.errors import HansardError

DEFAULT_PORTS = {"http": 80, "https": 443}
HIGHEST_PORT = 65_535


def http_url(text: str, invalid: Callable[[str], HansardError]) -> httpx.URL:
    """Raises what `invalid` makes of the sentence that says what is wrong with it."""
    try:
        url = httpx.URL(text)
    except (httpx.InvalidURL, UnicodeError, ValueError) as error:
        raise invalid("The URL cannot be read.") from error
    if url.scheme not in DEFAULT_PORTS or not url.host:
        raise invalid("The URL does not begin with http:// or https:// and a host.")
    # The parser escapes what no host has, and takes any number for a port.
    if "%" in url.host or not 0 < (1 if url.port is None else url.port) <= HIGHEST_PORT:
        raise invalid("The URL has no host, or no port, that there could be.")
    if url.userinfo:
        raise invalid("The URL holds a user name or a password, which is not sent.")
    return url
