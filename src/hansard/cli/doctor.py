"""`hansard doctor`: everything that a newcomer can trip on, checked, with what to do about it.

Each check is a small function of `CHECKS` that yields what it finds. A check that fails in an unforeseen way is a
finding as well: the doctor never dies of a disease.
"""

import importlib
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from hansard.application.health_checks import DANGEROUS_PART
from hansard.domain.errors import HansardError

if TYPE_CHECKING:
    from hansard.settings import Settings

NATIVE_PACKAGES = ("psycopg", "obstore", "av", "numpy", "onnxruntime", "ctranslate2", "pocketsphinx")
"""What comes compiled for the machine, and so may not load on this one."""

WORKER_MEMORY_BYTES = 1_500_000_000
"""About what a worker takes with Whisper small in int8, and ZenML."""

NETWORK_PATIENCE_SECONDS = 5
CLOCK_TOLERANCE_SECONDS = 300
"""Beyond five minutes, providers and object stores begin to refuse signed requests."""

SET_CLOCK = "Set it (Linux: timedatectl set-ntp true): providers refuse requests from another time."


class Mark(StrEnum):
    FINE = "✓"
    NOTICE = "!"
    PROBLEM = "✗"


COLOURS = {Mark.FINE: "green", Mark.NOTICE: "yellow", Mark.PROBLEM: "red"}


@dataclass(frozen=True, slots=True)
class Finding:
    mark: Mark
    text: str
    help: str | None = None


Check = Callable[["Settings"], Iterator[Finding]]


def doctor() -> None:
    """Check everything that has to be right, and say how to mend what is not. Exit code 1: something is wrong."""
    from hansard.cli.start import start_quietly
    from hansard.settings import SettingsError

    findings: Iterable[Finding]
    try:
        settings = start_quietly()
    except SettingsError as error:
        findings = [Finding(Mark.PROBLEM, error.failure.message, error.failure.help)]
    else:
        findings = examine(settings, CHECKS)
    marks: list[Mark] = []
    for finding in findings:
        marks.append(finding.mark)
        typer.echo(f"{typer.style(finding.mark, fg=COLOURS[finding.mark], bold=True)} {finding.text}")
        if finding.help:
            typer.echo("".join(f"    {line}\n" for line in finding.help.splitlines()), nl=False)
    problems, notices = marks.count(Mark.PROBLEM), marks.count(Mark.NOTICE)
    typer.echo(f"\n{problems} to mend, {notices} to know, {len(marks) - problems - notices} fine.")
    if problems:
        raise typer.Exit(1)


def examine(settings: "Settings", checks: Iterable[Check]) -> Iterator[Finding]:
    """What the checks find, each as soon as it is found."""
    for check in checks:
        try:
            yield from check(settings)
        except HansardError as error:
            yield Finding(Mark.PROBLEM, error.failure.message, error.failure.help)
        except Exception as error:  # noqa: BLE001 - see the module's docstring
            name = check.__name__.replace("_", " ")
            yield Finding(Mark.PROBLEM, f"The {name} could not be checked: {type(error).__name__}: {error}")


# ── This machine ─────────────────────────────────────────────────────────────────────────────────────────


def python(_: "Settings") -> Iterator[Finding]:
    # Older versions cannot even read this file; `make` tells.
    yield Finding(Mark.FINE, f"Python {platform.python_version()} on {platform.system()} {platform.machine()}")


def native_packages(_: "Settings") -> Iterator[Finding]:
    broken: dict[str, Exception] = {}
    for name in NATIVE_PACKAGES:
        try:
            importlib.import_module(name)
        except Exception as error:  # noqa: BLE001 - a broken library may raise anything
            broken[name] = error
    for name, error in broken.items():
        yield Finding(
            Mark.PROBLEM,
            f"The package {name} does not load: {error}",
            f"It is compiled for another kind of machine than this ({platform.machine()}), or a system library is "
            "missing. Install anew on this machine: make clean install",
        )
    if not broken:
        yield Finding(Mark.FINE, "All compiled packages load on this machine")


def user(_: "Settings") -> Iterator[Finding]:
    if os.geteuid() == 0:
        yield Finding(
            Mark.NOTICE,
            "You are root",
            "Hansard does not need that. PostgreSQL, which refuses it, is run as a system user of its own.",
        )


def memory_and_cores(settings: "Settings") -> Iterator[Finding]:
    cores = os.cpu_count() or 1
    memory_bytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    yield weigh(settings.workers * settings.whisper_threads, settings.workers, cores, memory_bytes)


def weigh(threads: int, workers: int, cores: int, memory_bytes: int) -> Finding:
    """Whether so many workers, with so many threads in all, fit the machine."""
    text = f"{workers} workers on {cores} cores and {memory_bytes / 1e9:.0f} GB of memory"
    if threads > cores:
        return Finding(
            Mark.NOTICE,
            f"{text}: more threads than cores",
            f"Set HANSARD_WORKERS={cores} and HANSARD_WHISPER_THREADS=1.",
        )
    fitting = int(memory_bytes // WORKER_MEMORY_BYTES)
    if workers > max(fitting, 1):
        return Finding(Mark.NOTICE, f"{text}: memory may run out", f"Set HANSARD_WORKERS={max(fitting, 1)}.")
    return Finding(Mark.FINE, text)


def clock(_: "Settings") -> Iterator[Finding]:
    """Compared with what was written to this disk; the network check compares it with others' clocks."""
    if time.time() < Path(__file__).stat().st_mtime - CLOCK_TOLERANCE_SECONDS:
        now = time.strftime("%Y-%m-%d %H:%M")
        yield Finding(Mark.PROBLEM, f"The clock says {now}, before Hansard was installed", SET_CLOCK)


# ── Settings ─────────────────────────────────────────────────────────────────────────────────────────────


def variables(_: "Settings") -> Iterator[Finding]:
    from hansard.settings import unknown_variables

    for name, meant in unknown_variables().items():
        yield Finding(
            Mark.NOTICE,
            f"There is no setting {name}; it is ignored",
            f"Did you mean {meant}?" if meant else "`hansard config show` lists them.",
        )


def testing(settings: "Settings") -> Iterator[Finding]:
    if settings.testing:
        yield Finding(
            Mark.NOTICE,
            "TESTING is set: the engine `mock`, which makes its transcripts up, can be asked for",
            "Unset TESTING outside tests.",
        )


def openai_key(settings: "Settings") -> Iterator[Finding]:
    key = settings.openai_api_key.get_secret_value() if settings.openai_api_key else ""
    if key and key != key.strip():
        yield Finding(Mark.PROBLEM, "OPENAI_API_KEY has white space around it", "Set it again without.")
    elif key and settings.openai_base_url is None and not key.startswith("sk-"):
        yield Finding(
            Mark.NOTICE,
            "OPENAI_API_KEY does not look like a key of OpenAI's, which begin with sk-",
            "Copy it again from https://platform.openai.com/api-keys; for another provider, set OPENAI_BASE_URL.",
        )


# ── Places ───────────────────────────────────────────────────────────────────────────────────────────────


def data_directory(settings: "Settings") -> Iterator[Finding]:
    place = settings.data_dir.resolve()
    try:
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(b"x")
            file.flush()
    except OSError as error:
        yield Finding(
            Mark.PROBLEM,
            f"The data directory {place} cannot be written to: {error.strerror}",
            "Set HANSARD_DATA_DIR to a directory of yours, or change its owner.",
        )
        return
    free = shutil.disk_usage(place).free
    text = f"Data directory {place}, {free / 1e9:.0f} GB free"
    if free < settings.scarce_disk_bytes:
        mark = Mark.PROBLEM if free <= settings.scarce_disk_bytes * DANGEROUS_PART else Mark.NOTICE
        yield Finding(mark, text, "Make room, or set HANSARD_DATA_DIR to a larger disk.")
    else:
        yield Finding(Mark.FINE, text)


def address(settings: "Settings") -> Iterator[Finding]:
    from hansard.cli.address import listen, url

    try:
        listen(settings.host, settings.port).close()
    except HansardError:
        if not _is_hansard(url(settings.host, settings.port)):
            raise
        yield Finding(Mark.FINE, f"Hansard is running at {url(settings.host, settings.port)}")
    else:
        yield Finding(Mark.FINE, f"Port {settings.port} on {settings.host} is free")


def _is_hansard(base: str) -> bool:
    import httpx

    try:
        return '"title":"Hansard"' in httpx.get(f"{base}/openapi.json", timeout=NETWORK_PATIENCE_SECONDS).text
    except httpx.HTTPError:
        return False


def database(settings: "Settings") -> Iterator[Finding]:
    from hansard.cli.database import inspect

    found = inspect(settings)
    where = "yours, HANSARD_DATABASE_URL" if settings.database_url else "embedded"
    yield Finding(Mark.FINE, f"PostgreSQL {found.server_version} answers ({where})")
    if found.pending:
        text_ = "The database has not been brought to this version of Hansard yet"
        yield Finding(Mark.NOTICE, text_, "`hansard up` does it when it starts; now: hansard db upgrade")
    else:
        yield Finding(Mark.FINE, f"The database is at version {found.current}, as it should be")


def pipelines(settings: "Settings") -> Iterator[Finding]:
    from hansard.bootstrap import zenml_store
    from hansard.observability.logging import strip_foreign_handlers
    from hansard.settings import Runner

    if settings.pipeline_runner is Runner.ZENML:
        store = zenml_store(settings)
        store.open(strip_foreign_handlers)
        yield Finding(Mark.FINE, "ZenML's store can be reached")


def recordings(settings: "Settings") -> Iterator[Finding]:
    """A small object goes in, comes out the same, and is removed."""
    import io
    from secrets import token_bytes

    from hansard.bootstrap import audio_store

    store = audio_store(settings)
    content = token_bytes(32)
    stored = store.put(io.BytesIO(content))
    try:
        with store.open(stored) as source:
            returned = source.read()
    finally:
        store.delete(stored)
    if returned == content:
        yield Finding(Mark.FINE, "Recordings can be stored, read back and deleted")
    else:
        yield Finding(
            Mark.PROBLEM, "The object store returned other bytes than were stored", "Check HANSARD_STORAGE_URL."
        )


# ── What does the listening ──────────────────────────────────────────────────────────────────────────────


def engines(settings: "Settings") -> Iterator[Finding]:
    from hansard import bootstrap
    from hansard.application.ports.engines import EngineState

    container = bootstrap.build(settings)
    try:
        found = {name: engine.status() for name, engine in container.engines.items()}
    finally:
        container.close()
    marks = {
        EngineState.READY: Mark.FINE,
        EngineState.PREPARING: Mark.NOTICE,
        EngineState.UNAVAILABLE: Mark.NOTICE,
    }
    for name, status in found.items():
        yield Finding(marks[status.state], f"Engine {name}: {status.state}, {status.detail}", status.help)
    if not any(found[name].state is EngineState.READY for name in settings.engine_chain if name in found):
        yield Finding(
            Mark.PROBLEM, "No engine that `auto` may use can work now", "Follow what is said above for one of them."
        )


def network(settings: "Settings") -> Iterator[Finding]:
    """Whether models can be fetched; and what time it is elsewhere."""
    import httpx

    if settings.offline:
        yield Finding(Mark.FINE, "HANSARD_OFFLINE is set: nothing is fetched from the network")
        return
    hub = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    try:
        response = httpx.head(hub, timeout=NETWORK_PATIENCE_SECONDS)
    except httpx.HTTPError as error:
        yield Finding(
            Mark.NOTICE,
            f"The model hub {hub} cannot be reached: {error}",
            "Whisper needs a model from there once. Without it: set HANSARD_WHISPER_MODEL=/path/to/model, or "
            "HANSARD_OFFLINE=1 to have nobody try.",
        )
        return
    yield Finding(Mark.FINE, f"The model hub {hub} can be reached")
    date = response.headers.get("Date")
    if date and abs(parsedate_to_datetime(date).timestamp() - time.time()) > CLOCK_TOLERANCE_SECONDS:
        yield Finding(Mark.PROBLEM, f"The clock is wrong: the hub says {date}", SET_CLOCK)


CHECKS: tuple[Check, ...] = (
    python,
    native_packages,
    user,
    memory_and_cores,
    clock,
    variables,
    testing,
    openai_key,
    data_directory,
    address,
    database,
    pipelines,
    recordings,
    engines,
    network,
)
