"""Many recordings into a directory: each for itself, and the same command again goes on where it was stopped."""

import contextlib
import io
import json
from uuid import UUID

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from hansard.cli import transcribe as command
from hansard.cli.batch import MOST_WAITS, Batch, Order
from hansard.cli.journal import FILE_NAME, Journal
from hansard.cli.recordings import named
from hansard.domain.errors import EngineRejected, HansardError, InvalidRequest, QueueFull
from hansard.domain.transcription import Parameters, Status
from hansard.formats import DEFAULTS
from tests.unit.command_line import finish_jobs, local, remote
from tests.unit.http.api import TALK, FakeContainer


@pytest.fixture
def container():
    return FakeContainer()


@pytest.fixture(params=[local, remote])
def run(request, monkeypatch, container):
    """Run the command, as often as wanted, in both ways to have it done."""
    app = typer.Typer()
    app.command()(command.transcribe)
    monkeypatch.setattr(command, "_transcriptions", lambda server: contextlib.nullcontext(request.param(container)))
    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def folder(tmp_path):
    """Three recordings and something else."""
    folder = tmp_path / "in"
    folder.mkdir()
    for number in (1, 2, 3):
        (folder / f"{number}.wav").write_bytes(TALK + bytes([number, 0]))
    (folder / "notes.txt").write_text("Bring biscuits.")
    return folder


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


class Killed(BaseException):
    """Nothing catches it, and nothing is tidied up."""


def batch_of(transcriptions, out, *, console=None, **more):
    console = console or Console(file=io.StringIO())
    more.setdefault("sleep", lambda seconds: None)
    return Batch(transcriptions, Journal.of(out), console, Parameters(), {"txt": DEFAULTS}, **more)


def orders_of(folder, out):
    return [Order(file, {"txt": out / f"{file.stem}.txt"}) for file in sorted(folder.glob("*.wav"))]


def written(out):
    return sorted(file.relative_to(out).as_posix() for file in out.rglob("*") if file.is_file() and file.name[0] != ".")


# ── One call ─────────────────────────────────────────────────────────────────────────────────────────────


def test_a_folder_becomes_a_folder_of_transcripts(run, folder, out):
    done = run(folder, "--out", out)

    assert done.exit_code == 0
    assert done.stdout == ""
    assert written(out) == ["1.txt", "2.txt", "3.txt"]
    assert (out / "1.txt").read_text() == "word1 word2\n"


def test_each_format_asked_for_is_written(run, folder, out):
    run(folder / "1.wav", "--out", out, "--format", "srt", "--format", "docx")

    assert written(out) == ["1.docx", "1.srt"]


def test_an_option_goes_to_the_formats_that_have_a_use_for_it(run, folder, out):
    run(folder / "1.wav", "--out", out, "--format", "srt", "--format", "txt", "--times")

    assert (out / "1.txt").read_text().startswith("[00:00:00]")
    assert written(out) == ["1.srt", "1.txt"]


def test_without_a_terminal_there_is_a_plain_line_for_each_and_one_for_all(run, folder, out):
    (folder / "2.wav").write_bytes(b"")

    done = run(folder, "--out", out)

    assert done.stderr.splitlines() == [
        f"{folder / '2.wav'}: failed: {folder / '2.wav'} is empty. Was it copied to its end?",
        f"{folder / '1.wav'}: done: {out / '1.txt'}",
        f"{folder / '3.wav'}: done: {out / '3.txt'}",
        "2 done, 0 skipped, 1 failed.",
        "The same command goes on from here: what is done is not done again.",
    ]


@pytest.mark.parametrize("spoil", [lambda file: file.write_bytes(b""), lambda file: file.unlink()])
def test_what_is_no_recording_fails_alone(run, folder, out, spoil):
    files = sorted(folder.glob("*.wav"))
    spoil(files[1])

    done = run(*files, "--out", out)

    assert done.exit_code == 1
    assert written(out) == ["1.txt", "3.txt"]


def test_a_transcription_that_fails_fails_alone(run, folder, out, container):
    container.engine.failures = [EngineRejected("That cannot be heard.", engine="fake")]

    done = run(folder, "--out", out, "--engine", "fake")

    assert done.exit_code == 1
    assert "1.wav: failed: That cannot be heard." in done.stderr
    assert written(out) == ["2.txt", "3.txt"]


def test_a_format_that_the_transcript_is_not_enough_for_costs_no_other(run, folder, out):
    done = run(folder / "1.wav", "--out", out, "--format", "rttm", "--format", "txt")

    assert done.exit_code == 1
    assert "does not tell who speaks" in done.stderr
    assert written(out) == ["1.txt"]


def test_a_second_best_record_is_noted(run, folder, out, container):
    container.engine.degraded_reason = "recognised by the offline engine"

    done = run(folder / "1.wav", "--out", f"{out}/", "--engine", "fake")

    assert "second best: recognised by the offline engine" in done.stderr


def test_no_more_are_at_work_at_once_than_asked_for(folder, out, container):
    service = local(container, workers_alive=lambda: True)
    most = []

    def work_one(seconds):
        unfinished = [each.id for each in container.database.transcriptions.values() if not each.status.is_final]
        most.append(len(unfinished))
        container.transcribe(unfinished[0])

    batch_of(service, out, at_once=2, sleep=work_one).run(orders_of(folder, out))

    assert max(most) == 2
    assert written(out) == ["1.txt", "2.txt", "3.txt"]


def test_a_full_queue_is_waited_for(folder, out, container):
    service = local(container)
    submit, refusals = service.submit, [True, True]

    def crowded(*arguments, **more):
        if refusals:
            refusals.pop()
            raise QueueFull("Too much waits.", backlog_seconds=60, retry_after_seconds=30)
        return submit(*arguments, **more)

    service.submit = crowded
    batch = batch_of(service, out)

    batch.run(orders_of(folder, out))

    assert not batch.failed
    assert written(out) == ["1.txt", "2.txt", "3.txt"]


def test_on_a_terminal_there_are_bars_and_a_table(folder, out, container):
    screen = io.StringIO()
    batch = batch_of(local(container), out, console=Console(file=screen, force_terminal=True, width=160))

    batch.run(orders_of(folder, out))
    bars = screen.getvalue()
    batch.summarise()

    assert "1.wav" in bars
    assert "3 of 3 recordings" in bars
    assert "Outcome" in screen.getvalue().removeprefix(bars)
    assert "3 done, 0 skipped, 0 failed." in screen.getvalue()


# ── The next call ────────────────────────────────────────────────────────────────────────────────────────


def test_what_is_done_is_not_done_again(run, folder, out, container):
    run(folder, "--out", out)

    done = run(folder, "--out", out)

    assert done.exit_code == 0
    assert "0 done, 3 skipped, 0 failed." in done.stderr
    assert len(container.database.transcriptions) == 3


def test_a_new_recording_among_the_old_is_all_that_is_done(run, folder, out, container):
    run(folder, "--out", out)
    (folder / "4.wav").write_bytes(TALK)

    done = run(folder, "--out", out)

    assert "1 done, 3 skipped, 0 failed." in done.stderr


def test_a_transcript_that_was_deleted_is_written_again_without_being_recognised_again(run, folder, out, container):
    run(folder, "--out", out)
    said = (out / "2.txt").read_text()
    (out / "2.txt").unlink()

    run(folder, "--out", out)

    assert (out / "2.txt").read_text() == said
    assert len(container.database.transcriptions) == 3


def test_another_format_is_written_without_being_recognised_again(run, folder, out, container):
    run(folder, "--out", out)

    run(folder, "--out", out, "--format", "srt", "--format", "txt")

    assert written(out) == ["1.srt", "1.txt", "2.srt", "2.txt", "3.srt", "3.txt"]
    assert len(container.database.transcriptions) == 3


def test_what_failed_is_asked_for_again(run, folder, out, container):
    container.engine.failures = [EngineRejected("That cannot be heard.", engine="fake")]
    run(folder, "--out", out, "--engine", "fake")

    done = run(folder, "--out", out, "--engine", "fake")

    assert "1 done, 2 skipped, 0 failed." in done.stderr
    assert len(container.database.transcriptions) == 3


def test_what_was_deleted_on_the_service_is_done_anew(run, folder, out, container):
    run(folder / "1.wav", "--out", f"{out}/")
    (transcription_id,) = container.database.transcriptions
    container.delete_transcription(transcription_id)
    (out / "1.txt").unlink()

    done = run(folder / "1.wav", "--out", f"{out}/")

    assert done.exit_code == 0
    assert written(out) == ["1.txt"]


def test_another_wish_is_other_work_and_does_not_write_over_what_is_there(run, folder, out):
    run(folder, "--out", out)
    (out / "1.txt").write_text("corrected by hand")

    done = run(folder, "--out", out, "--language", "de")

    assert done.exit_code == 1
    assert f"{out / '1.txt'} is there already" in done.stderr
    assert "--overwrite" in done.stderr
    assert (out / "1.txt").read_text() == "corrected by hand"


def test_a_file_that_came_from_elsewhere_is_left_alone(run, folder, out, container):
    out.mkdir()
    (out / "1.txt").write_text("mine")

    done = run(folder / "1.wav", "--out", out)

    assert done.exit_code == 1
    assert (out / "1.txt").read_text() == "mine"
    assert not container.database.transcriptions


def test_overwriting_is_possible_when_asked_for(run, folder, out):
    run(folder, "--out", out)
    (out / "1.txt").write_text("spoilt")

    run(folder, "--out", out, "--overwrite")

    assert (out / "1.txt").read_text() == "word1 word2\n"


def test_a_recording_that_changed_is_other_work(run, folder, out, container):
    run(folder / "1.wav", "--out", f"{out}/")
    (folder / "1.wav").write_bytes(TALK[: len(TALK) // 2])

    run(folder / "1.wav", "--out", f"{out}/", "--overwrite")

    assert (out / "1.txt").read_text() == "word3\n"
    assert len(container.database.transcriptions) == 2


# ── Stopped halfway ──────────────────────────────────────────────────────────────────────────────────────


def test_an_interruption_cancels_what_is_at_work_and_the_next_call_goes_on(run, folder, out, container, monkeypatch):
    def interrupted(self, progress):
        for order in list(self._waiting)[:2]:
            self._begin(order, progress)
            self._waiting.popleft()
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Batch, "_step", interrupted)
        stopped = run(folder, "--out", out)
    cancelled = [each.status for each in container.database.transcriptions.values()]
    again = run(folder, "--out", out)

    assert stopped.exit_code == 130
    assert "0 done, 0 skipped, 0 failed, 3 not finished." in stopped.stderr
    assert cancelled == [Status.CANCELLED] * 2
    assert again.exit_code == 0
    assert written(out) == ["1.txt", "2.txt", "3.txt"]
    assert len(container.database.transcriptions) == 3


def test_a_call_killed_before_it_noted_what_it_had_submitted_submits_nothing_twice(run, folder, out, container):
    run(folder / "1.wav", "--out", f"{out}/")
    journal = out / FILE_NAME
    batch_line = next(line for line in journal.read_text().splitlines() if "batch" in line)
    journal.write_text(batch_line)
    (out / "1.txt").unlink()

    run(folder / "1.wav", "--out", f"{out}/")

    assert len(container.database.transcriptions) == 1
    assert written(out) == ["1.txt"]


def test_a_torn_last_line_of_the_journal_costs_nothing_but_itself(run, folder, out, container):
    run(folder, "--out", out)
    journal = out / FILE_NAME
    journal.write_text(journal.read_text().rstrip()[:-10])

    done = run(folder, "--out", out, "--overwrite")
    again = run(folder, "--out", out)

    assert "3 done" in done.stderr
    assert "3 skipped" in again.stderr
    assert len(container.database.transcriptions) == 3


def test_a_transcript_that_could_not_be_written_to_its_end_is_not_there(folder, out, container, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    batch = batch_of(local(container), out)

    batch.run(orders_of(folder, out))

    assert batch.failed
    assert "No space left on device" in batch.reports[0].detail
    assert written(out) == []


def unreachable():
    return HansardError("No answer from http://hansard.", code="server_unreachable")


def test_a_service_that_is_away_for_a_while_is_waited_for(folder, out, container):
    service = local(container)
    standing, silences = service.standing, [False, True, True, True]

    def shaky(transcription_id):
        if silences and silences.pop(0):
            raise unreachable()
        return standing(transcription_id)

    service.standing = shaky
    batch = batch_of(service, out, at_once=1)

    batch.run(orders_of(folder, out))

    assert not batch.failed
    assert written(out) == ["1.txt", "2.txt", "3.txt"]


@pytest.mark.parametrize(("answers_before", "looks"), [(1, MOST_WAITS + 2), (0, 1)])
def test_a_service_that_stays_away_ends_the_batch_at_once_if_it_was_never_there(
    folder, out, container, answers_before, looks
):
    service = local(container)
    standing, asked = service.standing, []

    def gone(transcription_id):
        asked.append(transcription_id)
        if len(asked) > answers_before:
            raise unreachable()
        return standing(transcription_id)

    service.standing = gone

    with pytest.raises(HansardError, match="No answer"):
        batch_of(service, out, at_once=1).run(orders_of(folder, out))
    assert len(asked) == looks


# ── Names ────────────────────────────────────────────────────────────────────────────────────────────────


def touched(tmp_path, *names):
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    return [tmp_path / name for name in names]


def names_of(paths):
    return [name.as_posix() for name in named(paths).values()]


@pytest.mark.parametrize(
    ("recordings", "names"),
    [
        (["talk.mp3", "walk.mp3"], ["talk", "walk"]),
        (["talk.mp3", "talk.wav", "walk.mp3"], ["talk.mp3", "talk.wav", "walk"]),
        (["a/talk.mp3", "b/talk.mp3"], ["a/talk.mp3", "b/talk.mp3"]),
        (["a/talk.mp3", "b/talk.wav"], ["talk.mp3", "talk.wav"]),
        (["talk.mp3", "TALK.wav"], ["talk.mp3", "TALK.wav"]),
    ],
)
def test_no_two_transcripts_have_the_same_name(tmp_path, recordings, names):
    assert names_of(touched(tmp_path, *recordings)) == names


def test_a_recording_named_twice_is_done_once(tmp_path):
    (talk,) = touched(tmp_path, "talk.mp3")

    assert names_of([talk, talk]) == ["talk"]


def test_transcripts_lie_in_folders_as_their_recordings_do(tmp_path):
    touched(tmp_path, "in/1.mp3", "in/deep/2.MP3", "in/.hidden/3.mp3", "in/notes.txt", "in/.DS_Store")

    assert names_of([tmp_path / "in"]) == ["1", "deep/2"]


def test_a_folder_without_recordings_is_told(tmp_path):
    touched(tmp_path, "in/notes.txt")

    with pytest.raises(InvalidRequest, match="no recordings in"):
        named([tmp_path / "in"])


def test_the_journal_says_in_plain_json_what_was_made_of_each(run, folder, out, container):
    run(folder / "1.wav", "--out", f"{out}/")

    lines = [json.loads(line) for line in (out / FILE_NAME).read_text().splitlines() if line]
    (transcription_id,) = container.database.transcriptions
    assert UUID(lines[1]["transcription"]) == transcription_id
    assert lines[1]["recording"] == "1.wav"
    assert lines[2]["written"] == "1.txt"


def test_what_finished_while_nobody_looked_is_fetched(folder, out, container):
    service = local(container, workers_alive=lambda: True)

    def killed(seconds):
        raise Killed

    with pytest.raises(Killed):
        batch_of(service, out, sleep=killed).run(orders_of(folder, out))
    finish_jobs(container)

    batch_of(service, out).run(orders_of(folder, out))

    assert written(out) == ["1.txt", "2.txt", "3.txt"]
    assert len(container.database.transcriptions) == 3
