"""The command line as it is used: as a process, from an empty directory."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from hansard import __version__
from hansard.persistence import embedded

Ended = subprocess.CompletedProcess[str]
Hansard = Callable[..., Ended]


@pytest.fixture
def home() -> Iterator[Path]:
    """An empty directory that PostgreSQL's user, too, may enter; what was started in it is stopped."""
    place = Path(tempfile.mkdtemp(prefix="hansard-cli-"))
    place.chmod(0o755)
    yield place
    _run(place, "db", "stop")
    shutil.rmtree(place)


@pytest.fixture
def hansard(home: Path) -> Hansard:
    def run(*arguments: str, **variables: str) -> Ended:
        return _run(home, *arguments, **variables)

    return run


def _run(home: Path, *arguments: str, **variables: str) -> Ended:
    clean = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-m", "hansard", *arguments],
        cwd=home,
        env={**clean, "HOME": str(home), "HANSARD_OFFLINE": "1", "COLUMNS": "200", **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_version_is_told(hansard: Hansard) -> None:
    assert hansard("--version").stdout == f"{__version__}\n"


def test_help_lists_the_commands(hansard: Hansard) -> None:
    shown = hansard("--help").stdout

    servers = ("up", "api", "worker")
    records = ("transcribe", "transcriptions", "audio", "engines", "models", "pipelines")
    for command in (*servers, *records, "doctor", "config", "db"):
        assert f" {command} " in shown


def test_help_is_quick_because_it_loads_nothing_heavy() -> None:
    heavy = {"alembic", "fastapi", "numpy", "pydantic", "sqlalchemy", "zenml"}
    program = f"import sys, hansard.cli; print(sorted(set(sys.modules) & {heavy!r}))"

    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"HANSARD_PORT": "abc"}, "HANSARD_PORT=abc cannot be used"),
        ({"TESTING": "true", "HANSARD_ENVIRONMENT": "production"}, "Unset TESTING"),
    ],
)
@pytest.mark.parametrize("command", [("up",), ("worker",), ("config", "show")])
def test_a_bad_setting_ends_a_command_with_code_2_and_one_clear_message(
    hansard: Hansard, command: tuple[str, ...], variables: dict[str, str], said: str
) -> None:
    ended = hansard(*command, **variables)

    assert ended.returncode == 2
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_bad_option_is_told_as_the_setting_that_it_stands_for(hansard: Hansard) -> None:
    ended = hansard("up", "--port", "0")

    assert ended.returncode == 2
    assert "HANSARD_PORT=0 cannot be used" in ended.stderr


@pytest.mark.parametrize("command", ["up", "api"])
def test_a_port_in_use_is_said_in_one_line_before_anything_is_started(
    hansard: Hansard, home: Path, command: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        ended = hansard(command, "--port", str(port))

    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert f"Port {port} on 127.0.0.1 is in use" in line
    assert f"HANSARD_PORT={port + 1}" in line
    assert list(home.iterdir()) == []


def test_an_address_that_is_not_of_this_machine_is_told(hansard: Hansard) -> None:
    ended = hansard("api", "--host", "192.0.2.1")

    assert ended.returncode == 1
    assert "HANSARD_HOST" in ended.stderr


def test_an_error_shows_its_traceback_only_to_who_debugs(hansard: Hansard) -> None:
    unreachable = {"HANSARD_DATABASE_URL": "mysql://nowhere/hansard"}

    assert "Traceback" not in hansard("db", "status", **unreachable).stderr
    assert "Traceback" in hansard("db", "status", LOG_LEVEL="debug", **unreachable).stderr


def test_settings_are_shown_with_their_origin_and_without_secrets(hansard: Hansard, home: Path) -> None:
    (home / ".env").write_text("HANSARD_WORKERS=3\n")

    shown = hansard(
        "config",
        "show",
        "--json",
        OPENAI_API_KEY="sk-secret",
        HANSARD_DATABASE_URL="postgresql://hansard:hunter2@db/hansard",
    ).stdout

    rows = {row["setting"]: (row["value"], row["origin"]) for row in json.loads(shown)}
    assert rows["HANSARD_WORKERS"] == ("3", ".env")
    assert rows["HANSARD_PORT"] == ("8000", "default")
    assert rows["OPENAI_API_KEY"] == ("set (hidden)", "environment")
    assert rows["HANSARD_DATABASE_URL"] == ("postgresql://hansard:***@db/hansard", "environment")


def test_settings_are_shown_as_a_table_that_a_pipe_does_not_cut(hansard: Hansard) -> None:
    shown = hansard("config", "show", HANSARD_DATA_DIR="/" + "long/" * 30).stdout

    assert f"/{'long/' * 29}long " in shown


def test_a_misspelt_setting_is_warned_of(hansard: Hansard) -> None:
    assert "Did you mean HANSARD_PORT?" in hansard("config", "show", HANSARD_PROT="1").stderr


def test_the_database_is_made_upgraded_and_stopped(hansard: Hansard) -> None:
    before = hansard("db", "status")
    upgraded = hansard("db", "upgrade")
    after = hansard("db", "status")
    stopped = hansard("db", "stop")

    assert (before.returncode, upgraded.returncode, after.returncode, stopped.returncode) == (1, 0, 0, 0)
    assert "Pending" in before.stdout
    assert "Pending" not in after.stdout


def test_a_command_that_fails_leaves_no_database_running(hansard: Hansard, home: Path) -> None:
    hansard("db", "upgrade")
    with psycopg.connect(embedded.ensure_running(home / "data")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    hansard("db", "stop")

    for command in (["search", "noon"], ["up"]):
        ended = hansard(*command, HANSARD_PORT=str(_free_port()))

        assert (ended.returncode, embedded.server_process(home / "data")) == (1, None)
        assert "newer version" in ended.stderr


def test_a_database_of_ones_own_is_not_stopped(hansard: Hansard) -> None:
    ended = hansard("db", "stop", HANSARD_DATABASE_URL="postgresql://127.0.0.1:9/hansard")

    assert "yours to stop" in ended.stdout


def test_facts_are_made_anew_from_the_events(hansard: Hansard) -> None:
    hansard("engines", "disable", "whisper")
    behind = hansard("analytics", "status")
    rebuilt = hansard("analytics", "rebuild")
    after = hansard("analytics", "status")

    assert (behind.returncode, rebuilt.returncode, after.returncode) == (1, 0, 0), rebuilt.stderr
    assert "still to come" in behind.stdout
    assert "up to event 1" in after.stdout


def test_an_analytics_database_that_is_away_is_told_with_its_reason(hansard: Hansard) -> None:
    ended = hansard("analytics", "status", HANSARD_ANALYTICS_DATABASE_URL="postgresql://127.0.0.1:9/nowhere")

    assert ended.returncode == 1
    assert "127.0.0.1" in ended.stderr
    assert "CREATE DATABASE" in ended.stderr


def test_the_doctor_finds_a_fresh_directory_in_order(hansard: Hansard) -> None:
    ended = hansard("doctor", HANSARD_PORT=str(_free_port()))

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "✗" not in ended.stdout
    assert "PostgreSQL" in ended.stdout


def test_the_doctor_tells_a_bad_setting_and_how_to_mend_it(hansard: Hansard) -> None:
    ended = hansard("doctor", HANSARD_PORT="abc")

    assert ended.returncode == 1
    assert "✗ HANSARD_PORT=abc cannot be used" in ended.stdout


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def test_an_engine_is_taken_out_of_use_for_all_who_share_the_data(hansard: Hansard) -> None:
    def circuits() -> dict[str, dict[str, object]]:
        listed = hansard("engines", "--json")
        assert listed.returncode == 0, listed.stderr
        return {engine["name"]: engine["circuit"] for engine in json.loads(listed.stdout)}

    # Before there are any tables, too.
    assert circuits()["pocketsphinx"]["state"] == "closed"

    disabled = hansard("engines", "disable", "pocketsphinx", "--reason", "Its model is being replaced.")

    assert disabled.returncode == 0, disabled.stderr
    assert circuits()["pocketsphinx"]["disabled_reason"] == "Its model is being replaced."
    assert "disabled: Its model is being replaced." in hansard("engines").stdout


def test_deleting_what_is_not_there_is_one_clear_message(hansard: Hansard) -> None:
    ended = hansard("audio", "delete", "5f0c9a52-6d0e-4c67-9d9c-0d5b3c1f7a10")

    assert ended.returncode == 1
    assert ended.stderr.startswith("Error:")
    assert "5f0c9a52" in ended.stderr
