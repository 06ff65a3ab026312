"""The whole page: its head, the ways to other spans of time, and one section after the other.

Nothing is loaded from anywhere. A script of its own brings the page up to date now and then; without scripts, the
browser loads it anew.
"""

from collections.abc import Callable
from datetime import timedelta
from functools import cache
from importlib.resources import files
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from markupsafe import Markup

from hansard.domain.errors import Failure
from hansard.http.dashboard import machine, work
from hansard.http.dashboard.blocks import section, trouble
from hansard.http.dashboard.data import Dashboard, Past
from hansard.http.dashboard.html import tag, together

RANGES = {"1h": timedelta(hours=1), "24h": timedelta(hours=24), "7d": timedelta(days=7), "30d": timedelta(days=30)}
DEFAULT_RANGE = "24h"
_RANGE_NAMES = {"1h": "1 hour", "24h": "24 hours", "7d": "7 days", "30d": "30 days"}

REPORTS = (
    "overview",
    "throughput",
    "latency",
    "engines",
    "errors",
    "costs",
    "functions",
    "resources",
    "benchmarks",
    "alerts",
)
"""Each is a section of the page, and a route below `/analytics`."""

REFRESH_SECONDS = 30
RELOAD_SECONDS = 120
"""Without scripts, which would lose the place on the page less often than that."""

PAST_SECTIONS: tuple[Callable[[Dashboard, Past], Markup], ...] = (
    work.overview,
    work.throughput,
    work.latency,
    work.engines,
    work.errors,
    work.costs,
    machine.functions,
    machine.resources,
    machine.benchmarks,
)


def render(board: Dashboard, *, range_name: str, nonce: str) -> str:
    """`nonce` is that of the response's Content-Security-Policy: no other style and no other script is run."""
    return Markup("<!doctype html>\n") + tag(
        "html",
        _head(nonce),
        tag(
            "body",
            tag("a", "To the figures", href="#now", class_="skip"),
            _banner(board, range_name),
            tag("main", _sections(board), id="figures"),
            _footer(board),
            tag("script", _asset("script.js"), nonce=nonce),
        ),
        lang="en",
    )


def content_security_policy(nonce: str) -> str:
    return (
        f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _head(nonce: str) -> Markup:
    reload = tag("meta", http_equiv="refresh", content=RELOAD_SECONDS)
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("title", "Hansard · analytics"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("link", rel="icon", href="data:,"),
        tag("style", _asset("style.css"), nonce=nonce),
        tag("noscript", reload),
    )


def _banner(board: Dashboard, range_name: str) -> Markup:
    zone = board.period.time_zone
    ranges = (
        tag(
            "a",
            _RANGE_NAMES[name],
            href=_address(name, zone),
            aria_current="page" if name == range_name else None,
        )
        for name in RANGES
    )
    places = (tag("a", name.capitalize(), href=f"#{name}") for name in ("now", *REPORTS))
    return tag(
        "header",
        tag(
            "div",
            tag("h1", tag("span", "Hansard", class_="name"), " analytics"),
            tag("nav", *ranges, class_="ranges", aria_label="Span of time"),
            class_="top",
        ),
        tag("nav", *places, class_="places", aria_label="Sections"),
        class_="banner",
    )


def _sections(board: Dashboard) -> Markup:
    if isinstance(board.past, Failure):
        away = section("past", "The past", trouble(board.past), about="Throughput, latency, errors, costs, functions.")
        return together(machine.now(board), away, work.engines(board, board.past), machine.alerts(board))
    past = board.past
    told = (each(board, past) for each in PAST_SECTIONS)
    return together(machine.now(board), *told, machine.alerts(board))


def _footer(board: Dashboard) -> Markup:
    zone = ZoneInfo(board.period.time_zone)
    made_at = tag("time", board.made_at.astimezone(zone).strftime("%H:%M:%S"), datetime=board.made_at.isoformat())
    return tag(
        "footer",
        tag("p", "As of ", made_at, f", times in {board.period.time_zone}. ", tag("span", id="zone")),
        tag(
            "p",
            "The same as JSON: ",
            *(together(tag("a", name, href=f"/analytics/{name}"), " ") for name in REPORTS),
            "· ",
            tag("a", "API", href="/docs"),
        ),
        id="as-of",
        data_refresh_seconds=REFRESH_SECONDS,
    )


def _address(range_name: str, time_zone: str) -> str:
    asked = {"range": range_name} | ({} if time_zone == "UTC" else {"time_zone": time_zone})
    return f"/analytics?{urlencode(asked)}"


@cache
def _asset(name: str) -> Markup:
    """Of our own making, so not escaped."""
    return Markup(files(__package__ or "").joinpath(name).read_text("utf-8"))  # noqa: S704
