"""`hansard transcribe`: the transcript on one stream, everything else on the other."""

import contextlib
import io
from dataclasses import replace
from uuid import uuid4

import httpx
import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from hansard.application.origin import acting
from hansard.cli import transcribe as command
from hansard.cli.journal import FILE_NAME
from hansard.cli.local_transcriptions import LOOK_FOR_WORKERS_SECONDS, LocalTranscriptions
from hansard.cli.transcribe import Session
from hansard.cli.transcribe_options import Format
from hansard.cli.transcriptions import RemoteTranscriptions, Standing, remote_transcriptions
from hansard.domain.errors import EngineFailed, HansardError, InvalidAudio, InvalidRequest
from hansard.domain.transcription import Channels, Parameters, Status, Task
from hansard.formats import DEFAULTS, FORMATS
from tests.unit.command_line import FakeWorker, finish_jobs, local, remote
from tests.unit.http.api import TALK, FakeContainer


def answered_by(answer):
    return RemoteTranscriptions(httpx.Client(transport=httpx.MockTransport(answer), base_url="http://hansard"))


@pytest.fixture
def container():
    return FakeContainer()


@pytest.fixture
def talk(tmp_path):
    file = tmp_path / "talk.wav"
    file.write_bytes(TALK)
    return file


@pytest.fixture(params=[local, remote])
def transcriptions(request, container):
    """Both ways to have it done, each with somebody who does it."""
    return request.param(container)


@pytest.fixture
def run_on(monkeypatch):
    """Run the command; the result has the exit code and what stands on each stream."""
    app = typer.Typer()
    app.command()(command.transcribe)

    def run_on(transcriptions, *arguments):
        monkeypatch.setattr(command, "_transcriptions", lambda server: contextlib.nullcontext(transcriptions))
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    return run_on


@pytest.fixture
def run(run_on, transcriptions):
    return lambda *arguments: run_on(transcriptions, *arguments)


# ── The command ──────────────────────────────────────────────────────────────────────────────────────────


def test_the_transcript_alone_is_on_the_standard_output(run, talk):
    done = run(talk)

    assert done.exit_code == 0
    assert done.stdout == "word1 word2\n"
    assert done.stderr == ""


@pytest.mark.parametrize("format", [name for name, each in FORMATS.items() if each.is_text and name != "rttm"])
def test_each_format_is_offered(run, talk, format):
    done = run(talk, "--format", format)

    assert done.exit_code == 0
    assert "word2" in done.stdout


@pytest.mark.parametrize("format", ["docx", "zip"])
def test_what_is_no_text_goes_to_a_pipe_as_it_is(run, talk, format):
    assert run(talk, "--format", format).stdout_bytes.startswith(b"PK")


def test_the_formats_offered_are_those_there_are():
    assert set(Format) == set(FORMATS)


def test_what_was_asked_for_is_what_is_submitted(run, talk, container):
    run(talk, "--engine", "fake", "--model", "large", "--language", "en", "--prompt", "Minutes.")

    (transcription,) = container.database.transcriptions.values()
    asked = transcription.parameters
    assert (asked.engine, asked.model, asked.language, asked.prompt) == ("fake", "large", "en", "Minutes.")


def test_everything_that_the_api_can_be_asked_is_an_option(run, talk, container):
    run(
        talk,
        *("--hotwords", "quay", "--task", "translate", "--temperature", "0.5", "--no-fallback"),
        *("--diarize", "--min-speakers", "2", "--max-speakers", "3"),
    )

    (transcription,) = container.database.transcriptions.values()
    assert replace(transcription.parameters, priority=0) == Parameters(
        hotwords="quay",
        task=Task.TRANSLATE,
        temperature=0.5,
        fallback=False,
        diarize=True,
        min_speakers=2,
        max_speakers=3,
    )


def test_channels_can_be_heard_apart(run_on, talk):
    asked = []

    class Listening(Scripted):
        def submit(self, file, parameters):
            asked.append(parameters)
            return uuid4()

    run_on(Listening(Standing(status=Status.COMPLETED)), talk, "--channels", "separate")

    assert asked == [Parameters(channels=Channels.SEPARATE)]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--min-speakers", "2"], "`min_speakers` and `max_speakers` need `diarize`."),
        (["--language", "English"], "language: must be a language code such as en or pt-BR."),
        (["--words"], "The format txt has no use for `words`."),
        (["--format", "srt", "--max-lines", "9"], "The rule `max_lines` must be from 1 to 5."),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_starts(run, talk, container, arguments, told):
    done = run(talk, *arguments)

    assert isinstance(done.exception, InvalidRequest)
    assert str(done.exception) == told
    assert not container.database.audio


def test_how_it_is_written_can_be_chosen(run, talk):
    assert run(talk, "--times").stdout == "[00:00:00] word1 word2\n"


def test_captions_can_be_left_as_the_engine_cut_them(run, talk):
    assert run(talk, "--format", "srt", "--no-fit").stdout.count("-->") == 2


def test_several_formats_on_the_standard_output_are_refused(run, talk, container):
    done = run(talk, "--format", "srt", "--format", "vtt")

    assert done.exception.failure.code == "no_output_directory"
    assert not container.database.audio


def test_several_recordings_come_out_in_their_order(run, tmp_path, talk):
    other = tmp_path / "other.wav"
    other.write_bytes(TALK[: len(TALK) // 2])

    assert run(talk, other).stdout == "word1 word2\nword3\n"


def test_the_transcript_goes_to_a_file_when_asked(run, talk, tmp_path):
    done = run(talk, "--output", tmp_path / "minutes.txt")

    assert done.stdout == ""
    assert (tmp_path / "minutes.txt").read_text() == "word1 word2\n"


def test_each_recording_gets_its_file_in_a_directory(run, talk, tmp_path):
    other = tmp_path / "other.wav"
    other.write_bytes(TALK)
    (tmp_path / "out").mkdir()

    run(talk, other, "--format", "srt", "--output", tmp_path / "out")

    assert sorted(file.name for file in (tmp_path / "out").glob("*.*")) == [FILE_NAME, "other.srt", "talk.srt"]


def test_a_failure_is_told_with_its_remedy_and_an_exit_code(run, talk, container):
    container.engine.failures = [EngineFailed("The provider broke.", engine="fake", help="Try later.")] * 3

    done = run(talk, "--engine", "fake")

    assert done.exit_code == 1
    assert done.stdout == ""
    assert done.stderr == "Error: talk.wav: The provider broke. Try later.\n"


def test_one_refused_recording_does_not_stop_the_others(run, talk, tmp_path, transcriptions, monkeypatch):
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"bad")
    submit = type(transcriptions).submit

    def picky(self, file, parameters):
        if file == bad:
            raise InvalidAudio("That is no recording.")
        return submit(self, file, parameters)

    monkeypatch.setattr(type(transcriptions), "submit", picky)

    done = run(bad, talk)

    assert done.exit_code == 1
    assert done.stdout == "word1 word2\n"
    assert done.stderr == "Error: bad.wav: That is no recording.\n"


def test_an_unknown_engine_is_told_with_the_known_ones(run, talk, container):
    done = run(talk, "--engine", "whispr")

    assert done.exit_code == 1
    assert "auto, second, fake" in done.stderr
    assert not container.store.objects


def test_a_second_best_record_is_noted_beside_it(run, talk, container):
    container.engine.degraded_reason = "recognised by the offline engine"

    done = run(talk, "--engine", "fake")

    assert done.exit_code == 0
    assert done.stdout == "word1 word2\n"
    assert done.stderr == "talk.wav: second best: recognised by the offline engine\n"


@pytest.mark.parametrize(
    "idle",
    [
        lambda container: local(container, workers_alive=lambda: True),
        lambda container: remote(container, work=lambda container: None),
    ],
)
def test_an_interruption_cancels_and_says_so(run_on, talk, container, monkeypatch, idle):
    def interrupted(self, deliver):
        raise KeyboardInterrupt

    monkeypatch.setattr(Session, "follow", interrupted)

    done = run_on(idle(container), talk)

    assert done.exit_code == 130
    assert done.stderr == "talk.wav: cancelled.\n"
    assert [each.status for each in container.database.transcriptions.values()] == [Status.CANCELLED]


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda file: None, "There is no file"),
        (lambda file: file.mkdir(), "is a directory"),
        (lambda file: file.touch(), "is empty"),
    ],
)
def test_what_cannot_be_a_recording_is_told_before_anything_starts(run, tmp_path, container, make, told):
    make(tmp_path / "talk.mp3")

    done = run(tmp_path / "talk.mp3")

    assert isinstance(done.exception, InvalidAudio)
    assert told in str(done.exception)
    assert not container.database.audio


@pytest.mark.parametrize(
    ("names", "output", "code"),
    [
        (["a/talk.wav", "b/other.wav"], "minutes.txt", "one_output_for_many"),
        (["a/talk.wav", "b/other.wav"], "a/talk.wav", "one_output_for_many"),
        (["a/talk.wav"], "nowhere/minutes.txt", "no_such_directory"),
    ],
)
def test_an_output_that_would_lose_a_transcript_is_refused_first(run, tmp_path, container, names, output, code):
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(TALK)

    done = run(*(tmp_path / name for name in names), "--output", tmp_path / output)

    assert isinstance(done.exception, InvalidRequest)
    assert done.exception.failure.code == code
    assert not container.database.audio


# ── On a terminal ────────────────────────────────────────────────────────────────────────────────────────


class Scripted:
    """A service that stands as told, one look after the other."""

    def __init__(self, *standings):
        self.standings = list(standings)

    def submit(self, file, parameters):
        return uuid4()

    def at_work(self):
        return contextlib.nullcontext()

    def standing(self, transcription_id):
        return self.standings.pop(0)

    def export(self, transcription_id, format, options):
        return b"word1\n"


def test_a_terminal_shows_what_is_done_and_how_far_it_is(talk):
    scripted = Scripted(
        Standing(status=Status.RUNNING, progress=0.25, activity="recognising with whisper"),
        Standing(status=Status.COMPLETED, progress=1.0),
    )
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=120)
    session = Session(scripted, console, "txt", DEFAULTS, sleep=lambda seconds: None)

    session.submit([talk], Parameters())
    session.follow(lambda file, text: None)

    assert "talk.wav" in screen.getvalue()
    assert "25%" in screen.getvalue()
    assert "recognising with whisper" in screen.getvalue()


def test_each_transcript_is_delivered_as_soon_as_those_before_it_are(tmp_path):
    files = [tmp_path / "1.wav", tmp_path / "2.wav"]
    completed, running = Standing(status=Status.COMPLETED), Standing(status=Status.RUNNING)
    scripted = Scripted(running, completed, completed)
    delivered = []
    session = Session(
        scripted, Console(file=io.StringIO()), "txt", DEFAULTS, sleep=lambda seconds: delivered.append("wait")
    )

    session.submit(files, Parameters())
    session.follow(lambda file, text: delivered.append(file.name))

    assert delivered == ["wait", "1.wav", "2.wav"]


# ── Without a service ────────────────────────────────────────────────────────────────────────────────────


def test_workers_that_are_alive_are_left_to_their_work(container):
    transcriptions = LocalTranscriptions(container, lambda: True, pytest.fail)

    with transcriptions.at_work():
        pass


def test_a_service_that_stops_halfway_is_replaced(container, talk):
    now, alive, started = [0.0], [True], []
    transcriptions = LocalTranscriptions(
        container, lambda: alive[0], lambda: started.append(True) or FakeWorker(container), lambda: now[0]
    )
    with transcriptions.at_work():
        transcription_id = transcriptions.submit(talk, Parameters())
        alive[0] = False
        transcriptions.standing(transcription_id)
        assert not started
        now[0] += LOOK_FOR_WORKERS_SECONDS
        transcriptions.standing(transcription_id)

    assert started == [True]


@pytest.mark.parametrize(("stubborn", "exit_code"), [(False, -15), (True, -9)])
def test_the_worker_ends_with_the_command(container, stubborn, exit_code):
    worker = FakeWorker(container)
    worker.stubborn = stubborn

    with LocalTranscriptions(container, lambda: False, lambda: worker).at_work():
        assert worker.exit_code is None

    assert worker.exit_code == exit_code


def test_a_worker_that_dies_is_told_rather_than_waited_for(container, talk):
    worker = FakeWorker(container)
    transcriptions = LocalTranscriptions(container, lambda: False, lambda: worker)

    with transcriptions.at_work():
        worker.exit_code = 1
        with pytest.raises(HansardError, match="exit code 1"):
            transcriptions.standing(transcriptions.submit(talk, Parameters()))


def test_a_transcription_names_the_command_that_asked_for_it(container, talk):
    with acting(request_id="command-7"):
        transcription_id = local(container).submit(talk, Parameters())

    assert container.transcription(transcription_id).request_id == "command-7"


def test_somebody_at_a_terminal_comes_before_an_archive(container, talk):
    transcription_id = local(container).submit(talk, Parameters())

    assert container.transcription(transcription_id).parameters.priority > Parameters().priority


def test_cancelling_what_has_ended_is_no_error(transcriptions, talk, container):
    transcription_id = transcriptions.submit(talk, Parameters())
    finish_jobs(container)

    transcriptions.cancel(transcription_id)

    assert container.transcription(transcription_id).status is Status.COMPLETED


# ── With a service elsewhere ─────────────────────────────────────────────────────────────────────────────


def test_a_server_that_does_not_answer_is_one_clear_line():
    def refuse(request):
        raise httpx.ConnectError("[Errno 111] Connection refused")

    with pytest.raises(HansardError, match=r"No answer from http://hansard: Connection refused\.") as raised:
        answered_by(refuse).standing(uuid4())
    assert raised.value.failure.help


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, html="<html>It works!</html>"),
        httpx.Response(404, html="<html>Not Found</html>"),
        httpx.Response(200, json=[]),
        httpx.Response(404, json={"error": "not found"}),
    ],
)
def test_another_program_at_that_address_is_recognised(answer):
    with pytest.raises(HansardError, match="is not Hansard"):
        answered_by(lambda request: answer).standing(uuid4())


def test_what_the_service_refuses_is_told_in_its_words(container, talk):
    with pytest.raises(HansardError, match="language: must be a language code") as raised:
        remote(container).submit(talk, Parameters(language="English"))
    assert raised.value.failure.code == "invalid_request"


@pytest.mark.parametrize("server", ["localhost:8000", "http://localhost:8000", "https://localhost:8000/"])
def test_a_server_may_be_named_without_its_scheme(server):
    with remote_transcriptions(server) as transcriptions:
        assert transcriptions.client.base_url.host == "localhost"
        assert transcriptions.client.base_url.port == 8000


def test_what_is_not_an_address_is_told():
    with pytest.raises(HansardError, match="is not a URL"), remote_transcriptions("localhost:port"):
        pass
