"""Which Whisper models are on this machine, and what to do about the others."""

# pyright: reportUnknownVariableType=false

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from loguru import logger

from hansard.application.ports.engines import EngineState, EngineStatus
from hansard.domain.errors import EngineStopped, EngineUnavailable
from hansard.engines.model_download import (
    ENGINE,
    REQUIRED_FILES,
    DownloadFailed,
    DownloadFailure,
    DownloadProgress,
    ModelDownload,
    is_directory,
    missing_files,
)

# The short names of faster-whisper 1.2. A test holds this table to the library's, which cannot be read without
# importing all of it.
REPOSITORIES = {
    "tiny.en": "Systran/faster-whisper-tiny.en",
    "tiny": "Systran/faster-whisper-tiny",
    "base.en": "Systran/faster-whisper-base.en",
    "base": "Systran/faster-whisper-base",
    "small.en": "Systran/faster-whisper-small.en",
    "small": "Systran/faster-whisper-small",
    "medium.en": "Systran/faster-whisper-medium.en",
    "medium": "Systran/faster-whisper-medium",
    "large-v1": "Systran/faster-whisper-large-v1",
    "large-v2": "Systran/faster-whisper-large-v2",
    "large-v3": "Systran/faster-whisper-large-v3",
    "large": "Systran/faster-whisper-large-v3",
    "distil-large-v2": "Systran/faster-distil-whisper-large-v2",
    "distil-medium.en": "Systran/faster-distil-whisper-medium.en",
    "distil-small.en": "Systran/faster-distil-whisper-small.en",
    "distil-large-v3": "Systran/faster-distil-whisper-large-v3",
    "distil-large-v3.5": "distil-whisper/distil-large-v3.5-ct2",
    "large-v3-turbo": "mobiuslabsgmbh/faster-whisper-large-v3-turbo",
    "turbo": "mobiuslabsgmbh/faster-whisper-large-v3-turbo",
}

HUB_NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")

POLL_SECONDS = 0.5
RETRY_SECONDS = 300.0
LOG_EVERY_PERCENT = 10


@dataclass(frozen=True, slots=True)
class _Obstacle:
    """Why there is no model. `reason` goes on after a colon."""

    code: str
    reason: str

    def help_for(self, name: str) -> str:
        match self.code:
            case "no_such_model":
                return f"Name one of {', '.join(REPOSITORIES)}, a repository (`org/name`) or a local directory."
            case "model_incomplete":
                return f"A model is a directory with {', '.join(REQUIRED_FILES)}, as `hansard models pull` fetches it."
            case "offline":
                where = "Unset HANSARD_OFFLINE and run"
            case _:
                where = "Where the model hub can be reached, run"
        return f"{where} `hansard models pull {name}`, or set HANSARD_WHISPER_MODEL=/path to the directory of a model."

    def as_error(self, name: str) -> EngineUnavailable:
        message = f"The Whisper model {name} cannot be had: {self.reason}."
        return EngineUnavailable(message, engine=ENGINE, code=self.code, help=self.help_for(name))


class WhisperModels:
    """Thread-safe; any number of processes may share the directory.

    A model is named by a short name (`small`), a repository of the hub (`Systran/faster-whisper-small`) or a local
    directory. `contact_seconds` is how long the hub may take to answer, `stall_seconds` how long a download may stand
    still. `hub_cache` is where this user's other programs keep what they fetched; None is where they do by default.
    """

    def __init__(
        self,
        directory: Path,
        *,
        offline: bool,
        contact_seconds: float = 8.0,
        stall_seconds: float = 60.0,
        hub_cache: Path | None = None,
    ) -> None:
        self.directory = directory
        self._offline = offline
        self.contact_seconds = contact_seconds
        self._stall_seconds = stall_seconds
        self._hub_cache = hub_cache
        self._in_background: dict[str, threading.Thread] = {}
        self._closed = threading.Event()

    def locate(self, name: str) -> Path | None:
        """The directory of a whole model, or None. Looks at this machine only."""
        given = local_directory(name)
        if given is not None:
            return None if missing_files(given) else given
        repository = repository_of(name)
        if repository is None:
            return None
        ours = self.directory / _folder(repository)
        return self._in_hub_cache(repository) if missing_files(ours) else ours

    def status(self, name: str) -> EngineStatus:
        """PREPARING only while a living process sees to the download."""
        if self.locate(name) is not None:
            return EngineStatus(state=EngineState.READY, detail=f"the model {name} is on disk")
        obstacle = self._obstacle(name)
        if obstacle is None:
            download = self._download(name)
            state = download.state()
            if isinstance(state, DownloadFailure):
                obstacle = _Obstacle(state.code, state.reason)
            elif name in self._in_background or download.under_way():
                return EngineStatus(state=EngineState.PREPARING, detail=_fetching(name, state))
            else:
                obstacle = _Obstacle("model_not_found", f"the model {name} is not on this machine")
        return EngineStatus(state=EngineState.UNAVAILABLE, detail=obstacle.reason, help=obstacle.help_for(name))

    def pull(self, name: str, on_progress: Callable[[DownloadProgress], None] = lambda _: None) -> Path:
        """Fetch the model now, or follow the process that is at it. Raises `EngineUnavailable`."""
        while (found := self.locate(name)) is None:
            obstacle = self._obstacle(name)
            if obstacle is not None:
                raise obstacle.as_error(name)
            if self._run(name, on_progress):
                continue
            state = self._download(name).state()
            if isinstance(state, DownloadProgress):
                on_progress(state)
            time.sleep(POLL_SECONDS)
        return found

    def fetch_in_background(self, name: str) -> None:
        """See to it that the model comes: fetch it, or take over when the process dies that does.

        A hub that cannot be reached is asked again every five minutes. Does nothing for a model that is here already,
        or that cannot be had.
        """
        if name in self._in_background or self.locate(name) is not None or self._obstacle(name) is not None:
            return
        self._download(name).forget_failure()
        thread = threading.Thread(target=self._see_to_it, args=(name,), name=f"fetch-{name}", daemon=True)
        self._in_background[name] = thread
        thread.start()

    def close(self) -> None:
        """Fetch nothing more in the background. The files that have come whole stay for the next attempt."""
        self._closed.set()
        for thread in tuple(self._in_background.values()):
            thread.join()

    def _see_to_it(self, name: str) -> None:
        log = logger.bind(engine=ENGINE, model=name)
        try:
            while self.locate(name) is None:
                state = self._download(name).state()
                if not isinstance(state, DownloadFailure) or time.time() - state.failed_at >= RETRY_SECONDS:
                    self._try(name)
                if self._closed.wait(POLL_SECONDS):
                    return
            log.info("The Whisper model is here.")
        except EngineStopped:
            log.info("The download of the Whisper model is broken off: this process stops. The next one takes it up.")
        except EngineUnavailable as error:
            log.bind(help=error.failure.help).warning("{}", error)
        finally:
            del self._in_background[name]

    def _try(self, name: str) -> None:
        """Raises `EngineUnavailable` where it is no use to try again, `EngineStopped` soon after `close`."""
        try:
            self._run(name, _ProgressLog(name), stop=self._closed)
        except EngineUnavailable as error:
            if error.failure.code != "hub_unreachable":
                raise
            told = logger.bind(engine=ENGINE, model=name, help=error.failure.help, retry_in_seconds=RETRY_SECONDS)
            told.warning("{} It is tried again; HANSARD_OFFLINE=1 stops that.", error)

    def _run(
        self, name: str, on_progress: Callable[[DownloadProgress], None], *, stop: threading.Event | None = None
    ) -> bool:
        """False when another process is at it."""
        download = self._download(name)
        try:
            with download.claim() as is_ours:
                if is_ours:
                    download.run(on_progress, stop=stop)
        except DownloadFailed as error:
            raise _Obstacle(error.code, error.reason).as_error(name) from error
        except OSError as error:
            reason = f"the directory of models cannot be written: {error}"
            raise _Obstacle("models_not_writable", reason).as_error(name) from error
        return is_ours

    def _obstacle(self, name: str) -> _Obstacle | None:
        """Why a model that isn't here cannot be fetched, where that is known beforehand."""
        given = local_directory(name)
        if given is not None:
            lacks = ", ".join(missing_files(given))
            return _Obstacle("model_incomplete", f"{given} is not the directory of a Whisper model: it lacks {lacks}")
        if repository_of(name) is None:
            return _Obstacle("no_such_model", f"there is no Whisper model {name!r}")
        if self._offline:
            return _Obstacle(
                "offline", f"the model {name} is not on this machine, and HANSARD_OFFLINE forbids a download"
            )
        return None

    def _download(self, name: str) -> ModelDownload:
        repository = repository_of(name) or name
        return ModelDownload(
            repository,
            self.directory,
            _folder(repository),
            contact_seconds=self.contact_seconds,
            stall_seconds=self._stall_seconds,
        )

    def _in_hub_cache(self, repository: str) -> Path | None:
        from huggingface_hub import try_to_load_from_cache  # noqa: PLC0415 - imports an HTTP client, seldom needed

        try:
            model = try_to_load_from_cache(repository, "model.bin", cache_dir=self._hub_cache)
        except ValueError:  # a name the hub does not allow
            return None
        if not isinstance(model, str) or missing_files(Path(model).parent):
            return None
        return Path(model).parent


class _ProgressLog:
    """A line for every ten percent."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._logged_percent = -LOG_EVERY_PERCENT

    def __call__(self, progress: DownloadProgress) -> None:
        if progress.percent >= self._logged_percent + LOG_EVERY_PERCENT:
            self._logged_percent = progress.percent
            log = logger.bind(engine=ENGINE, model=self._name, done_bytes=progress.done_bytes)
            log.info("Fetching the Whisper model: {progress}.", progress=progress)


def repository_of(name: str) -> str | None:
    """The hub's name for a model, or None for what names none."""
    if name in REPOSITORIES:
        return REPOSITORIES[name]
    return name if local_directory(name) is None and HUB_NAME.fullmatch(name) else None


def local_directory(name: str) -> Path | None:
    """The path, where the name is one: it looks like it, or it is there."""
    if name in REPOSITORIES:
        return None
    if name.startswith(("/", ".", "~/")) or is_directory(name):
        return Path(name).expanduser()
    return None


def _folder(repository: str) -> str:
    return repository.replace("/", "--")


def _fetching(name: str, state: DownloadProgress | None) -> str:
    return f"asking the hub for the model {name}" if state is None else f"fetching the model {name}, {state}"
