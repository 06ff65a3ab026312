"""Keeps secrets out of the log: those that are known by their look, and those of our own settings by their value.

The last line of defence: nothing hands a secret to the log on purpose, but an exception of a library may quote a URL.
"""

import json
import re
from collections.abc import Iterable

SHORTEST_SECRET = 6
"""Characters of a value that is hidden wherever it stands: a shorter one stands in too many words."""

_PLAIN_SCHEMES = r"https?|wss?|ftps?|sftp|file|s3|gs|az|(?:postgres(?:ql)?|mysql|sqlite)(?:\+\w+)?"

_NAMED = r"api[_-]?key|access[_-]?key|token|secret|password|passwd|pwd|signature|sig|credential"
_IS = r"\\{0,3}[\"']?(?:=|:\s?)\\{0,3}[\"']?"
_VALUE = r"[^\s\"'\\&;,]{4,}"
_HOOKS = r"hooks\.[\w.]+/|[\w.]*discord(?:app)?\.com/api/webhooks/|api\.telegram\.org/bot|[\w.-]*\.office\.com/"

_LOOKS: tuple[tuple[str, re.Pattern[str], str], ...] = tuple(
    (needle, re.compile(pattern, re.IGNORECASE), replacement)
    for needles, pattern, replacement in (
        (("sk-",), r"\bsk-[\w-]{12,}", "sk-***"),
        (("whsec_",), r"\bwhsec_[\w+/=-]{6,}", "whsec_***"),
        (
            ("hf_", "gh", "xox", "glpat-", "akia", "asia", "aiza"),
            r"\b(hf_|gh[pousr]_|xox[abeprs]-|glpat-|AKIA|ASIA|AIza)[\w-]{12,}",
            r"\1***",
        ),
        (("eyj",), r"\beyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?", "eyJ***"),
        (("bearer",), r"\b(bearer\s+)[\w.~+/=-]{12,}", r"\1***"),
        (("authorization",), r"(authorization\W{1,6}(?:bearer|basic)\s+)[\w.~+/=-]+", r"\1***"),
        (
            ("://",),
            # Apprise's: whatever follows such a scheme is an account, a token or both.
            rf"(?<![\w+.-])(?!(?:{_PLAIN_SCHEMES})://)([a-z][a-z0-9+.-]{{1,20}}://)[^\s\"'\\<>]+",
            r"\1***",
        ),
        (("://",), r"(://[^\s:/@\"']*):[^\s/@\"']+@", r"\1:***@"),
        (
            ("hooks.", "/api/webhooks/", "telegram.org/bot", ".office.com"),
            rf"(https://(?:{_HOOKS}))[^\s\"'\\]+",
            r"\1***",
        ),
        (
            (
                *("api_key", "api-key", "apikey", "access_key", "access-key", "accesskey"),
                *("token", "secret", "passw", "pwd", "sig=", "signature", "credential"),
            ),
            rf"((?:{_NAMED}){_IS}){_VALUE}",
            r"\1***",
        ),
    )
    for needle in needles
)
"""What is there before a pattern is worth trying, the pattern, and what takes its place."""

_KNOWN: set[str] = set()


def conceal(secrets: Iterable[str]) -> None:
    """Hide these values from now on, wherever they stand in this process's log."""
    for secret in secrets:
        if len(secret) >= SHORTEST_SECRET:
            _KNOWN.update({secret, json.dumps(secret, ensure_ascii=False)[1:-1]})


def redact(text: str) -> str:
    """`text` without its secrets."""
    for secret in _KNOWN:
        text = text.replace(secret, "***")
    lowered = text.lower()
    for needle, pattern, replacement in _LOOKS:
        if needle in lowered:
            text = pattern.sub(replacement, text)
    return text
