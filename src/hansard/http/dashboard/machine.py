"""The sections about the service itself: the queue now, alerts, functions and processes."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from markupsafe import Markup

from hansard.application.performance import Comparison, Order, in_order
from hansard.domain.alert import AlertState, Severity, Unit
from hansard.domain.benchmark import BenchmarkRun
from hansard.domain.errors import Failure
from hansard.domain.performance import ResourceUse, duration_seconds
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
from hansard.http.dashboard.charts import Series, Times, lines, meter
from hansard.http.dashboard.data import Dashboard, Past
from hansard.http.dashboard.html import Content, tag, together
from hansard.http.schemas.alerts import Alert
from hansard.timing.calls import Calls

MOST_FUNCTIONS = 12
MOST_PROCESSES = 6
"""As many as there are tones; more have their own machines, and no room in one chart."""

_SLOW_WAIT_SECONDS = 300.0
_TONES = ("tone-1", "tone-2", "tone-3", "tone-4", "tone-5", "tone-6")


def now(board: Dashboard) -> Markup:
    """What needs no history."""
    present = board.present
    about = "The queue and the workers, at this moment."
    if isinstance(present, Failure):
        return section("now", "Now", trouble(present), about=about)
    backlog, firing = present.backlog, present.firing
    left_alone = [each.name for each in present.engines if each.circuit.disabled or each.circuit.state != "closed"]
    oldest_tone = "warn" if backlog.oldest_seconds > _SLOW_WAIT_SECONDS else None
    return section(
        "now",
        "Now",
        tiles(
            tile("Waiting", figures.count(backlog.jobs), f"{figures.seconds(backlog.audio_seconds)} of audio"),
            tile("Backlog", figures.seconds(backlog.seconds), "until all of it is done"),
            tile("Oldest has waited", figures.seconds(backlog.oldest_seconds), tone=oldest_tone),
            tile("In work", figures.count(backlog.running), _of_workers(backlog.workers)),
            tile("Workers", figures.count(backlog.workers), tone=None if backlog.workers else "bad"),
            tile(
                "Engines left alone",
                figures.count(len(left_alone)),
                ", ".join(left_alone) or None,
                tone="warn" if left_alone else None,
            ),
            tile(
                "Alerts",
                figures.count(len(firing)),
                tag("a", "see below", href="#alerts") if firing else "none is firing",
                tone="bad" if firing else "good",
            ),
        ),
        about=about,
    )


def benchmarks(board: Dashboard, past: Past) -> Markup:
    about = "What engines were measured to do with recordings whose words are known."
    if not past.benchmarks:
        hint = together("Measure one: ", code("hansard bench run"))
        return section("benchmarks", "Benchmarks", empty("Nothing was measured yet.", hint), about=about)
    zone = ZoneInfo(board.period.time_zone)

    def row(run: BenchmarkRun) -> tuple[Content, ...]:
        found = run.figures
        measured: tuple[Content, ...] = (
            (
                f"{found.failed} of {found.hearings}",
                figures.share(found.wer),
                figures.share(found.coverage),
                figures.factor(found.real_time_factor),
                figures.seconds(found.latency_seconds),
                figures.size(found.peak_memory_bytes),
            )
            if found
            else (figures.NOTHING,) * 6
        )
        engine = together(tag("b", run.engine), " ", dim(run.model or ""))
        when = run.started_at.astimezone(zone).strftime("%d %b %H:%M")
        return (engine, run.corpus, code(run.commit[:7]), when, *measured)

    heads = ("Engine", "Recordings", "Commit", "When", "Failed", "WER", "Speech with text", "Time ÷ audio", "Latency")
    rows = map(row, past.benchmarks)
    return section("benchmarks", "Benchmarks", card(table((*heads, "Memory"), rows, text=4)), about=about)


def alerts(board: Dashboard) -> Markup:
    about = "The rules that wake somebody, and where each stands."
    present = board.present
    if isinstance(present, Failure):
        return section("alerts", "Alerts", trouble(present), about=about)
    if not present.alerts:
        return section("alerts", "Alerts", empty("No rule is in use.", "Set HANSARD_ALERTS."), about=about)
    zone = ZoneInfo(board.period.time_zone)

    def row(alert: Alert) -> tuple[Content, ...]:
        write = _write(alert.unit)
        remedy = tag("small", alert.help, class_="dim block") if alert.firing else None
        return (
            tag("b", alert.name.replace("_", " ")),
            _alert_badge(alert),
            together(alert.trouble or alert.message or dim("not measured yet"), remedy),
            alert.since.astimezone(zone).strftime("%d %b %H:%M") if alert.since else figures.NOTHING,
            write(alert.value),
            f"{alert.breaks} {write(alert.threshold)}",
        )

    ordered = sorted(present.alerts, key=lambda alert: (not alert.firing, alert.state == AlertState.OK))
    rows = map(row, ordered)
    shown = table(("Rule", "State", "Last measured", "Since", "Value", "Fires"), rows, text=4)
    return section("alerts", "Alerts", card(shown), about=about)


def functions(_board: Dashboard, past: Past) -> Markup:
    report = past.functions
    about = f"The critical functions of all processes, by their decorators. Running: {report.version or 'unknown'}."
    if not report.functions:
        nothing = empty("No function was called in this time.", "If it stays so, see whether HANSARD_TIMING is 0.")
        return section("functions", "Functions", nothing, about=about)
    findings = [_slower(each) for each in (report.since_last_version, report.since_week_before) if each is not None]
    return section(
        "functions",
        "Functions",
        titled("Got slower", *findings, note="beyond chance, by a fifth at least") if findings else None,
        titled("Slowest in all", _function_table(report.functions, Order.TOTAL)),
        titled("Slowest single calls", _function_table(report.functions, Order.P95), note="by the 95th percentile"),
        about=about,
    )


def resources(board: Dashboard, past: Past) -> Markup:
    about = "Each process with the engines that it started; postgres is the embedded database."
    if not past.resources:
        nothing = empty("No process was looked at in this time.", "The first figures come half a minute after a start.")
        return section("resources", "Resources", nothing, about=about)
    by_process = _by_process(past.resources)
    times = _times(board, past)
    busiest = sorted(by_process, key=lambda name: -max(use.cores_most for use in by_process[name]))[:MOST_PROCESSES]
    shown = {name: by_process[name] for name in sorted(busiest)}
    left_out = len(by_process) - len(shown)
    note = f"{left_out} less busy processes are left out" if left_out else None

    def of(field: str) -> list[Series]:
        return [
            Series(name, tone, _along(times, {use.start: float(getattr(use, field)) for use in uses}))
            for (name, uses), tone in zip(shown.items(), _TONES, strict=False)
        ]

    return section(
        "resources",
        "Resources",
        columns(
            card(lines("Processor", times, of("cores_mean"), figures.CORES, note=note)),
            card(lines("Memory", times, of("memory_most_bytes"), figures.BYTES, note="the most in each piece of time")),
        ),
        card(_resource_table(by_process)),
        about=about,
    )


# ── Tables ───────────────────────────────────────────────────────────────────────────────────────────────


def _function_table(functions: Sequence[Calls], order: Order) -> Markup:
    slowest = in_order(functions, order)[:MOST_FUNCTIONS]
    most = max(_weight(calls, order) for calls in slowest) or 1.0

    def row(calls: Calls) -> tuple[Content, ...]:
        usage = calls.usage
        return (
            code(calls.function),
            meter(_weight(calls, order) / most),
            figures.count(calls.count),
            badge(figures.count(calls.errors), "warn") if calls.errors else "0",
            figures.seconds(calls.total_seconds),
            figures.seconds(duration_seconds(calls, 0.5)),
            figures.seconds(duration_seconds(calls, 0.95)),
            figures.seconds(calls.longest_seconds),
            figures.seconds(usage.cpu_seconds) if usage else figures.NOTHING,
            figures.size(usage.read_bytes + usage.written_bytes) if usage else figures.NOTHING,
        )

    heads = ("Function", "", "Calls", "Errors", "In all", "Half", "95 %", "Longest", "Own CPU", "I/O")
    return table(heads, map(row, slowest))


def _weight(calls: Calls, order: Order) -> float:
    return calls.total_seconds if order is Order.TOTAL else duration_seconds(calls, 0.95)


def _slower(comparison: Comparison) -> Markup:
    against = f"{comparison.now} beside {comparison.before}: "
    if not comparison.slower:
        return tag("p", against, "nothing got slower.", class_="dim")
    told = [
        tag(
            "li",
            badge(f"{each.ratio:.1f} × slower", "warn"),
            " ",
            code(each.function),
            f" {'half took' if each.quantile == 0.5 else '95 % took'} {figures.seconds(each.now_seconds)} at most, "
            f"{figures.seconds(each.before_seconds)} before ({figures.count(each.now_calls)} and "
            f"{figures.count(each.before_calls)} calls)",
        )
        for each in comparison.slower
    ]
    return together(tag("p", against), tag("ul", *told, class_="findings"))


def _resource_table(by_process: Mapping[str, Sequence[ResourceUse]]) -> Markup:
    def row(name: str) -> tuple[Content, ...]:
        uses = by_process[name]
        seconds = sum(use.seconds for use in uses)
        return (
            tag("b", name),
            figures.cores(sum(use.cores_mean * use.seconds for use in uses) / seconds),
            figures.cores(max(use.cores_most for use in uses)),
            figures.size(uses[-1].memory_mean_bytes),
            figures.size(max(use.memory_most_bytes for use in uses)),
            figures.count(max(use.threads_most for use in uses)),
            figures.count(max(use.open_files_most for use in uses)),
            figures.size(sum(use.read_bytes for use in uses)),
            figures.size(sum(use.written_bytes for use in uses)),
        )

    heads = (
        "Process", "Processor, mean", "most", "Memory, last", "most", "Threads", "Open files", "Read", "Written"
    )  # fmt: skip
    return table(heads, map(row, sorted(by_process)))


def _by_process(resources: Iterable[ResourceUse]) -> dict[str, list[ResourceUse]]:
    """By a name that says no more than it has to: the host only where there are several."""
    resources = tuple(resources)
    hosts = {use.host for use in resources}
    found: dict[str, list[ResourceUse]] = {}
    for use in resources:
        found.setdefault(f"{use.process}@{use.host}" if len(hosts) > 1 else use.process, []).append(use)
    return found


def _times(board: Dashboard, past: Past) -> Times:
    """From the first of what there is to the end, without a gap: a process that was away leaves a hole."""
    start, length = min(use.start for use in past.resources), past.resource_bucket
    pieces = max(1, -((start - board.period.until) // length))
    return Times(tuple(start + number * length for number in range(pieces)), length, ZoneInfo(board.period.time_zone))


def _along(times: Times, values: Mapping[datetime, float]) -> tuple[float | None, ...]:
    return tuple(values.get(start) for start in times.starts)


# ── Words ────────────────────────────────────────────────────────────────────────────────────────────────


def _of_workers(workers: int) -> str:
    return f"of {workers} at most" if workers else "there is no worker"


def _alert_badge(alert: Alert) -> Markup:
    if alert.firing:
        tone = "bad" if alert.severity is Severity.CRITICAL else "warn"
        return beside(badge(alert.state, tone), dim(alert.severity))
    return badge(alert.state, "good" if alert.state is AlertState.OK else "warn")


def _write(unit: Unit) -> figures.Writer:
    return {
        Unit.PART: figures.share,
        Unit.SECONDS: figures.seconds,
        Unit.BYTES: figures.size,
        Unit.COUNT: figures.count,
    }[unit]
