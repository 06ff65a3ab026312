"""People who are told: by mail, in a chat, on a telephone."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Level(StrEnum):
    INFO = "info"
    SUCCESS = "success"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """A few words to one of the recipients that the settings name. It never holds anything of a transcript."""

    recipient: str
    title: str
    body: str
    level: Level


class Notifier(Protocol):
    @property
    def recipients(self) -> tuple[str, ...]:
        """The names of all there are. They tell nothing of how they are reached."""
        ...

    def send(self, notification: Notification) -> None:
        """Raises `NotificationFailed`, which may be tried again; `UnknownRecipient` where the settings name that one
        no more, and `ConfigurationError` where they name it in a way that cannot be understood.
        """
        ...
