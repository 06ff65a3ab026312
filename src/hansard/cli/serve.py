"""`hansard up`, and the two kinds of process that it runs: `hansard api` and `hansard worker`."""

import os
import socket
import sys
import threading
import time
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from hansard.settings import Settings

REQUESTS_END_WITHIN_SECONDS = 3
"""What requests get to finish when the API stops; live streams would hold it open for good."""
PONG_WITHIN_SECONDS = 120.0
"""A live client that is held up has its pong behind audio that is not read yet."""
HTTP_OK = 200

Host = Annotated[str | None, typer.Option(help="Instead of HANSARD_HOST.", show_default=False)]
Port = Annotated[int | None, typer.Option(help="Instead of HANSARD_PORT.", show_default=False)]
ParentOption = Annotated[int | None, typer.Option(hidden=True, help="End when this process is gone.")]


def up(
    host: Host = None,
    port: Port = None,
    workers: Annotated[int | None, typer.Option(help="Instead of HANSARD_WORKERS.", show_default=False)] = None,
    reload: Annotated[bool, typer.Option("--reload", help="Start anew when the code changes.")] = False,
) -> None:
    """Run the whole service: database, API and workers, in this terminal."""
    from hansard import __file__ as package
    from hansard.cli.address import listen
    from hansard.cli.start import start, stop_database, warn_of_unknown_variables
    from hansard.cli.supervisor import Supervisor

    _override(host=host, port=port, workers=workers)
    settings = start("up")
    warn_of_unknown_variables()
    supervisor = Supervisor()
    with listen(settings.host, settings.port) as listener:
        try:
            _prepare(settings)
            own = [sys.executable, "-m", "hansard"]
            parent = ["--parent", str(os.getpid())]
            # The API is handed its socket: while it starts or is started again, requests wait and none is refused.
            supervisor.keep("api", [*own, "api", "--fd", str(listener.fileno()), *parent], pass_fds=[listener.fileno()])
            for number in range(1, settings.workers + 1):
                supervisor.keep(f"worker.{number}", [*own, "worker", "--name", f"worker.{number}", *parent])
            if reload:
                supervisor.restart_on_change(Path(package).parent)
            threading.Thread(target=_announce, args=(settings,), name="announce", daemon=True).start()
            supervisor.run()
        finally:
            if not supervisor.hurried:
                stop_database(settings)


def api(
    host: Host = None,
    port: Port = None,
    fd: Annotated[int | None, typer.Option(hidden=True, help="A listening socket, handed down.")] = None,
    parent: ParentOption = None,
) -> None:
    """Run the API alone. Workers run beside it, here or on other machines."""
    from hansard.application.origin import acting
    from hansard.cli.address import listen
    from hansard.cli.start import start, start_tracing
    from hansard.observability import tracing

    _override(host=host, port=port)
    settings = start("api")
    start_tracing(settings, "api")
    _end_with(parent)
    with socket.socket(fileno=fd) if fd is not None else listen(settings.host, settings.port) as listener:
        import uvicorn

        from hansard.http.app import build_app
        from hansard.http.server import Server

        app = build_app(settings)
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,  # the app's own line has the request's id and its duration
            timeout_graceful_shutdown=REQUESTS_END_WITHIN_SECONDS,
            ws_ping_timeout=PONG_WITHIN_SECONDS,
        )
        with acting(actor="api"), suppress(KeyboardInterrupt):  # uvicorn has stopped in order by then
            Server(config, app.state.streams).run(sockets=[listener])
    tracing.stop()


def worker(
    name: Annotated[str, typer.Option(help="Stands on each of its log lines.")] = "worker",
    parent: ParentOption = None,
) -> None:
    """Run one worker alone: one process, one transcription at a time."""
    from hansard.application.origin import acting
    from hansard.cli.start import start, start_tracing

    settings = start(name)
    start_tracing(settings, name)
    _end_with(parent)
    from hansard import worker as worker_module  # seconds of imports, so after the settings have proved good

    with acting(actor=name):
        worker_module.main(settings, name=name)


def _override(**options: str | int | None) -> None:
    """An option is the setting of its name, for this process and those it starts."""
    from hansard.settings import variable

    os.environ.update({variable(name): str(value) for name, value in options.items() if value is not None})


def _end_with(parent: int | None) -> None:
    if parent is not None:
        from hansard.cli.supervisor import end_with

        end_with(parent)


def _prepare(settings: "Settings") -> None:
    """What all processes share is made ready once, before they could race for it."""
    from loguru import logger

    from hansard import bootstrap
    from hansard.observability import shared_metrics

    shared_metrics.clear(bootstrap.metrics_directory(settings))
    bootstrap.prepare(settings)
    logger.info("The database is ready.")


def _announce(settings: "Settings") -> None:
    """Say where to go once the API answers; the socket takes the question before the API is there."""
    from loguru import logger

    from hansard.cli.address import url

    address = url(settings.host, settings.port)
    while True:
        connection = HTTPConnection(address.removeprefix("http://"), timeout=60)
        try:
            connection.request("GET", "/health/live")
            if connection.getresponse().status == HTTP_OK:
                break
        except (OSError, HTTPException):
            pass
        finally:
            connection.close()
        time.sleep(1)
    logger.info("Hansard is ready: {}/docs", address)
    logger.info("Try it: curl -F file=@talk.mp3 {}/transcriptions", address)
