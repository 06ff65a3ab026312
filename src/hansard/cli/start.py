"""What commands do first and last: read the settings, set up the log; stop the database that was started for them."""

from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from loguru import logger

from hansard import settings as settings_module
from hansard.application.origin import acting, new_trace_id
from hansard.observability import logging, redaction, tracing
from hansard.observability.log_files import LogFile
from hansard.settings import Settings

if TYPE_CHECKING:
    from hansard.bootstrap import Container


def start(process: str) -> Settings:
    """For a command that stays: its log is what it has to say. Raises `SettingsError`."""
    settings = settings_module.load()
    redaction.conceal(settings_module.secrets(settings))
    file = log_file(settings, process)
    logging.configure(process=process, level=settings.log_level, format=settings.log_format, file=file)
    return settings


def start_quietly() -> Settings:
    """For a command that answers: only warnings, unless LOG_LEVEL asks for more. Raises `SettingsError`."""
    settings = settings_module.load()
    redaction.conceal(settings_module.secrets(settings))
    given = settings_module.origin("log_level") is not settings_module.Origin.DEFAULT
    logging.configure(process="cli", level=settings.log_level if given else "WARNING", format=settings.log_format)
    return settings


def start_tracing(settings: Settings, process: str) -> None:
    """Send this process's spans to the collector, where there is one."""
    headers = settings.traces_headers
    tracing.start_sending(
        process=process,
        endpoint=settings.traces_endpoint,
        headers=headers.get_secret_value() if headers else None,
        ratio=settings.traces_ratio,
    )


def log_directory(settings: Settings) -> Path:
    return settings.log_directory or settings.data_dir / "logs"


def log_file(settings: Settings, process: str) -> LogFile | None:
    if not settings.log_file_bytes:
        return None
    return LogFile(
        log_directory(settings),
        process,
        most_bytes=settings.log_file_bytes,
        kept=settings.log_files_kept,
        days=settings.log_file_days,
    )


@contextmanager
def opened_container(*, process: str = "cli", make_ready: bool = True) -> "Generator[Container]":
    """What a command that answers works with. The embedded database is stopped afterwards, if nobody else uses it.

    `make_ready` sets the database up, or brings it to this version, first, as `hansard up` would. What such a command
    does is told in the log's files; in the terminal, only its answer is.
    """
    from hansard import bootstrap

    settings = start_quietly()
    if file := log_file(settings, process):
        logging.also_to(file, level=settings.log_level)
    with acting(actor=process, request_id=uuid4().hex, trace_id=new_trace_id()):
        try:
            if make_ready:
                bootstrap.prepare(settings)
            with closing(bootstrap.build(settings, process=process)) as container:
                yield container
        finally:
            stop_database(settings)


def stop_database(settings: Settings) -> None:
    """Stop the embedded database, if it runs, unless somebody else is using it: another `hansard`, a shell."""
    import psycopg

    from hansard.persistence import embedded

    if settings.database_url is not None or embedded.server_process(settings.data_dir) is None:
        return
    others = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
    try:
        with psycopg.connect(embedded.ensure_running(settings.data_dir)) as connection:
            (users,) = connection.execute(others).fetchone() or (0,)
    except psycopg.OperationalError:
        return  # it is on its way down already
    if users == 0:
        embedded.stop(settings.data_dir)


def warn_of_unknown_variables() -> None:
    """A misspelt setting would otherwise be ignored in silence."""
    for name, meant in settings_module.unknown_variables().items():
        hint = f" Did you mean {meant}?" if meant else ""
        logger.warning("There is no setting {}; it is ignored.{}", name, hint)
