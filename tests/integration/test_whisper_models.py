"""Models are found, fetched whole or not at all, and never waited for in vain: against a hub of our own, over HTTP."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from shutil import copytree

import pytest

from hansard.application.ports.engines import EngineState
from hansard.domain.errors import EngineUnavailable
from hansard.engines.model_download import DownloadProgress, ModelDownload
from hansard.engines.whisper_models import WhisperModels
from tests.tiny_whisper import build_tiny_whisper

REPOSITORY = "Systran/faster-whisper-small"
FOLDER = "Systran--faster-whisper-small"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """Serves the files of one repository as the model hub does, as far as its client asks. Lies when it is told to."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.silent = False
        self.stalls_at: int | None = None
        self.requests: list[str] = []
        self.released = threading.Event()
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                hub.answer(self)

            def do_HEAD(self) -> None:
                hub.answer(self)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def close(self) -> None:
        self.released.set()
        self.server.shutdown()
        self.server.server_close()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        self.requests.append(f"{request.command} {request.path}")
        if self.silent:
            self.released.wait()
            return
        path = request.path.partition("?")[0]
        if path.startswith(f"/api/models/{REPOSITORY}/tree/"):
            self._send(request, 200, json.dumps(self._tree()).encode())
        elif path.startswith(f"/api/models/{REPOSITORY}"):
            self._send(request, 200, json.dumps(self._info()).encode())
        elif path.startswith(f"/{REPOSITORY}/resolve/{COMMIT}/"):
            self._send_file(request, path.rpartition("/")[2])
        else:
            error = {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"}
            self._send(request, 404, b"{}", error)

    def _info(self) -> dict[str, object]:
        siblings = [{"rfilename": name, "size": len(data)} for name, data in self.files.items()]
        return {"id": REPOSITORY, "sha": COMMIT, "siblings": siblings}

    def _tree(self) -> list[dict[str, object]]:
        return [
            {"type": "file", "path": name, "size": len(data), "oid": sha256(data).hexdigest()[:40]}
            for name, data in self.files.items()
        ]

    def _send_file(self, request: BaseHTTPRequestHandler, name: str) -> None:
        data = self.files[name]
        etag = {"ETag": f'"{sha256(data).hexdigest()[:40]}"', "X-Repo-Commit": COMMIT}
        if name == "model.bin" and self.stalls_at is not None and request.command == "GET":
            self._send_head(request, 200, len(data), etag)
            request.wfile.write(data[: self.stalls_at])
            self.released.wait()
        else:
            self._send(request, 200, data, etag)

    def _send(
        self, request: BaseHTTPRequestHandler, status: int, data: bytes, headers: dict[str, str] | None = None
    ) -> None:
        self._send_head(request, status, len(data), headers or {})
        if request.command == "GET":
            request.wfile.write(data)

    def _send_head(self, request: BaseHTTPRequestHandler, status: int, size: int, headers: dict[str, str]) -> None:
        request.send_response(status)
        for name, value in {"Content-Length": str(size), **headers}.items():
            request.send_header(name, value)
        request.end_headers()


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_whisper(tmp_path_factory.mktemp("whisper") / "tiny")


@pytest.fixture
def hub(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    files = {path.name: path.read_bytes() for path in tiny.iterdir()}
    hub = Hub({**files, "README.md": b"not wanted"})
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield hub
    hub.close()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "models"


@pytest.fixture
def models_with(directory: Path, tmp_path: Path) -> Iterator[Callable[..., WhisperModels]]:
    with ExitStack() as made:

        def make(*, offline: bool = False, contact_seconds: float = 30.0, stall_seconds: float = 30.0) -> WhisperModels:
            models = WhisperModels(
                directory,
                offline=offline,
                contact_seconds=contact_seconds,
                stall_seconds=stall_seconds,
                hub_cache=tmp_path / "cache",
            )
            return made.enter_context(closing(models))

        yield make


@pytest.fixture
def models(models_with: Callable[..., WhisperModels]) -> WhisperModels:
    return models_with()


def until(true: Callable[[], bool]) -> None:
    while not true():
        time.sleep(0.02)


def test_a_model_is_pulled_whole(models: WhisperModels, hub: Hub, tiny: Path, directory: Path) -> None:
    heard: list[DownloadProgress] = []
    pulled = models.pull("small", heard.append)
    assert pulled == directory / FOLDER == models.locate("small")
    assert {path.name for path in pulled.iterdir()} == {path.name for path in tiny.iterdir()}
    assert (pulled / "model.bin").read_bytes() == (tiny / "model.bin").read_bytes()
    assert heard[-1].percent == 100
    assert models.status("small").state is EngineState.READY


def test_a_model_that_is_here_is_not_pulled_again(models: WhisperModels, hub: Hub) -> None:
    models.pull("small")
    asked = len(hub.requests)
    assert models.pull(REPOSITORY) == models.pull("small")
    assert len(hub.requests) == asked


def test_a_hub_that_refuses_is_told_with_the_way_out(
    models: WhisperModels, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(EngineUnavailable) as failed:
        models.pull("small")
    assert failed.value.failure.code == "hub_unreachable"
    assert "hansard models pull small" in (failed.value.failure.help or "")
    assert "HANSARD_WHISPER_MODEL=/path" in (failed.value.failure.help or "")


def test_a_hub_that_never_answers_is_given_up(models_with: Callable[..., WhisperModels], hub: Hub) -> None:
    hub.silent = True
    models = models_with(contact_seconds=0.5)
    with pytest.raises(EngineUnavailable, match="did not answer"):
        models.pull("small")
    status = models.status("small")
    assert status.state is EngineState.UNAVAILABLE
    assert "did not answer" in status.detail


def test_a_hub_is_given_less_than_ten_seconds(directory: Path) -> None:
    assert WhisperModels(directory, offline=False).contact_seconds < 10


def test_a_download_that_stands_still_is_given_up(
    models_with: Callable[..., WhisperModels], hub: Hub, directory: Path
) -> None:
    hub.stalls_at = 1_000_000
    with pytest.raises(EngineUnavailable, match="nothing more"):
        models_with(stall_seconds=0.1).pull("small")
    assert not (directory / FOLDER).exists()


def test_after_a_failure_another_pull_succeeds(models_with: Callable[..., WhisperModels], hub: Hub) -> None:
    hub.stalls_at = 1_000_000
    with pytest.raises(EngineUnavailable):
        models_with(stall_seconds=0.1).pull("small")
    hub.stalls_at = None
    assert models_with().pull("small")


def test_what_a_killed_attempt_left_is_not_counted_again(models: WhisperModels, hub: Hub, directory: Path) -> None:
    left = directory / ".fetching" / FOLDER / ".cache" / "huggingface" / "download" / "model.bin.abc.incomplete"
    left.parent.mkdir(parents=True)
    left.write_bytes(bytes(4_000_000))
    hub.stalls_at = 1_000_000
    models.fetch_in_background("small")
    until(lambda: "%" in models.status("small").detail)
    assert not left.exists()


def test_a_repository_that_does_not_exist_is_unknown(models: WhisperModels, hub: Hub) -> None:
    with pytest.raises(EngineUnavailable, match="has no nobody/nothing") as failed:
        models.pull("nobody/nothing")
    assert failed.value.failure.code == "no_such_model"


def test_a_repository_of_something_else_is_refused_before_its_download(models: WhisperModels, hub: Hub) -> None:
    del hub.files["tokenizer.json"]
    with pytest.raises(EngineUnavailable, match=r"tokenizer\.json"):
        models.pull("small")
    assert not [request for request in hub.requests if "resolve" in request]


def test_a_name_that_means_nothing_is_refused_without_asking(models: WhisperModels, hub: Hub) -> None:
    with pytest.raises(EngineUnavailable, match="gigantic") as failed:
        models.pull("gigantic")
    assert "large-v3-turbo" in (failed.value.failure.help or "")
    assert hub.requests == []


def test_offline_means_offline(models_with: Callable[..., WhisperModels], hub: Hub) -> None:
    models = models_with(offline=True)
    models.fetch_in_background("small")
    with pytest.raises(EngineUnavailable, match="HANSARD_OFFLINE"):
        models.pull("small")
    status = models.status("small")
    assert status.state is EngineState.UNAVAILABLE
    assert "HANSARD_OFFLINE" in status.detail
    assert hub.requests == []


def test_offline_uses_what_is_on_disk(
    models: WhisperModels, models_with: Callable[..., WhisperModels], hub: Hub
) -> None:
    pulled = models.pull("small")
    assert models_with(offline=True).locate("small") == pulled


def test_a_local_directory_is_a_model(models: WhisperModels, tiny: Path) -> None:
    assert models.locate(str(tiny)) == tiny
    assert models.status(str(tiny)).state is EngineState.READY


def test_what_another_program_fetched_is_found(models: WhisperModels, tiny: Path, tmp_path: Path) -> None:
    cached = tmp_path / "cache" / f"models--{FOLDER}"
    snapshot = Path(copytree(tiny, cached / "snapshots" / COMMIT))
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text(COMMIT)
    assert models.locate("small") == snapshot


def test_what_is_fetched_in_the_background_is_worth_waiting_for(models: WhisperModels, hub: Hub) -> None:
    hub.stalls_at = 2_500_000
    models.fetch_in_background("small")
    until(lambda: "56 % of 4 MB" in models.status("small").detail)
    assert models.status("small").state is EngineState.PREPARING


def test_the_background_fetch_ends_in_a_model(models: WhisperModels, hub: Hub) -> None:
    models.fetch_in_background("small")
    assert models.status("small").state is EngineState.PREPARING
    until(lambda: models.status("small").state is EngineState.READY)


def test_an_unreachable_hub_is_not_waited_for(models: WhisperModels, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    models.fetch_in_background("small")
    until(lambda: models.status("small").state is EngineState.UNAVAILABLE)
    assert "cannot be reached" in models.status("small").detail


def test_other_processes_see_how_far_it_is_and_do_not_fetch_too(
    models: WhisperModels, models_with: Callable[..., WhisperModels], hub: Hub
) -> None:
    hub.stalls_at = 1_000_000
    models.fetch_in_background("small")
    until(lambda: "%" in models.status("small").detail)
    other = models_with()
    assert other.status("small").state is EngineState.PREPARING
    assert "%" in other.status("small").detail
    download = ModelDownload(REPOSITORY, other.directory, FOLDER, contact_seconds=1, stall_seconds=1)
    with download.claim() as is_ours:
        assert not is_ours


@pytest.mark.parametrize("standstill", ["silent", "stalls_at"])
def test_who_closes_them_ends_the_download_and_keeps_what_has_come(
    models: WhisperModels, models_with: Callable[..., WhisperModels], hub: Hub, directory: Path, standstill: str
) -> None:
    setattr(hub, standstill, 1_000_000)
    models.fetch_in_background("small")
    until(lambda: bool(hub.requests) if standstill == "silent" else "%" in models.status("small").detail)
    models.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "fetch-small"]
    assert models.status("small").state is EngineState.UNAVAILABLE
    setattr(hub, standstill, None)
    models_with().fetch_in_background("small")
    until(lambda: models.status("small").state is EngineState.READY)


def test_who_closes_them_does_not_wait_for_the_next_try(
    models: WhisperModels, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    models.fetch_in_background("small")
    until(lambda: models.status("small").state is EngineState.UNAVAILABLE)
    models.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "fetch-small"]


FETCHER = """
import sys, time
from pathlib import Path
from hansard.engines.whisper_models import WhisperModels
WhisperModels(Path(sys.argv[1]), offline=False, contact_seconds=30).fetch_in_background("small")
time.sleep(600)
"""


def test_a_killed_fetcher_is_known_as_dead_and_its_work_is_taken_over(
    models: WhisperModels, hub: Hub, directory: Path
) -> None:
    hub.stalls_at = 1_000_000
    with subprocess.Popen([sys.executable, "-c", FETCHER, str(directory)]) as fetcher:
        until(lambda: "%" in models.status("small").detail)
        assert models.status("small").state is EngineState.PREPARING
        os.kill(fetcher.pid, signal.SIGKILL)
    assert models.status("small").state is EngineState.UNAVAILABLE
    hub.stalls_at = None
    models.fetch_in_background("small")
    until(lambda: models.status("small").state is EngineState.READY)


def test_a_directory_that_cannot_be_written_is_told(
    directory: Path, models: WhisperModels, hub: Hub, tmp_path: Path
) -> None:
    directory.write_text("in the way")
    with pytest.raises(EngineUnavailable) as failed:
        models.pull("small")
    assert failed.value.failure.code == "models_not_writable"
