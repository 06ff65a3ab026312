import asyncio
import json
import logging as standard_logging
import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from uuid import UUID

import pytest
from loguru import logger

from hansard.application.origin import acting
from hansard.domain.errors import InvalidAudio
from hansard.observability import logging
from hansard.observability.redaction import redact

OURS = logger.patch(lambda record: record.update(name="hansard.somewhere"))
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
KEY = "sk-proj-abcdefghijklmnopqrstuvwxyz"
TRANSCRIPTION_ID = UUID("0193ab12-5f6e-4c3d-8b2a-1c0d9e8f7a6b")

Lines = Callable[[], list[str]]


@pytest.fixture(autouse=True)
def _as_it_was(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    root = standard_logging.root
    handlers, level = root.handlers, root.level
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    with warnings.catch_warnings():
        yield
        standard_logging.captureWarnings(False)
    root.handlers = handlers
    root.setLevel(level)
    logger.remove()


@pytest.fixture
def lines(capfd: pytest.CaptureFixture[str]) -> Lines:
    def read() -> list[str]:
        return capfd.readouterr().err.splitlines()

    return read


def configure(*, level: str = "INFO", format: str = "pretty", colour: bool | None = False) -> None:
    logging.configure(process="worker.1", level=level, format=format, colour=colour)


def test_a_record_is_one_line_of_time_level_process_ids_message_and_fields(lines: Lines) -> None:
    configure()

    with acting(request_id="3f2a9c1b77", trace_id=TRACE_ID), logging.context(transcription_id=TRANSCRIPTION_ID):
        OURS.bind(engine="whisper", seconds=3.14159, file="a b.mp3").info("Recognised a passage.")

    (line,) = lines()
    time, rest = line.split(" ", 1)
    assert len(time) == len("07:28:31.123")
    assert rest == (
        'INFO     worker.1  3f2a9c1b 0193ab12 Recognised a passage. engine=whisper seconds=3.142 file="a b.mp3"'
    )


def test_a_json_record_is_one_object_with_stable_names(lines: Lines) -> None:
    configure(format="json")

    with acting(request_id="3f2a9c1b77", trace_id=TRACE_ID), logging.context(transcription_id=TRANSCRIPTION_ID):
        logger.bind(seconds=1.5).info("Größe {}", "bekannt")

    (line,) = lines()
    record = json.loads(line)
    assert record.pop("time").endswith("+00:00")
    assert record == {
        "level": "INFO",
        "process": "worker.1",
        "request_id": "3f2a9c1b77",
        "trace_id": TRACE_ID,
        "transcription_id": str(TRANSCRIPTION_ID),
        "message": "Größe bekannt",
        "logger": __name__,
        "seconds": 1.5,
    }


def test_a_field_cannot_take_the_place_of_a_stable_name(lines: Lines) -> None:
    configure(format="json")

    logger.bind(level="forged").info("Honest.")

    record = json.loads(lines()[0])
    assert (record["level"], record["level_"]) == ("INFO", "forged")


@pytest.mark.parametrize("format", ["pretty", "json"])
@pytest.mark.parametrize("separator", ["\n", "\r", "\x1b[2K", "\x85", "\u2028", "\u202e"])
def test_no_character_of_a_message_or_field_can_forge_a_second_line(lines: Lines, format: str, separator: str) -> None:
    configure(format=format)

    logger.bind(file=f"x{separator}y").info("Stored {}.", f"a{separator}12:00:00.000 INFO api all is well")

    (line,) = lines()
    assert separator not in line


def test_braces_and_markup_in_a_message_stay_as_they_are(lines: Lines) -> None:
    configure()

    logger.info("Stored {}.", "{0} <red>x</red>.mp3")

    assert "Stored {0} <red>x</red>.mp3." in lines()[0]


def test_a_traceback_follows_its_line_indented(lines: Lines) -> None:
    configure()

    try:
        raise ValueError("first\n12:00:00.000 INFO second")
    except ValueError:
        logger.exception("It broke.")

    first, *others = lines()
    assert "It broke." in first
    assert others[-1] == "    12:00:00.000 INFO second"
    assert all(line.startswith("    ") for line in others)


def test_a_traceback_in_json_is_a_field(lines: Lines) -> None:
    configure(format="json")

    try:
        raise ValueError("broken")
    except ValueError:
        logger.exception("It broke.")

    (line,) = lines()
    assert json.loads(line)["exception"].endswith("ValueError: broken")


@pytest.mark.parametrize("format", ["pretty", "json"])
def test_secrets_are_not_shown_wherever_they_stand(lines: Lines, format: str) -> None:
    configure(format=format)

    try:
        raise ValueError("postgresql://hansard:hunter2@db/hansard refused us")
    except ValueError:
        logger.bind(key=KEY, header="Authorization: Bearer abcdef").exception("Cannot use {}.", KEY)

    text = "\n".join(lines())
    assert "***" in text
    for secret in (KEY, "hunter2", "abcdef"):
        assert secret not in text


def test_words_that_merely_resemble_a_key_are_shown() -> None:
    assert redact("task-12345678901234 basic recognition") == "task-12345678901234 basic recognition"


def test_the_context_goes_along_into_threads(lines: Lines) -> None:
    configure()

    async def work() -> None:
        with logging.context(transcription_id=TRANSCRIPTION_ID):
            await asyncio.to_thread(logger.info, "Working.")

    asyncio.run(work())

    assert "0193ab12 Working." in lines()[0]


def test_the_context_ends_with_its_block(lines: Lines) -> None:
    configure(format="json")

    with acting(request_id="one"):
        pass
    logger.info("Afterwards.")

    assert json.loads(lines()[0])["request_id"] is None


def test_an_unknown_id_in_the_context_does_not_hide_the_one_around_it(lines: Lines) -> None:
    configure(format="json")

    with acting(request_id="one"), acting(request_id=None):
        logger.info("Inside.")

    assert json.loads(lines()[0])["request_id"] == "one"


def test_records_below_the_level_are_left_out(lines: Lines) -> None:
    configure(level="warning")

    OURS.info("Not this.")
    OURS.warning("This.")

    assert [line.split()[-1] for line in lines()] == ["This."]


@pytest.mark.parametrize(
    ("level", "heard"),
    [("INFO", ["warning"]), ("DEBUG", ["info", "warning"]), ("TRACE", ["info", "warning"]), ("ERROR", [])],
)
def test_libraries_are_heard_one_level_up_and_never_at_debug(lines: Lines, level: str, heard: list[str]) -> None:
    configure(level=level)

    library = standard_logging.getLogger("some.library")
    library.debug("debug")
    library.info("info")
    library.warning("warning")

    assert [line.split()[5] for line in lines()] == heard


def test_a_librarys_record_carries_its_loggers_name_and_our_context(lines: Lines) -> None:
    configure(format="json")

    with acting(request_id="one"):
        standard_logging.getLogger("some.library").warning("Careful, %s", "now")

    record = json.loads(lines()[0])
    assert (record["logger"], record["message"], record["request_id"]) == ("some.library", "Careful, now", "one")


def test_a_python_warning_becomes_one_line(lines: Lines) -> None:
    configure()

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        standard_logging.captureWarnings(True)
        warnings.warn("old ways", stacklevel=1)

    (line,) = lines()
    assert "UserWarning: old ways" in line


def test_configuring_again_repeats_nothing(lines: Lines) -> None:
    configure()
    configure()

    logger.info("Once.")
    standard_logging.getLogger("some.library").warning("Once.")

    assert len(lines()) == 2


@pytest.mark.parametrize(
    ("environment", "coloured"),
    [({}, False), ({"FORCE_COLOR": "1"}, True), ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False)],
)
def test_colour_off_a_terminal_is_only_for_who_asks(
    lines: Lines, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], coloured: bool
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    configure(colour=None)

    logger.info("Hello.")

    assert ("\x1b[" in lines()[0]) is coloured


def test_an_error_of_ours_that_passes_through_a_library_is_neither_an_alarm_nor_a_traceback(lines: Lines) -> None:
    configure()

    try:
        raise InvalidAudio("No speech was found.")
    except InvalidAudio:
        standard_logging.getLogger("somebody.elses").exception("The step failed.")

    (line,) = lines()
    assert "INFO" in line
    assert 'The step failed. logger=somebody.elses error="No speech was found."' in line


@pytest.mark.parametrize("said", ["%d words", "%s %s"])
def test_a_library_that_gets_its_message_wrong_is_not_stopped_by_it(lines: Lines, said: str) -> None:
    configure()

    standard_logging.getLogger("some.library").warning(said, "many")

    (line,) = lines()
    assert "could not be put into words. logger=some.library" in line


def test_a_library_may_say_that_there_was_no_exception(lines: Lines) -> None:
    configure()

    standard_logging.getLogger("some.library").warning("All went well.", exc_info=False)

    (line,) = lines()
    assert "All went well." in line


def test_an_error_says_whose_move_it_is(lines: Lines) -> None:
    configure(format="json")

    logger.error("Broken.")
    logger.opt(exception=InvalidAudio("No speech was found.")).error("Refused.")
    logger.bind(code="alert_fired", category="server").error("Alert.")
    logger.opt(exception=ZeroDivisionError()).warning("It was dealt with.")

    shown = [json.loads(line) for line in lines()]
    assert [(each.get("code"), each.get("category")) for each in shown] == [
        ("internal_error", "internal"),
        ("invalid_audio", "client"),
        ("alert_fired", "server"),
        (None, None),
    ]


def test_what_an_imported_library_did_to_logging_is_undone(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    configure()
    standard_logging.root.addHandler(standard_logging.StreamHandler(sys.__stderr__))
    standard_logging.root.setLevel("DEBUG")
    monkeypatch.setattr(sys, "excepthook", print)

    logging.strip_foreign_handlers()
    standard_logging.getLogger("some.library").info("Not heard.")
    standard_logging.getLogger("some.library").warning("Heard once.")

    assert len(lines()) == 1
    assert sys.excepthook is not print


def run(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "NO_COLOR": "1"},
    )


def test_an_uncaught_exception_is_logged() -> None:
    ended = run(
        "from hansard.observability import logging\n"
        "logging.configure(process='api', level='INFO', format='json')\n"
        "raise RuntimeError('unforeseen')"
    )

    assert ended.returncode == 1
    assert json.loads(ended.stderr)["exception"].endswith("RuntimeError: unforeseen")


def test_importing_zenml_changes_nothing_about_the_log(tmp_path: os.PathLike[str]) -> None:
    ended = run(
        f"import os; os.environ.update(ZENML_CONFIG_PATH={str(tmp_path)!r}, ZENML_ANALYTICS_OPT_IN='false')\n"
        "import logging as standard, sys\n"
        "from loguru import logger\n"
        "from hansard.observability import logging\n"
        "logging.configure(process='worker.1', level='INFO', format='pretty')\n"
        "hook = sys.excepthook\n"
        "import zenml\n"
        "logging.strip_foreign_handlers()\n"
        "assert 'write' not in vars(sys.stdout) and 'write' not in vars(sys.stderr)\n"
        "assert sys.excepthook is hook\n"
        "logger.info('ours')\n"
        "standard.getLogger('zenml.client').info('chatter')\n"
        "standard.getLogger('zenml.client').warning('theirs')\n"
        "sys.stdout.write('output')"
    )

    assert ended.stdout == "output"
    assert [line.split(maxsplit=5)[5] for line in ended.stderr.splitlines()] == ["ours", "theirs logger=zenml.client"]
