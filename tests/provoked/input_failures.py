"""What recordings are refused for on their way in: by URL, in pieces, or too many at once."""

import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from fastapi.testclient import TestClient

from hansard.http.routes import uploads as upload_routes
from hansard.remote.download import HttpFiles, TimeLimits
from hansard.storage.partial_uploads import PartialUploadFiles
from tests.error_table import Provoked, provokes, refused
from tests.unit.http.api import TALK, FakeContainer, client_of, settings
from tests.unit.http.test_uploads_routes import BODY, TUS, begin, patch_by_hand, send
from tests.web_server import Say, WebServer, answer, redirect

BY_URL, ON_THE_WAY = "Recordings by URL", "Recordings on their way in"

# ── By URL ───────────────────────────────────────────────────────────────────────────────────────────────


def told_by(files: HttpFiles | None, url: str) -> Provoked:
    container = FakeContainer(remote=files)  # type: ignore[arg-type] - the real one
    provoked = refused(client_of(container).post("/audio", json={"url": url}))
    assert not container.database.audio
    return provoked


def files_in(directory: Path) -> HttpFiles:
    """May fetch from this machine."""
    limits = TimeLimits(connect=5, idle=0.2, total=5)
    return HttpFiles(scratch_directory=directory, max_bytes=1000, limits=limits, allowed=("127.0.0.1",))


def provokes_with(event: str, *pages: Say) -> None:
    for page in pages:

        @provokes(BY_URL, event)
        def _(tmp_path: Path, page: Say = page) -> Provoked:
            with WebServer({"/": page}) as web:
                return told_by(files_in(tmp_path), web.url())


def silence(connection: Any, path: str) -> None:
    connection.recv(1)


provokes_with(
    "It redirects without end, from https to http, or to no URL", redirect("/"), redirect("ftp://127.0.0.1/talk.mp3")
)
provokes_with(
    "Its server does not hand the file out: 400 to 499", answer(status="404 Not Found"), answer(status="403 Forbidden")
)
provokes_with("Its server sends the file packed, unasked", answer(b"x", Content_Encoding="gzip"))
provokes_with("The file is larger than `HANSARD_MAX_UPLOAD_BYTES`", answer(bytes(1001)))
provokes_with(
    "Its server is broken, overloaded, or breaks off",
    answer(status="500 Broken"),
    answer(status="429 Slow down"),
    answer(b"half", Content_Length="8"),
)
provokes_with("It takes longer than `HANSARD_URL_…_SECONDS`", silence)


@provokes(BY_URL, "Recordings are not fetched by URL here")
def switched_off() -> Provoked:
    return told_by(None, "https://example.org/talk.mp3")


@provokes(BY_URL, "It is not http or https, has no host, or holds a password")
def no_url(tmp_path: Path) -> Provoked:
    return told_by(files_in(tmp_path), "https://me:secret@example.org/talk.mp3")


@provokes(BY_URL, "Its host, or one that it redirects to, is not on the public internet")
def inside(tmp_path: Path) -> Provoked:
    return told_by(files_in(tmp_path), "http://169.254.169.254/latest/meta-data")


@provokes(BY_URL, "Its host, or one that it redirects to, is not on the public internet")
def led_inside(tmp_path: Path) -> Provoked:
    with WebServer({"/": redirect("http://10.0.0.1/")}) as web:
        return told_by(files_in(tmp_path), web.url())


@provokes(BY_URL, "Its port is another service's")
def mail_port(tmp_path: Path) -> Provoked:
    return told_by(replace(files_in(tmp_path), resolve=lambda host, port: ["8.8.8.8"]), "http://example.org:25/")


@provokes(BY_URL, "The name cannot be resolved, nobody answers, or TLS fails")
def nobody(tmp_path: Path) -> Provoked:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    return told_by(files_in(tmp_path), f"http://127.0.0.1:{port}/")


@provokes(BY_URL, "The name cannot be resolved, nobody answers, or TLS fails")
def nameless(tmp_path: Path) -> Provoked:
    def resolve(host: str, port: int) -> list[str]:
        raise socket.gaierror(-2, "Name or service not known")

    return told_by(replace(files_in(tmp_path), resolve=resolve), "https://nobody.example/")


# ── On the way in ────────────────────────────────────────────────────────────────────────────────────────


def provokes_by(event: str, *asking: Callable[[TestClient], Any]) -> None:
    for ask in asking:

        @provokes(ON_THE_WAY, event)
        def _(tmp_path: Path, ask: Callable[[TestClient], Any] = ask) -> Provoked:
            return refused(ask(client_of(container_in(tmp_path))))


def container_in(directory: Path) -> FakeContainer:
    """Keeps uploads in real files."""
    return FakeContainer(partial_uploads=PartialUploadFiles(directory))  # type: ignore[arg-type]


def container_of(client: TestClient) -> FakeContainer:
    return client.app.state.container  # type: ignore[attr-defined]


def without_room(client: TestClient) -> Any:
    container_of(client).free_disk_bytes = 0
    return client.post("/audio", files={"file": ("talk.wav", TALK)})


def too_late(client: TestClient) -> Any:
    where = begin(client)
    container_of(client).clock.advance(3600)
    return send(client, where, TALK)


def after_deletion(client: TestClient) -> Any:
    where = begin(client)
    client.delete(f"/audio/{send(client, where, TALK).headers['x-hansard-audio-id']}")
    return send(client, where, b"", len(TALK))


def held_by_another(client: TestClient) -> Any:
    where = begin(client)
    with container_of(client).partial_uploads.hold(UUID(where.rpartition("/")[2])):
        return send(client, where, TALK)


provokes_by("With it, less than a tenth of `HANSARD_SCARCE_DISK_BYTES` would be left", without_room)
provokes_by(
    "`Tus-Resumable` is missing, or has another version",
    lambda client: client.post("/uploads", headers={"Upload-Length": "10"}),
)
provokes_by(
    "A header of the upload is missing, or cannot be read",
    lambda client: client.post("/uploads", headers=TUS),
    lambda client: send(client, begin(client), TALK, **{"Upload-Checksum": "crc32 AAAA"}),
)
provokes_by(
    "The bytes have another type than `application/offset+octet-stream`",
    lambda client: send(client, begin(client), TALK, **{"Content-Type": "audio/wav"}),
)
provokes_by("The upload is at another offset", lambda client: send(client, begin(client), TALK, 7))
provokes_by("There are more bytes than were announced", lambda client: send(client, begin(client, 10), TALK))
provokes_by(
    "The bytes are not those of their checksum",
    lambda client: send(client, begin(client), TALK, **{"Upload-Checksum": "sha1 AAAA"}),
)
provokes_by("Another request is sending the same upload", held_by_another)
provokes_by(
    "There is no such upload under way",
    lambda client: client.patch(f"/uploads/{UUID(int=7)}", headers={**BODY, "Upload-Offset": "0"}),
    lambda client: client.delete(f"/uploads/{UUID(int=7)}", headers=TUS),
)
provokes_by("It was not gone on with for `HANSARD_UPLOAD_LIFETIME_SECONDS`", too_late)
provokes_by("What it had become was deleted", after_deletion)


@provokes(ON_THE_WAY, "As many as `HANSARD_MAX_CONCURRENT_UPLOADS` are coming in")
def busy() -> Provoked:
    client = client_of(FakeContainer(settings=settings(max_concurrent_uploads=1)))
    client.app.state.places.take()  # type: ignore[attr-defined]
    return refused(client.post("/audio", files={"file": ("talk.wav", TALK)}))


@provokes(ON_THE_WAY, "No byte came for 30 s")
def stalled(monkeypatch: pytest.MonkeyPatch) -> Provoked:
    monkeypatch.setattr(upload_routes, "IDLE_SECONDS", 0.01)
    container = FakeContainer()
    return refused(patch_by_hand(container, begin(client_of(container)), [TALK[:10]], None))


@provokes(ON_THE_WAY, "The upload cannot be kept on the disk")
def not_kept(tmp_path: Path) -> Provoked:
    (tmp_path / "file").write_text("in the way")
    return refused(client_of(container_in(tmp_path / "file")).post("/uploads", headers={**TUS, "Upload-Length": "10"}))
