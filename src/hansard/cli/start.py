"""What commands do first: read the settings, set up the log."""

from loguru import logger

from hansard import settings as settings_module
from hansard.observability import logging
from hansard.settings import Settings


def start(process: str) -> Settings:
    """For a command that stays: its log is what it has to say. Raises `SettingsError`."""
    settings = settings_module.load()
    logging.configure(process=process, level=settings.log_level, format=settings.log_format)
    return settings


def start_quietly() -> Settings:
    """For a command that answers: only warnings, unless LOG_LEVEL asks for more. Raises `SettingsError`."""
    settings = settings_module.load()
    given = settings_module.origin("log_level") is not settings_module.Origin.DEFAULT
    logging.configure(process="cli", level=settings.log_level if given else "WARNING", format=settings.log_format)
    return settings


def warn_of_unknown_variables() -> None:
    """A misspelt setting would otherwise be ignored in silence."""
    for name, meant in settings_module.unknown_variables().items():
        hint = f" Did you mean {meant}?" if meant else ""
        logger.warning("There is no setting {}; it is ignored.{}", name, hint)
