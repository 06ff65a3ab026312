"""What is killed comes back, what was acknowledged is finished, and what is told to stop stops.

One worker: whatever it does next, it could only do when it had let go of what it did before.
"""

import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from tests.audio_files import encoded, pcm_of, silence, wav
from tests.e2e.service import Service, eventually, hansard, open_directory
from tests.openai_server import API_KEY, SAID, OpenAiServer, Silence, as_json

pytestmark = [pytest.mark.xdist_group("survival"), pytest.mark.timeout(300)]

FIVE = Path(__file__).parent.parent / "data" / "five.wav"

SETTINGS = {
    "HANSARD_OFFLINE": "0",
    "HANSARD_ENGINE_CHAIN": "openai,pocketsphinx",
    "HANSARD_OPENAI_TIMEOUT_SECONDS": "600",
    "HANSARD_MAX_CRASHES": "2",
    "OPENAI_API_KEY": API_KEY,
}


@pytest.fixture(scope="module")
def provider() -> Iterator[OpenAiServer]:
    with OpenAiServer() as provider:
        yield provider


@pytest.fixture(scope="module")
def service(provider: OpenAiServer) -> Iterator[Service]:
    with open_directory() as directory:
        service = Service(directory, settings={**SETTINGS, "OPENAI_BASE_URL": provider.base_url}).start()
        yield service
        if service.process.poll() is None:
            service.stop()


def several_sentences(directory: Path, count: int, *, pause_seconds: float) -> Path:
    """Each is spoken a little lower than the one before, so that they can be told apart."""
    loud = np.frombuffer(pcm_of("five.wav"), "<i2")
    sentences = [(loud * (1 - 0.1 * number)).astype("<i2").tobytes() for number in range(count)]
    file = directory / "sentences.wav"
    file.write_bytes(wav(b"".join(sentence + silence(pause_seconds) for sentence in sentences)))
    return file


def ten_hours_of_silence(directory: Path) -> Path:
    """MP3 frames can be joined; it takes a minute to listen to."""
    hour = encoded(silence(60), container="mp3", codec="libmp3lame", sample_rate_hz=16_000) * 60
    file = directory / "ten_hours.mp3"
    file.write_bytes(hour * 10)
    return file


def recognised_seconds(transcription: dict[str, Any]) -> list[float]:
    return [attempt["recognised_seconds"] for attempt in transcription["attempts"]]


def outcomes(transcription: dict[str, Any]) -> list[str]:
    return [attempt["outcome"] for attempt in transcription["attempts"]]


# ── Killed ───────────────────────────────────────────────────────────────────────────────────────────────


def test_a_job_killed_at_a_passage_resumes_at_that_passage(
    service: Service, provider: OpenAiServer, tmp_path: Path
) -> None:
    third = Silence()
    asked_before = len(provider.received)
    provider.answer_with(as_json({"text": "One."}), as_json({"text": "Two."}), third)
    # Passages are cut at pauses of ten seconds.
    posted = service.post_file(several_sentences(tmp_path, 4, pause_seconds=12))
    assert third.asked.wait(60)
    (worker,) = service.processes("worker")
    worker.kill()

    done = service.ended(posted["id"])
    assert done["text"].startswith("One. Two. Order, order!")
    assert outcomes(done) == ["abandoned", "succeeded"]
    first, second = recognised_seconds(done)
    assert first == pytest.approx(second, rel=0.1)
    requests = [received.file for received in provider.received[asked_before:]]
    # Only the one that was under way was sent twice.
    assert len(requests) == 5
    assert requests[2] == requests[3]
    assert len(set(requests)) == 4


def test_a_file_that_kills_its_worker_fails_and_the_others_complete(service: Service) -> None:
    deadly = service.post_file(FIVE, engine="mock", model="kill")
    others = [service.post_file(FIVE, engine="mock") for _ in range(2)]

    assert [service.ended(other["id"])["status"] for other in others] == ["completed", "completed"]
    failed = service.ended(deadly["id"])
    assert failed["status"] == "failed"
    assert (failed["error"]["category"], failed["error"]["code"]) == ("internal", "worker_crashed")
    assert (failed["text"], failed["crashes"], outcomes(failed)) == (None, 2, ["abandoned"] * 2)


def test_a_killed_api_comes_back(service: Service) -> None:
    posted = service.post_file(FIVE, engine="mock")
    (api,) = service.processes("api")
    api.send_signal(signal.SIGKILL)
    assert service.ended(posted["id"])["status"] == "completed"


# ── Frozen ───────────────────────────────────────────────────────────────────────────────────────────────


def test_a_worker_that_wakes_after_its_job_was_taken_over_cannot_touch_it(
    service: Service, provider: OpenAiServer
) -> None:
    late, current = Silence(), Silence()
    provider.answer_with(late, current)
    posted = service.post_file(FIVE)
    assert late.asked.wait(60)
    (frozen,) = service.processes("worker")
    frozen.suspend()
    with service.another_worker():
        assert current.asked.wait(60)
        frozen.resume()
        # It finds that its answer is not wanted any more, although somebody is at work on it.
        assert late.left.wait(60)
        assert not current.left.is_set()
        current.over.set()
        done = service.ended(posted["id"])

    assert done["text"] == " ".join(SAID)
    assert outcomes(done) == ["abandoned", "failed", "succeeded"]
    assert service.ended(service.post_file(FIVE, engine="mock")["id"])["status"] == "completed"
    assert service.processes("worker") == [frozen]
    assert service.get(f"/transcriptions/{posted['id']}") == done


# ── Cut off ──────────────────────────────────────────────────────────────────────────────────────────────


def kill_postgres(service: Service) -> None:
    service.postmaster().kill()


def stop_postgres(service: Service) -> None:
    """As a restart does: whoever is connected is thrown out."""
    service.postmaster().send_signal(signal.SIGINT)


def cut_connections(service: Service) -> None:
    service.cut_connections()


@pytest.mark.parametrize(
    "injure",
    [kill_postgres, stop_postgres, cut_connections],
    ids=lambda it: it.__name__,
)
def test_a_job_survives_the_loss_of_the_database(
    service: Service, tmp_path: Path, injure: Callable[[Service], None]
) -> None:
    """Of the sentences none is done twice, and none left out."""
    posted = service.post_file(several_sentences(tmp_path, 2, pause_seconds=5), engine="mock", model="slow")

    def has_begun() -> bool:
        return bool(service.get(f"/transcriptions/{posted['id']}")["segments"])

    eventually(has_begun, "the first sentence")
    injure(service)

    done = service.ended(posted["id"])
    assert done["status"] == "completed"
    assert [segment["text"] for segment in done["segments"]] == ["second 1", "second 2", "second 3"] * 2
    assert service.ended(service.post_file(FIVE, engine="mock")["id"])["status"] == "completed"


# ── Told to stop ─────────────────────────────────────────────────────────────────────────────────────────


def test_cancelling_ends_a_call_to_a_provider_that_does_not_answer(service: Service, provider: OpenAiServer) -> None:
    silence = Silence()
    provider.answer_with(silence)
    posted = service.post_file(FIVE)
    assert silence.asked.wait(60)
    cancelled = service.http.post(f"/transcriptions/{posted['id']}/cancel").json()

    assert cancelled["status"] == "cancelled"
    assert silence.left.wait(60)
    assert service.ended(service.post_file(FIVE, engine="mock")["id"])["status"] == "completed"
    ended = service.get(f"/transcriptions/{posted['id']}")
    assert (ended["status"], outcomes(ended), ended["error"]["category"]) == ("cancelled", ["abandoned"], "cancelled")


def test_a_short_file_goes_before_a_long_one_and_cancelling_ends_the_decoding_of_that(
    service: Service, provider: OpenAiServer, tmp_path: Path
) -> None:
    occupied = Silence()
    provider.answer_with(occupied)
    blocking = service.post_file(FIVE)
    assert occupied.asked.wait(60)
    long = service.post_file(ten_hours_of_silence(tmp_path), engine="mock", model="slow")
    short = service.post_file(FIVE, engine="mock")
    service.http.post(f"/transcriptions/{blocking['id']}/cancel")

    assert service.ended(short["id"])["status"] == "completed"
    began = service.until(long["id"], "running")
    assert began["started_at"] > service.get(f"/transcriptions/{short['id']}")["ended_at"]

    prepared = service.directory / "data" / "prepared"
    eventually(lambda: list(prepared.glob("*.part")), "the decoding to begin")
    service.http.post(f"/transcriptions/{long['id']}/cancel")
    assert service.ended(service.post_file(FIVE, engine="mock")["id"])["status"] == "completed"
    assert service.get(f"/transcriptions/{long['id']}")["status"] == "cancelled"
    eventually(lambda: not list(prepared.iterdir()), "what was decoded to be removed")


# ── The whole service ────────────────────────────────────────────────────────────────────────────────────


def test_a_port_in_use_is_said_in_one_line(service: Service) -> None:
    second = subprocess.run(hansard("up"), env=service.environment, capture_output=True, check=False, text=True)
    assert second.returncode == 1
    assert f"Port {service.port}" in second.stderr
    assert "HANSARD_PORT=" in second.stderr
    assert "Traceback" not in second.stderr


def test_ctrl_c_leaves_no_process_behind(service: Service) -> None:
    posted = service.post_file(FIVE, engine="mock", model="slow")
    service.until(posted["id"], "running")
    everybody = psutil.Process(service.process.pid).children(recursive=True)
    service.stop(within_seconds=10)
    _, alive = psutil.wait_procs(everybody, timeout=5)
    assert not alive

    service.http = Service(service.directory, port=service.port).http
    service.start()
    assert service.ended(posted["id"])["status"] == "completed"
