"""The whole service as a user runs it, `hansard up`, for tests that kill parts of it."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
import psutil
import psycopg

PATIENCE_SECONDS = 90.0

T = TypeVar("T")

NOT_OURS = ("HANSARD_", "OPENAI_", "ZENML_", "LOG_", "COLOR", "FORCE_COLOR", "CI", "GITHUB_", "ORT_", "HF_")
"""And what no user has: in CI, libraries keep some of their habits to themselves."""


@contextmanager
def open_directory() -> Generator[Path]:
    """A directory that others may pass through, unlike pytest's: as root, the database's user has to."""
    with tempfile.TemporaryDirectory(prefix="hansard-e2e-") as name:
        directory = Path(name)
        directory.chmod(0o755)
        yield directory


def environment(data_dir: Path, **more: str) -> dict[str, str]:
    """A clean environment: nothing of the developer's own settings, no network, an empty home."""
    home = data_dir.parent / "home"
    home.mkdir(exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(NOT_OURS)}
    return kept | {
        "HOME": str(home),
        "HANSARD_DATA_DIR": str(data_dir),
        "HANSARD_OFFLINE": "1",
        "TESTING": "true",
        **more,
    }


def hansard(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "hansard", *arguments]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def eventually(look: Callable[[], T | None], what: str) -> T:
    """What `look` gives as soon as it gives something."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.1)
    raise AssertionError(f"waited {PATIENCE_SECONDS} s for {what}")


@dataclass
class Service:
    """`settings` are environment variables. Its log is in `log`."""

    directory: Path
    workers: int = 1
    settings: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)

    def __post_init__(self) -> None:
        self.log_file = self.directory / "log"
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=30)

    @property
    def environment(self) -> dict[str, str]:
        return environment(
            self.directory / "data", HANSARD_PORT=str(self.port), HANSARD_WORKERS=str(self.workers), **self.settings
        )

    @property
    def log(self) -> str:
        return self.log_file.read_text()

    def start(self) -> "Service":
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                hansard("up"), env=self.environment, cwd=self.directory, stdout=log, stderr=log, start_new_session=True
            )
        eventually(self._is_ready, "the service to be ready")
        return self

    def stop(self, *, within_seconds: float = 30.0) -> int:
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(within_seconds)
        self.http.close()
        return code

    def database_url(self) -> str:
        """Of the embedded database, which is not started by this."""
        lines = self._postmaster_file().read_text().splitlines()
        return f"postgresql://postgres@/hansard?host={quote(lines[4], safe='')}&port={lines[3]}&connect_timeout=3"

    def postmaster(self) -> psutil.Process:
        """The database's server."""
        return psutil.Process(int(self._postmaster_file().read_text().splitlines()[0]))

    def count_events(self, subject: str, type: str) -> int:
        query = "SELECT count(*) FROM events WHERE subject = %s AND type = %s"
        with psycopg.connect(self.database_url()) as connection:
            return connection.execute(query, [subject, type]).fetchall()[0][0]

    def cut_connections(self) -> None:
        """All that the service has with its database."""
        query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'hansard %'"
        with psycopg.connect(self.database_url()) as connection:
            connection.execute(query)

    def processes(self, command: str) -> list[psutil.Process]:
        """The service's own `hansard COMMAND` processes."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        return [child for child in children if command in _command_line(child)]

    @contextmanager
    def another_worker(self) -> Generator[None]:
        """One that `hansard up` knows nothing of."""
        with self.log_file.open("ab") as log:
            worker = subprocess.Popen(
                hansard("worker", "--name", "another"), env=self.environment, cwd=self.directory, stdout=log, stderr=log
            )
        try:
            yield
        finally:
            worker.terminate()
            worker.wait(30)

    def get(self, path: str) -> dict[str, Any]:
        answer = self.http.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post_file(self, file: Path, **fields: str) -> dict[str, Any]:
        with file.open("rb") as source:
            answer = self.http.post("/transcriptions", files={"file": (file.name, source)}, data=fields)
        assert answer.status_code == 202, answer.text
        return answer.json()

    def until(self, transcription_id: str, *statuses: str) -> dict[str, Any]:
        """The transcription once it has one of these statuses; the API or the database may be away meanwhile."""

        def look() -> dict[str, Any] | None:
            try:
                answer = self.http.get(f"/transcriptions/{transcription_id}")
            except httpx.TransportError:
                return None
            if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
                return None
            assert answer.status_code == httpx.codes.OK, answer.text
            transcription = answer.json()
            return transcription if transcription["status"] in statuses else None

        return eventually(look, f"{transcription_id} to be {' or '.join(statuses)}")

    def ended(self, transcription_id: str) -> dict[str, Any]:
        return self.until(transcription_id, "completed", "failed", "cancelled")

    def _postmaster_file(self) -> Path:
        for found in (self.directory / "data").rglob("postmaster.pid"):
            return found
        raise FileNotFoundError("PostgreSQL does not run")

    def _is_ready(self) -> bool:
        assert self.process.poll() is None, self.log
        try:
            return self.http.get("/health/ready").status_code == 200
        except httpx.TransportError:
            return False


def _command_line(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
