"""The README's first ten minutes, through real processes and HTTP, with a real engine."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.e2e.service import Service, environment, hansard, open_directory

pytestmark = [pytest.mark.xdist_group("service"), pytest.mark.timeout(300)]

DATA = Path(__file__).parent.parent / "data"
FIVE = DATA / "five.wav"
WORDS = "one two three four five"


def test_a_recording_becomes_a_transcript(service: Service) -> None:
    posted = service.post_file(FIVE)
    assert posted["status"] == "queued"
    assert "text" not in posted

    done = service.ended(posted["id"])
    assert done["status"] == "completed"
    assert done["text"] == WORDS
    assert done["engine"] == "pocketsphinx"
    assert done["degraded"] is True
    assert done["progress"] == 1.0
    assert [attempt["outcome"] for attempt in done["attempts"]] == ["succeeded"]


def test_words_have_times_inside_the_recording(service: Service) -> None:
    done = service.ended(service.post_file(FIVE)["id"])
    words = [word for segment in done["segments"] for word in segment["words"]]
    assert [word["text"] for word in words] == WORDS.split()
    edges = [edge for word in words for edge in (word["start_seconds"], word["end_seconds"])]
    assert edges == sorted(edges)
    assert 0 < edges[-1] <= done["duration_seconds"]


def test_the_original_comes_back_byte_for_byte(service: Service) -> None:
    audio_url = service.post_file(FIVE)["audio_url"]
    whole = service.http.get(audio_url)
    assert whole.content == FIVE.read_bytes()
    part = service.http.get(audio_url, headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, FIVE.read_bytes()[10:20])


def test_a_job_is_a_zenml_run(service: Service) -> None:
    done = service.ended(service.post_file(FIVE)["id"])
    listed = subprocess.run(
        hansard("pipelines", "runs", "--json"), env=service.environment, capture_output=True, check=True, text=True
    )
    assert done["pipeline_run_id"] in listed.stdout


def test_a_failure_is_told_as_one(service: Service) -> None:
    done = service.ended(service.post_file(FIVE, engine="mock", model="fail-client")["id"])
    assert done["status"] == "failed"
    assert done["text"] is None
    assert done["error"]["category"] == "client"
    assert done["error"]["engine"] == "mock"
    assert [attempt["outcome"] for attempt in done["attempts"]] == ["failed"]


def test_one_request_id_runs_through_the_log(service: Service) -> None:
    request_id = "e2e-0123456789"
    with FIVE.open("rb") as source:
        posted = service.http.post("/transcriptions", files={"file": source}, headers={"X-Request-ID": request_id})
    service.ended(posted.json()["id"])
    lines = [line for line in service.log.splitlines() if request_id[:8] in line]
    assert any(re.search(r"\bapi\b", line) for line in lines)
    assert any(re.search(r"\bworker\.1\b", line) for line in lines)


def test_the_command_line_prints_the_transcript_and_nothing_else() -> None:
    with open_directory() as directory:
        done = subprocess.run(
            hansard("transcribe", str(FIVE)),
            env=environment(directory / "data"),
            cwd=directory,
            capture_output=True,
            check=False,
            text=True,
        )
    assert (done.returncode, done.stdout) == (0, f"{WORDS}\n"), done.stderr


def test_the_command_line_can_ask_a_server(service: Service) -> None:
    done = subprocess.run(
        hansard("transcribe", str(FIVE), "--format", "srt", "--server", str(service.http.base_url)),
        env=environment(service.directory / "elsewhere"),
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert re.match(r"1\n00:00:0\d,\d{3} --> 00:00:0\d,\d{3}\n" + WORDS, done.stdout)


def test_no_library_keeps_a_file_in_the_home_directory_for_what_it_reports_of_its_users(service: Service) -> None:
    service.ended(service.post_file(FIVE)["id"])
    home = Path(service.environment["HOME"])
    files = [path.relative_to(home) for path in home.rglob("*") if path.is_file()]
    assert [path for path in files if path.parts[:2] != (".cache", "uv")] == []  # ZenML asks uv what is installed
