"""The embedded PostgreSQL: it starts whoever asks first, survives its users, and touches nobody's directories."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import psutil
import psycopg
import psycopg.conninfo
import pytest

from hansard.domain.errors import ConfigurationError, StorageError
from hansard.persistence import embedded, shelter

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL as somebody else")

START = """
import pathlib, sys
from hansard.persistence import embedded
print(embedded.ensure_running(pathlib.Path(sys.argv[1]), shelter=pathlib.Path(sys.argv[2])), flush=True)
"""


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that others may enter, so that as root, too, the database is kept in it."""
    directory = Path(tempfile.mkdtemp(prefix="hansard-", dir="/tmp")).resolve()
    directory.chmod(0o755)
    yield directory
    for server in directory.rglob("postmaster.pid"):
        psutil.Process(int(server.read_text().split()[0])).kill()
    shutil.rmtree(directory)


@pytest.fixture
def data_dir(place: Path) -> Path:
    return place / "data"


def ensure_running(data_dir: Path) -> str:
    return embedded.ensure_running(data_dir, shelter=shelter_of(data_dir))


def shelter_of(data_dir: Path) -> Path:
    """The tests' own, instead of a directory of the machine."""
    return Path("/", *data_dir.parts[1:3]) / "shelter"


def started_elsewhere(data_dir: Path, *, then: str = "") -> "subprocess.Popen[str]":
    """Another process that asks for the database, in a group of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", START + then, str(data_dir), str(shelter_of(data_dir))],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def server_of(data_dir: Path) -> psutil.Process:
    (recorded,) = data_dir.rglob("postmaster.pid")
    return psutil.Process(int(recorded.read_text().split()[0]))


def remember(url: str, value: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE memory (value text)")
        connection.execute("INSERT INTO memory VALUES (%s)", [value])


def remembered(url: str) -> str:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT value FROM memory").fetchone()
    assert row is not None
    return row[0]


def test_four_processes_that_start_it_at_once_get_the_same(data_dir: Path) -> None:
    processes = [started_elsewhere(data_dir) for _ in range(4)]
    urls = {process.communicate(timeout=60)[0].strip() for process in processes}
    assert [process.returncode for process in processes] == [0, 0, 0, 0]
    assert urls == {ensure_running(data_dir)}


def test_it_outlives_the_process_that_started_it(data_dir: Path) -> None:
    starter = started_elsewhere(data_dir, then="import time; time.sleep(60)")
    assert starter.stdout is not None
    url = starter.stdout.readline().strip()
    server = server_of(data_dir)
    os.killpg(starter.pid, signal.SIGKILL)
    starter.communicate()
    remember(url, "still here")
    assert server_of(data_dir) == server


def test_it_comes_back_with_its_data_when_it_was_killed(data_dir: Path) -> None:
    remember(ensure_running(data_dir), "kept")
    server_of(data_dir).kill()
    assert remembered(ensure_running(data_dir)) == "kept"


def test_it_is_revived_with_its_data(data_dir: Path) -> None:
    url = ensure_running(data_dir)
    remember(url, "kept")
    embedded.stop(data_dir, shelter=shelter_of(data_dir))
    embedded.revive(data_dir, shelter=shelter_of(data_dir))
    assert remembered(url) == "kept"


def test_one_that_cannot_be_revived_says_so(data_dir: Path) -> None:
    ensure_running(data_dir)
    embedded.stop(data_dir, shelter=shelter_of(data_dir))
    shutil.rmtree(data_dir / "postgresql" / "data" / "pg_wal")
    with pytest.raises(StorageError) as failure:
        embedded.revive(data_dir, shelter=shelter_of(data_dir))
    assert failure.value.failure.retryable
    assert "pg_wal" in str(failure.value.__cause__)


def test_nobody_waits_for_another_who_revives_it(data_dir: Path) -> None:
    ensure_running(data_dir)
    embedded.stop(data_dir, shelter=shelter_of(data_dir))
    with embedded._locked(data_dir / "postgresql"):
        embedded.revive(data_dir, shelter=shelter_of(data_dir))
    assert not list(data_dir.rglob("postmaster.pid"))


def test_it_starts_after_a_reboot_that_gave_its_process_number_to_another(data_dir: Path) -> None:
    remember(ensure_running(data_dir), "kept")
    (recorded,) = data_dir.rglob("postmaster.pid")
    lines = recorded.read_text().splitlines()
    embedded.stop(data_dir, shelter=shelter_of(data_dir))
    recorded.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
    assert remembered(ensure_running(data_dir)) == "kept"


def test_stopped_it_answers_nobody_and_stopping_it_again_is_no_error(data_dir: Path) -> None:
    url = ensure_running(data_dir)
    embedded.stop(data_dir, shelter=shelter_of(data_dir))
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url)
    embedded.stop(data_dir, shelter=shelter_of(data_dir))


def test_a_path_too_long_for_a_socket_will_do(place: Path) -> None:
    url = ensure_running(place / ("it's a long way " + "x" * 100))
    remember(url, "short enough")
    assert remembered(url) == "short enough"
    shutil.rmtree(psycopg.conninfo.conninfo_to_dict(url)["host"])


def test_a_database_of_an_older_postgresql_is_told_with_the_command_that_converts_it(data_dir: Path) -> None:
    made_by_an_older_postgresql(data_dir)
    with pytest.raises(ConfigurationError) as refusal:
        ensure_running(data_dir)
    assert refusal.value.failure.code == "database_version"
    assert "hansard db upgrade --postgres" in (refusal.value.failure.help or "")


def test_a_database_of_a_newer_postgresql_is_left_alone(data_dir: Path) -> None:
    data = data_dir / "postgresql" / "data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("99\n")
    with pytest.raises(ConfigurationError, match="made by PostgreSQL 99"):
        ensure_running(data_dir)


def test_the_database_of_an_older_postgresql_is_converted_and_the_old_one_kept(data_dir: Path) -> None:
    old = made_by_an_older_postgresql(data_dir)
    kept = embedded.upgrade_cluster(data_dir, shelter=shelter_of(data_dir))
    assert kept is not None
    assert (kept / "PG_VERSION").read_text().strip() == str(old)
    remember(ensure_running(data_dir), "converted")
    assert embedded.upgrade_cluster(data_dir, shelter=shelter_of(data_dir)) is None


def made_by_an_older_postgresql(data_dir: Path) -> int:
    own = data_dir / "postgresql"
    own.mkdir(parents=True)
    account = shelter.account_for(own / "data")
    account.own(own)
    version, programs = min(shelter.installations(account, shelter_of(data_dir)).items())
    assert account.run(programs / "initdb", "--pgdata", own / "data", "--username", "postgres", cwd=own).succeeded
    return version


@as_root
def test_a_home_that_is_closed_to_others_stays_closed(place: Path) -> None:
    home = place / "home"
    home.mkdir(mode=0o700)
    url = ensure_running(home / "data")
    remember(url, "kept elsewhere")
    assert home.stat().st_mode & 0o777 == 0o700
    assert not (home / "data" / "postgresql" / "data").exists()
    assert server_of(place / "shelter").uids().real != 0


@as_root
def test_the_data_directory_says_where_its_database_is(place: Path) -> None:
    home = place / "home"
    home.mkdir(mode=0o700)
    remember(ensure_running(home / "data"), "kept elsewhere")
    location = Path((home / "data" / "postgresql" / shelter.POINTER).read_text().strip())
    assert str(location) in (home / "data" / "postgresql" / "README.txt").read_text()
    assert (location / "data" / "PG_VERSION").exists()
    assert remembered(ensure_running(home / "data")) == "kept elsewhere"


@as_root
def test_a_database_that_is_gone_from_where_it_was_kept_is_not_replaced_by_an_empty_one(place: Path) -> None:
    home = place / "home"
    (home / "data" / "postgresql").mkdir(parents=True)
    (home / "data" / "postgresql" / shelter.POINTER).write_text(f"{place}/gone/postgresql\n")
    with pytest.raises(ConfigurationError, match="which is gone"):
        ensure_running(home / "data")


@as_root
def test_programs_that_others_may_not_run_are_copied_and_not_opened(place: Path) -> None:
    spec = find_spec(shelter.WHEEL)
    assert spec is not None
    assert spec.submodule_search_locations is not None
    package = Path(spec.submodule_search_locations[0])
    closed = place / "closed"
    closed.mkdir(mode=0o700)
    for source in (package, package.with_name(f"{shelter.WHEEL}.libs")):
        shutil.copytree(source, closed / source.name, copy_function=os.link)
    ask = "import sys, pathlib; from hansard.persistence import shelter; place = pathlib.Path(sys.argv[1]); "
    ask += "print(*shelter.installations(shelter.account_for(place / 'none'), place).values())"
    ran = subprocess.run(
        [sys.executable, "-c", ask, str(place / "shelter")],
        env={**os.environ, "PYTHONPATH": str(closed)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert all(Path(programs).is_relative_to(place / "shelter") for programs in ran.stdout.split())
    assert closed.stat().st_mode & 0o777 == 0o700
