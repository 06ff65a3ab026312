"""Files fetched by their URL: from servers that lie, dawdle and lead astray, here on this machine."""

import gzip
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest

from hansard.domain.errors import (
    DiskScarce,
    DownloadFailed,
    DownloadTimedOut,
    HansardError,
    StorageError,
    TooLarge,
    UrlRefused,
)
from hansard.remote.addresses import AllowList, is_public
from hansard.remote.download import MOST_REDIRECTS, HttpFiles, TimeLimits
from hansard.remote.file_name import name_of
from tests.web_server import WebServer, answer, redirect

TALK = bytes(range(256)) * 1000
LIMITS = TimeLimits(connect=5, idle=5, total=30)


@pytest.fixture
def web() -> Iterator[WebServer]:
    with WebServer({"/talk.mp3": answer(TALK)}) as server:
        yield server


@pytest.fixture
def files(tmp_path: Path) -> HttpFiles:
    """May fetch from this machine."""
    return HttpFiles(scratch_directory=tmp_path / "tmp", max_bytes=10**6, limits=LIMITS, allowed=("127.0.0.1",))


def fetched(files: HttpFiles, url: str) -> tuple[bytes, str]:
    with files.fetch(url) as file:
        return file.stream.read(), file.name


def refusal(files: HttpFiles, url: str, kind: type[HansardError] = UrlRefused) -> str:
    """Its code. Nothing is left behind."""
    with pytest.raises(kind) as caught, files.fetch(url):
        pass
    assert not list(files.scratch_directory.glob("*"))
    return caught.value.failure.code


def resolving(files: HttpFiles, *answers: list[str]) -> tuple[HttpFiles, list[str]]:
    """A name server that gives each of the answers once; the names that it was asked for."""
    asked: list[str] = []

    def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return answers[len(asked) - 1]

    return replace(files, resolve=resolve), asked


def test_a_file_comes_with_the_name_at_the_end_of_its_url(files, web):
    assert fetched(files, web.url("/talk.mp3")) == (TALK, "talk.mp3")


def test_nobody_is_told_who_asks(files, web, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")

    fetched(files, web.url("/talk.mp3"))

    (head,) = web.requests
    names = [line.partition(":")[0].lower() for line in head.splitlines()[1:] if line]
    assert sorted(names) == ["accept", "accept-encoding", "connection", "host", "user-agent"]
    assert "accept-encoding: identity" in head.lower()


# ── Where it may lead ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0.0.0.0",
        "0",
        "localhost",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "169.254.169.254",
        "10.0.0.1",
        "192.168.0.1",
        "172.16.0.1",
        "100.64.0.1",
        "[fe80::1]",
        "[fd00:ec2::254]",
        "224.0.0.1",
        "[ff02::1]",
        "255.255.255.255",
    ],
)
def test_what_is_not_on_the_public_internet_is_not_connected_to(files, web, host):
    closed = replace(files, allowed=())

    assert refusal(closed, f"http://{host}:{web.port}/talk.mp3") == "url_refused"
    assert web.requests == []


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "100.63.0.1", "172.32.0.1", "2606:4700::1111", "2a00::1"])
def test_what_is_on_the_public_internet_may_be_connected_to(address):
    assert is_public(ip_address(address))


@pytest.mark.parametrize(
    "address",
    [
        "168.63.129.16",
        "192.0.0.192",
        "100.100.100.200",
        "198.18.0.1",
        "203.0.113.7",
        "240.0.0.1",
        "2001:db8::1",
        "2001::1",
        "3fff::1",
        "fec0::1",
        "64:ff9b:1::1",
        "5f00::1",
        "100::1",
        "::",
    ],
)
def test_addresses_that_only_look_public_may_not(address):
    assert not is_public(ip_address(address))


def test_a_name_is_resolved_once_and_the_address_that_was_checked_is_connected_to(files, web):
    rebinding, asked = resolving(replace(files, allowed=("127.0.0.1",)), ["127.0.0.1"], ["169.254.169.254"])

    assert fetched(rebinding, web.url("/talk.mp3", host="rebind.example"))[0] == TALK
    assert asked == ["rebind.example"]
    assert f"host: rebind.example:{web.port}" in web.requests[0].lower()


def test_a_name_with_a_public_and_a_private_address_is_connected_to_at_the_public_one_only(files, web):
    # Of the two, only the first is on the list: it stands for the public one here.
    two_faced, _ = resolving(files, ["10.0.0.1", "127.0.0.1"])

    assert fetched(two_faced, web.url("/talk.mp3", host="two.example"))[0] == TALK


def test_a_redirect_is_resolved_and_checked_anew(files, web):
    web.pages["/away"] = redirect(f"http://inside.example:{web.port}/talk.mp3")
    guarded, asked = resolving(files, ["127.0.0.1"], ["192.168.0.1"])

    assert refusal(guarded, web.url("/away", host="outside.example")) == "url_refused"
    assert asked == ["outside.example", "inside.example"]
    assert len(web.requests) == 1


def test_a_refusal_does_not_tell_what_a_name_means_inside(files):
    guarded, _ = resolving(replace(files, allowed=()), ["10.1.2.3"])

    with pytest.raises(UrlRefused) as caught, guarded.fetch("http://intranet.example/a.mp3"):
        pass
    assert "10.1.2.3" not in str(caught.value)


def test_hosts_and_networks_on_the_list_may_be_fetched_from(files, web):
    for allowed in ("nas.example", "NAS.example.", "127.0.0.0/8"):
        listed, _ = resolving(replace(files, allowed=(allowed,)), ["127.0.0.1"])
        assert fetched(listed, web.url("/talk.mp3", host="nas.example"))[0] == TALK


def test_a_list_takes_ipv6_in_brackets_too():
    listed = AllowList.of(["[::1]", "fd00::/8"])

    assert listed.holds(ip_address("::1"))
    assert listed.holds(ip_address("fd00::7"))
    assert not listed.holds(ip_address("fe80::1"))


@pytest.mark.parametrize("port", [22, 25, 6379 - 6000])
def test_ports_of_other_services_are_not_talked_to(files, port):
    public, _ = resolving(replace(files, allowed=()), ["8.8.8.8"])

    assert refusal(public, f"http://mail.example:{port}/") == "url_refused"


@pytest.mark.parametrize(
    "url",
    [
        "ftp://127.0.0.1/a",
        "file:///etc/passwd",
        "gopher://127.0.0.1/_x",
        "//127.0.0.1/a",
        "http://",
        "http:///a",
        "talk.mp3",
        "",
        "http://user:password@127.0.0.1/",
        "http://user@127.0.0.1/",
        "http://127.0.0.1:99999/",
        "http://127.0.0.1\\@example.org/\x00",
        "http://127.0.0.1:0/",
        "http://ex ample/",
        "http://0177.0.0.1/",
        "http://[::1/",
        "h" * 70_000,
    ],
)
def test_what_is_no_url_of_a_file_is_refused(files, url):
    assert refusal(files, url) == "url_invalid"


# ── Redirects ────────────────────────────────────────────────────────────────────────────────────────────


def test_redirects_are_followed_and_the_last_one_gives_the_name(files, web):
    web.pages |= {"/a": redirect("/b", "301 Moved"), "/b": redirect("talk.mp3?token=1", "307 Temporary Redirect")}
    web.pages["/talk.mp3?token=1"] = answer(TALK)

    assert fetched(files, web.url("/a")) == (TALK, "talk.mp3")


def test_a_loop_of_redirects_ends(files, web):
    web.pages["/loop"] = redirect("/loop")

    assert refusal(files, web.url("/loop")) == "url_redirects"
    assert len(web.requests) == MOST_REDIRECTS + 1


@pytest.mark.parametrize(
    "to", ["ftp://127.0.0.1/a", "http://user:pw@127.0.0.1/", "http://[", "//", "javascript:alert(1)"]
)
def test_a_redirect_to_what_is_not_fetched_is_refused(files, web, to):
    web.pages["/a"] = redirect(to)

    assert refusal(files, web.url("/a")) == "url_redirects"


# ── What servers do ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "status", ["400 Bad", "401 Unauthorized", "403 Forbidden", "404 Not Found", "410 Gone", "418 Tea"]
)
def test_a_file_that_is_not_handed_out_is_the_clients_matter(files, web, status):
    web.pages["/a"] = answer(status=status)

    assert refusal(files, web.url("/a")) == "url_not_found"


@pytest.mark.parametrize("status", ["500 Broken", "503 Busy", "429 Slow down", "408 Late", "304 Same", "599 Odd"])
def test_a_server_at_fault_is_worth_another_try(files, web, status):
    web.pages["/a"] = answer(status=status)

    assert refusal(files, web.url("/a"), DownloadFailed) == "url_failed"


def test_nobody_listening_is_unreachable(files):
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]

    assert refusal(files, f"http://127.0.0.1:{port}/", DownloadFailed) == "url_unreachable"


def test_a_name_that_is_none_is_unreachable(files):
    def resolve(host: str, port: int) -> list[str]:
        raise socket.gaierror(-2, "Name or service not known")

    assert refusal(replace(files, resolve=resolve), "http://nobody.example/", DownloadFailed) == "url_unreachable"


def test_a_file_that_is_announced_too_large_is_not_fetched(files, web):
    web.pages["/a"] = answer(b"", Content_Length="1000001")

    assert refusal(files, web.url("/a"), TooLarge) == "too_large"


def test_a_file_without_an_end_is_left_once_it_is_too_large(files, web):
    def endless(connection, path):
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(bytes(100_000))

    web.pages["/a"] = endless

    assert refusal(files, web.url("/a"), TooLarge) == "too_large"


def test_a_file_that_the_disk_has_no_room_for_is_left(files, web):
    def require_room(size_bytes: int) -> None:
        raise DiskScarce("There is no room.")

    assert refusal(replace(files, require_room=require_room), web.url("/talk.mp3"), DiskScarce) == "disk_scarce"


def test_a_disk_that_cannot_be_written_is_a_storage_error(files, web, tmp_path):
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(StorageError), replace(files, scratch_directory=tmp_path / "file").fetch(web.url("/talk.mp3")):
        pass


def test_a_file_shorter_than_announced_was_cut_off(files, web):
    web.pages["/a"] = answer(TALK, Content_Length=str(len(TALK) + 1))

    assert refusal(files, web.url("/a"), DownloadFailed) == "url_failed"


def test_bytes_beyond_the_announced_length_are_not_the_files(files, web):
    web.pages["/a"] = answer(TALK, Content_Length="1000")

    assert fetched(files, web.url("/a"))[0] == TALK[:1000]


def test_a_packed_file_is_refused(files, web):
    web.pages["/a"] = answer(gzip.compress(bytes(10**6)), Content_Encoding="gzip")

    assert refusal(files, web.url("/a")) == "url_encoded"


def test_what_is_no_http_at_all_is_the_servers_fault(files, web):
    web.pages["/a"] = lambda connection, path: connection.sendall(b"220 mail ready\r\n\r\n")

    assert refusal(files, web.url("/a"), DownloadFailed) == "url_failed"


def test_headers_without_an_end_are_the_servers_fault(files, web):
    def endless(connection, path):
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while True:
            connection.sendall(b"X-More: " + b"x" * 10_000 + b"\r\n")

    web.pages["/a"] = endless

    assert refusal(files, web.url("/a"), DownloadFailed) == "url_failed"


def test_a_server_that_falls_silent_is_given_up(files, web):
    web.pages["/a"] = lambda connection, path: web.wait()
    impatient = replace(files, limits=replace(LIMITS, idle=0.05))

    assert refusal(impatient, web.url("/a"), DownloadTimedOut) == "url_timed_out"


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n"])
def test_a_server_that_trickles_is_given_up_when_the_time_for_all_is_over(files, web, head):
    def trickle(connection, path):
        connection.sendall(head)
        while True:
            connection.sendall(b"x")
            time.sleep(0.02)

    web.pages["/a"] = trickle
    impatient = replace(files, limits=replace(LIMITS, total=0.3))

    assert refusal(impatient, web.url("/a"), DownloadTimedOut) == "url_timed_out"


# ── TLS ──────────────────────────────────────────────────────────────────────────────────────────────────


CERTIFICATE = Path(__file__).parents[1] / "data" / "talks.example.pem"
"""Of that name, signed by itself, with its key."""


@pytest.fixture
def secure_web() -> Iterator[WebServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    with WebServer({"/talk.mp3": answer(TALK)}, tls=context) as server:
        yield server


def trusting(files: HttpFiles) -> HttpFiles:
    """All names lead to this machine."""
    return replace(
        files,
        resolve=lambda host, port: ["127.0.0.1"],
        ssl_context=lambda: ssl.create_default_context(cafile=str(CERTIFICATE)),
    )


def test_a_certificate_is_checked_for_the_name_and_not_for_the_address(files, secure_web):
    trust = trusting(files)

    assert fetched(trust, secure_web.url("/talk.mp3", host="talks.example"))[0] == TALK
    assert refusal(trust, secure_web.url("/talk.mp3", host="others.example"), DownloadFailed) == "url_unreachable"
    assert refusal(trust, secure_web.url("/talk.mp3"), DownloadFailed) == "url_unreachable"


def test_a_certificate_that_nobody_vouches_for_is_not_taken(files, secure_web):
    guarded, _ = resolving(files, ["127.0.0.1"])

    assert refusal(guarded, secure_web.url("/", host="talks.example"), DownloadFailed) == "url_unreachable"


def test_a_redirect_from_https_to_http_is_not_followed(files, secure_web, web):
    secure_web.pages["/down"] = redirect(web.url("/talk.mp3"))

    assert refusal(trusting(files), secure_web.url("/down", host="talks.example")) == "url_redirects"
    assert web.requests == []


# ── Names ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("path", "disposition", "media_type", "name"),
    [
        ("/a/talk.mp3", "", "", "talk.mp3"),
        ("/Z%C3%BCrich%20talk.mp3", "", "", "Zürich talk.mp3"),
        ("/download", 'attachment; filename="talk.mp3"', "", "talk.mp3"),
        ("/download", "attachment; filename=talk.mp3; filename*=UTF-8''Z%C3%BCrich.mp3", "", "Zürich.mp3"),
        ("/download", 'attachment; filename="Zürich.mp3"', "", "Zürich.mp3"),
        ("/x.mp3", "attachment; filename*=nonsense''%61.mp3", "", "a.mp3"),
        ("/x.mp3", "inline", "", "x.mp3"),
        ("/episode/12", "", "audio/mpeg; charset=utf-8", "12.mp3"),
        ("/", "", "audio/flac", "download.flac"),
        ("/", "", "", ""),
        ("/talk", "", "application/octet-stream", "talk"),
        ("/talk", "", "made/up", "talk"),
    ],
)
def test_a_file_is_called_as_its_server_says_or_as_its_url_ends(path, disposition, media_type, name):
    assert name_of(path, {"content-disposition": disposition, "content-type": media_type}) == name
