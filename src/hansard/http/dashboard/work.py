"""The sections about the service's work: what came in, how long it took, what failed, what it cost."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from operator import attrgetter
from zoneinfo import ZoneInfo

from markupsafe import Markup

from hansard.application.ports.analytics import (
    CostReport,
    EngineHappenings,
    EngineReport,
    ErrorReport,
    GotSlower,
    Overview,
    Spread,
)
from hansard.domain.circuit import CircuitState
from hansard.domain.errors import Failure
from hansard.domain.period import Bucket, Period
from hansard.http.dashboard import figures
from hansard.http.dashboard.blocks import (
    badge,
    beside,
    card,
    code,
    columns,
    dim,
    empty,
    section,
    table,
    tile,
    tiles,
    titled,
    trouble,
)
from hansard.http.dashboard.charts import Series, Times, bars, lines, meter, parts
from hansard.http.dashboard.data import Dashboard, Past
from hansard.http.dashboard.html import Content, tag, together
from hansard.http.schemas.engines import Engine

MOST_ROWS = 12

_LENGTHS = {Bucket.MINUTE: timedelta(minutes=1), Bucket.HOUR: timedelta(hours=1), Bucket.DAY: timedelta(days=1)}
_QUANTILES = (("99 %", "tone-3", "p99"), ("95 %", "tone-2", "p95"), ("Half", "tone-1", "p50"))
_WAITS = {
    "queue": "waiting in the queue",
    "preparing": "preparing and finishing",
    "recognising": "recognition",
    "total": "the whole way",
}


def overview(board: Dashboard, past: Past) -> Markup:
    report = past.overview
    now, before = report.now, report.before
    total, queue = now.total_seconds, now.queue_seconds
    write, money = figures.seconds, figures.money(report.currency)
    finished = now.completed + now.failed
    failed_of = f"{figures.share(now.failure_rate)} of {figures.count(finished)}" if finished else None
    return section(
        "overview",
        "Overview",
        tiles(
            tile("Asked for", figures.count(now.asked), _change(now.asked, before.asked)),
            tile("Completed", figures.count(now.completed), _of_which(now.degraded, "degraded")),
            tile("Failed", figures.count(now.failed), failed_of, tone="bad" if now.failed else None),
            tile("Audio transcribed", write(now.audio_seconds), _change(now.audio_seconds, before.audio_seconds)),
            tile("Done within, half", write(total.p50), _than(total, before.total_seconds)),
            tile("Done within, 95 %", write(total.p95), f"99 %: {write(total.p99)}"),
            tile("Waited in queue, 95 %", write(queue.p95), f"half: {write(queue.p50)}"),
            tile("Speech with text", figures.share(now.coverage), _points(now.coverage, before.coverage)),
            tile("Uploaded", figures.size(now.uploaded_bytes), _of_files(now.uploads)),
            tile("Cost", money(now.cost), f"before: {money(before.cost)}"),
        ),
        about=f"{_span(board.period)}, beside the same span {_weeks(report)} earlier.",
    )


def throughput(board: Dashboard, past: Past) -> Markup:
    buckets = past.throughput.buckets
    about = "How many transcriptions ended, and how much was listened to."
    if not any(each.asked or each.completed or each.failed or each.cancelled or each.uploads for each in buckets):
        return section("throughput", "Throughput", _nothing_asked_for(board), about=about)
    times = _times(board.period, (each.start for each in buckets))

    def of(field: str) -> tuple[float | None, ...]:
        return tuple(map(attrgetter(field), buckets))

    ended = (
        Series("Completed", "tone-good", of("completed")),
        Series("Failed", "tone-bad", of("failed")),
        Series("Cancelled", "tone-plain", of("cancelled")),
    )
    heard = (Series("Audio", "tone-1", of("audio_seconds")),)
    per = f"per {board.period.bucket}"
    return section(
        "throughput",
        "Throughput",
        columns(
            card(bars("Transcriptions that ended", times, ended, figures.COUNT, note=per)),
            card(bars("Audio transcribed", times, heard, figures.SECONDS, note=per)),
        ),
        about=about,
    )


def latency(board: Dashboard, past: Past) -> Markup:
    report = past.latency
    about = "From asking to the transcript. Percentiles are of the single transcriptions."
    if not report.overall.total_seconds.count:
        return section("latency", "Latency", _nothing_completed(), about=about)
    times = _times(board.period, (each.start for each in report.buckets))

    def of(measure: str) -> tuple[Series, ...]:
        spreads: list[Spread] = [getattr(each, measure) for each in report.buckets]
        return tuple(
            Series(name, tone, tuple(getattr(spread, quantile) for spread in spreads))
            for name, tone, quantile in _QUANTILES
        )

    overall = report.overall
    spreads = (
        ("Whole way", overall.total_seconds, figures.seconds),
        ("In the queue", overall.queue_seconds, figures.seconds),
        ("Preparing and finishing", overall.preparing_seconds, figures.seconds),
        ("Recognition", overall.recognising_seconds, figures.seconds),
        ("Recognition ÷ audio", overall.real_time_factor, figures.factor),
    )
    rows = ((name, *(write(value) for value in (each.p50, each.p95, each.p99))) for name, each, write in spreads)
    return section(
        "latency",
        "Latency",
        columns(
            card(lines("Done within", times, of("total_seconds"), figures.SECONDS)),
            card(lines("Waited in the queue", times, of("queue_seconds"), figures.SECONDS)),
        ),
        columns(
            titled("Percentiles", table(("", "Half", "95 %", "99 %"), rows)),
            titled("Where the time goes", _waits(past), _got_slower(report.slower), note="of all together"),
        ),
        about=about,
    )


def engines(board: Dashboard, past: Past | Failure) -> Markup:
    about = "What each engine did for its money, and whether it is in use now."
    content: list[Markup] = []
    if isinstance(past, Failure):
        content.append(trouble(past))
    elif past.engines.items:
        content.append(card(_engine_table(past), _got_slower(past.engines.slower)))
    else:
        content.append(empty("No engine was tried in this time.", "Choose a longer one above."))
    if not isinstance(board.present, Failure):
        happenings = () if isinstance(past, Failure) else past.engines.happenings
        content.append(titled("In use now", _present_table(board.present.engines, happenings)))
    return section("engines", "Engines", *content, about=about)


def errors(board: Dashboard, past: Past) -> Markup:
    report = past.errors
    about = "What failed in the end, and tries that failed where another may have made up for it."
    if not report.transcriptions and not report.attempts:
        return section("errors", "Errors", empty("Nothing failed in this time.", "May it stay so."), about=about)
    times = _times(board.period, (each.start for each in report.buckets))
    failed = (
        Series("Transcriptions", "tone-bad", tuple(each.failed for each in report.buckets)),
        Series("Tries of engines", "tone-warn", tuple(each.failed_attempts for each in report.buckets)),
    )
    tables = [
        titled(title, _error_table(board, reports))
        for title, reports in (("Failed transcriptions", report.transcriptions), ("Failed tries", report.attempts))
        if reports
    ]
    chart = card(bars("Failures", times, failed, figures.COUNT, note=f"per {board.period.bucket}"))
    return section("errors", "Errors", chart, *tables, about=about)


def costs(board: Dashboard, past: Past) -> Markup:
    report = past.costs
    money = figures.money(report.currency)
    about = "By the prices in HANSARD_PRICES, as they are now."
    if not report.items:
        return section("costs", "Costs", _nothing_completed(), about=about)
    times = _times(board.period, (each.start for each in report.buckets))
    spent = (Series("Cost", "tone-1", tuple(each.cost for each in report.buckets)),)
    chart = bars("Cost", times, spent, figures.Unit(money), note=f"per {board.period.bucket}")
    unpriced = None
    if report.unpriced:
        unpriced = tag("p", "Without a price, which HANSARD_PRICES sets: ", ", ".join(report.unpriced), class_="dim")
    return section(
        "costs",
        "Costs",
        columns(
            card(chart),
            titled(
                f"{money(report.cost)} in all", _cost_table(report.items, money), unpriced if report.unpriced else None
            ),
        ),
        about=about,
    )


# ── Tables ───────────────────────────────────────────────────────────────────────────────────────────────


def _engine_table(past: Past) -> Markup:
    money = figures.money(past.engines.currency)

    def row(each: EngineReport) -> tuple[Content, ...]:
        verdict = badge(f"{each.beaten_by} is better", "warn") if each.beaten_by else None
        return (
            beside(tag("b", each.engine), dim(each.model), verdict),
            figures.count(each.attempts),
            figures.share(each.failure_rate),
            figures.seconds(each.audio_seconds),
            figures.factor(each.real_time_factor.p50),
            figures.factor(each.real_time_factor.p95),
            figures.share(each.coverage),
            money(each.cost_per_audio_hour),
            money(each.cost),
        )

    heads = (
        "Engine", "Tries", "Failed", "Audio", "Time ÷ audio, half", "95 %", "Speech with text", "An hour costs", "Cost"
    )  # fmt: skip
    return table(heads, map(row, past.engines.items))


def _present_table(engines: Iterable[Engine], happenings: Iterable[EngineHappenings]) -> Markup:
    of_engine = {each.engine: each for each in happenings}

    def row(engine: Engine) -> tuple[Content, ...]:
        past, failure = of_engine.get(engine.name), engine.circuit.last_failure
        return (
            tag("b", engine.name),
            _state_badge(engine),
            engine.circuit.disabled_reason or engine.detail,
            code(failure.code) if failure else figures.NOTHING,
            figures.count(engine.circuit.failures),
            figures.count(past.circuit_opened if past else 0),
            figures.count(past.fell_back if past else 0),
            f"{past.canary_passed} of {past.canaries}" if past and past.canaries else figures.NOTHING,
        )

    heads = ("Engine", "Now", "", "Last failure", "Failed in a row", "Circuit opened", "Fallbacks", "Canary passed")
    return table(heads, map(row, engines), text=4)


def _state_badge(engine: Engine) -> Markup:
    if engine.circuit.disabled:
        return badge("disabled by hand", "plain")
    if engine.circuit.state is CircuitState.OPEN:
        return badge("left alone", "bad")
    if engine.circuit.state is CircuitState.HALF_OPEN:
        return badge("being tried", "warn")
    return badge(engine.state, {"ready": "good", "preparing": "warn", "unavailable": "plain"}[engine.state])


def _error_table(board: Dashboard, reports: Iterable[ErrorReport]) -> Markup:
    zone = ZoneInfo(board.period.time_zone)

    def row(each: ErrorReport) -> tuple[Content, ...]:
        examples = (
            tag("a", str(example)[:8], href=f"/transcriptions/{example}", title=f"Transcription {example}")
            for example in each.examples
        )
        return (
            code(each.code),
            each.category,
            each.engine or figures.NOTHING,
            beside(*examples) if each.examples else figures.NOTHING,
            each.last_at.astimezone(zone).strftime("%d %b %H:%M"),
            figures.count(each.count),
            figures.share(each.share),
        )

    heads = ("Error", "Whose", "Engine", "For example", "Last", "Times", "Share")
    return table(heads, map(row, list(reports)[:MOST_ROWS]), text=4)


def _cost_table(items: Iterable[CostReport], money: figures.Writer) -> Markup:
    dearest = sorted(items, key=lambda each: each.cost or 0.0, reverse=True)[:MOST_ROWS]
    most = max((each.cost or 0.0 for each in dearest), default=0.0) or 1.0

    def row(each: CostReport) -> tuple[Content, ...]:
        return (
            beside(tag("b", each.engine), dim(each.model)),
            each.owner or figures.NOTHING,
            figures.seconds(each.audio_seconds),
            figures.count(each.input_tokens + each.output_tokens or None),
            together(money(each.cost), meter((each.cost or 0.0) / most) if each.cost else None),
        )

    return table(("Engine", "Owner", "Audio", "Tokens", "Cost"), map(row, dearest), text=2)


def _waits(past: Past) -> Content:
    waits = past.latency.waits
    if waits is None:
        return None
    named = (
        ("Queue", "tone-warn", waits.queue),
        ("Preparing and finishing", "tone-2", waits.preparing),
        ("Recognition", "tone-1", waits.recognising),
    )
    return parts(named)


def _got_slower(slower: Iterable[GotSlower]) -> Content:
    told = [
        tag(
            "li",
            badge(f"{each.ratio:.1f} × slower", "warn"),
            " ",
            _WAITS.get(each.what, each.what),
            f", {each.engine} {each.model or ''}" if each.engine else None,
            f": half took {_measure(each, each.p50)} at most, {_measure(each, each.p50_before)} before",
        )
        for each in slower
    ]
    return tag("ul", *told, class_="findings") if told else None


# ── Words ────────────────────────────────────────────────────────────────────────────────────────────────


def _measure(slower: GotSlower, value: float) -> str:
    return figures.factor(value) if slower.what == "recognising" else figures.seconds(value)


def _weeks(report: Overview) -> str:
    weeks = (report.since - report.before_since).days // 7
    return "one week" if weeks == 1 else f"{weeks} weeks"


def _change(now: float, before: float) -> str | None:
    if not before:
        return None
    change = (now - before) / before
    if abs(change) < 0.005:
        return "as before"
    if change > 2:
        return f"{figures.factor(now / before)} as much as before"
    return f"{abs(change) * 100:.0f} % {'more' if change > 0 else 'less'} than before"


def _points(now: float | None, before: float | None) -> str | None:
    return None if now is None or before is None else f"before: {figures.share(before)}"


def _than(now: Spread, before: Spread) -> str | None:
    return None if now.p50 is None or before.p50 is None else f"before: {figures.seconds(before.p50)}"


def _of_which(count: int, what: str) -> str | None:
    return f"{figures.count(count)} of them {what}" if count else None


def _of_files(count: int) -> str:
    return f"{figures.count(count)} file{'' if count == 1 else 's'}"


def _span(period: Period) -> str:
    zone = ZoneInfo(period.time_zone)
    since, until = period.since.astimezone(zone), period.until.astimezone(zone)
    return f"{since:%a %d %b %H:%M} to {until:%a %d %b %H:%M}, {period.time_zone}"


def _times(period: Period, starts: Iterable[datetime]) -> Times:
    return Times(tuple(starts), _LENGTHS[period.bucket], ZoneInfo(period.time_zone))


def _nothing_asked_for(board: Dashboard) -> Markup:
    command = f"curl -F file=@talk.mp3 {board.address}/transcriptions"
    return empty("Nothing was asked for in this time.", "Choose a longer one above, or begin: ", tag("code", command))


def _nothing_completed() -> Markup:
    return empty("No transcription was completed in this time.", "Choose a longer one above.")
