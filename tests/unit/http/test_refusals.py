"""Whatever goes wrong is told in one shape, and strangers learn nothing about the inside."""

from uuid import UUID

import pytest

from hansard.domain import errors
from hansard.http.middleware.limits import FORM_FIELDS_BYTES, MOST_JSON_BYTES
from tests.unit.http.api import TALK, client_of, multipart, settings, upload

FORM = {"Content-Type": "multipart/form-data; boundary=edge"}


def broken(container, error):
    """A container whose recordings cannot be looked up."""

    def fail():
        raise error

    container.unit_of_work = fail
    return client_of(container)


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "unknown_path"),
        ("DELETE", "/audio", 405, "method_not_allowed"),
        ("GET", f"/audio/{UUID(int=7)}", 404, "not_found"),
        ("GET", "/audio/not-a-uuid", 422, "invalid_request"),
        ("GET", f"/transcriptions/{UUID(int=7)}", 404, "not_found"),
        ("POST", "/transcriptions", 422, "invalid_request"),
    ],
)
def test_every_refusal_is_a_problem(client, method, path, status, code):
    answer = client.request(method, path, headers={"X-Request-ID": "r-1"})

    problem = answer.json()
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["type"] == "about:blank"
    assert problem["status"] == status
    assert problem["code"] == code
    assert problem["category"] == "client"
    assert problem["request_id"] == "r-1"
    assert problem["title"]
    assert problem["detail"].endswith(".")


def test_a_wrong_method_is_told_all_the_right_ones(client):
    assert client.delete("/audio").headers["allow"] == "GET, POST"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.NotFound("gone"), 404),
        (errors.Conflict("no"), 409),
        (errors.IllegalMove("no"), 409),
        (errors.InvalidRequest("no"), 422),
        (errors.InvalidAudio("no"), 422),
        (errors.QueueFull("no", backlog_seconds=1, retry_after_seconds=1), 503),
        (errors.OwnerQueueFull("no", backlog_seconds=1, retry_after_seconds=1), 429),
        (errors.StorageError("no"), 503),
        (errors.ConfigurationError("no"), 503),
        (errors.EngineRejected("no", engine="fake"), 422),
        (errors.EngineUnavailable("no", engine="fake"), 503),
        (errors.EngineFailed("no", engine="fake"), 500),
        (errors.HansardError("no"), 500),
    ],
)
def test_each_error_of_the_domain_has_its_status(container, error, status):
    answer = broken(container, error).get(f"/audio/{UUID(int=7)}")

    assert answer.status_code == status
    assert answer.json()["code"] == error.failure.code


def test_a_retryable_error_says_when_to_come_back(container):
    answer = broken(container, errors.StorageError("The store does not answer.")).get(f"/audio/{UUID(int=7)}")

    assert int(answer.headers["retry-after"]) > 0


def test_an_unexpected_exception_is_told_without_its_message(container):
    answer = broken(container, RuntimeError("password=hunter2")).get(f"/audio/{UUID(int=7)}")

    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "hunter2" not in answer.text
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    assert answer.json()["request_id"] in answer.json()["help"]


def test_an_unexpected_exception_is_logged_once_with_its_traceback(container, log):
    broken(container, RuntimeError("boom")).get(f"/audio/{UUID(int=7)}", headers={"X-Request-ID": "r-1"})

    with_traceback = [record for record in log if record["exception"]]
    assert len(with_traceback) == 1
    assert with_traceback[0]["extra"]["request_id"] == "r-1"


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b"1",
        b'"text"',
        b"\xff\xfe",
        b'{"\\ud800": 1}',
        b'{"metadata": {"\\ud800": "a"}}',
        b'{"priority": NaN}',
        b'{"priority": 1e400}',
        b'{"priority": ' + b"9" * 5000 + b"}",
        b"[" * 100_000,
    ],
)
def test_json_garbage_is_refused_and_never_an_error_of_ours(client, body):
    audio = upload(client)

    answer = client.post(
        f"/audio/{audio['id']}/transcriptions", content=body, headers={"Content-Type": "application/json"}
    )

    assert answer.status_code in {400, 422}
    assert answer.headers["content-type"] == "application/problem+json"


# The multipart parser leaves a part that was cut off to the garbage collector.
@pytest.mark.filterwarnings("ignore:Exception ignored in. <function SpooledTemporaryFile")
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--edge",
        b"--edge\r\nContent-Disposition: form-data\r\n\r\nx\r\n--edge--\r\n",
        b"--other\r\n\r\nx\r\n--other--\r\n",
        b'--edge\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\ncut off',
        b"\0" * 1000,
        multipart(*[(f"field{number}", "", b"x") for number in range(40)])["content"],
        multipart(("prompt", "", b"x" * 200_000))["content"],
    ],
)
def test_multipart_garbage_is_refused_and_never_an_error_of_ours(client, container, body):
    answer = client.post("/transcriptions", content=body, headers=FORM)

    assert answer.status_code in {400, 422}
    assert answer.headers["content-type"] == "application/problem+json"
    assert not container.store.objects


def test_a_form_without_its_boundary_is_refused(client):
    answer = client.post("/audio", content=TALK, headers={"Content-Type": "multipart/form-data"})

    assert answer.status_code == 400


def test_a_disk_that_is_full_is_no_fault_of_the_client(client, container, monkeypatch):
    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.SpooledTemporaryFile.write", full)

    answer = client.post("/audio", files={"file": ("talk.wav", TALK)})

    assert answer.status_code == 503
    assert answer.json()["code"] == "upload_not_written"
    assert "HANSARD_DATA_DIR" in answer.json()["help"]
    assert not container.store.objects


def test_a_body_declared_too_large_is_refused_before_it_is_read(container):
    container.settings = settings(max_upload_bytes=10)
    read = []

    def body():
        read.append(True)
        yield b"x"

    headers = FORM | {"Content-Length": str(10 + FORM_FIELDS_BYTES + 1)}
    answer = client_of(container).post("/audio", content=body(), headers=headers)

    assert answer.status_code == 413
    assert answer.headers["connection"] == "close"
    assert answer.json()["help"]


def test_a_body_of_unknown_length_is_refused_when_it_becomes_too_large(container):
    container.settings = settings(max_upload_bytes=10)
    head = b'--edge\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'

    def body():
        yield head
        for _ in range(3):
            yield bytes(FORM_FIELDS_BYTES)

    answer = client_of(container).post("/audio", content=body(), headers=FORM)

    assert answer.status_code == 413
    assert not container.store.objects


def test_json_has_a_limit_of_its_own(client):
    answer = client.post(
        f"/audio/{UUID(int=7)}/transcriptions",
        content=b" " * (MOST_JSON_BYTES + 1),
        headers={"Content-Type": "application/json"},
    )

    assert answer.status_code == 413
