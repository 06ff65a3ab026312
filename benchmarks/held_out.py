"""What a diarizer's settings are worth on recordings that they were not chosen on.

For each recording, that setting is taken which is best on all the others in which none of its voices speaks.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Setting = TypeVar("Setting")


@dataclass(frozen=True, slots=True)
class Errors:
    """Seconds of speech that are missed, made up or somebody else's, of those that there are."""

    wrong_seconds: float = 0.0
    speech_seconds: float = 0.0

    def __add__(self, other: "Errors") -> "Errors":
        return Errors(self.wrong_seconds + other.wrong_seconds, self.speech_seconds + other.speech_seconds)

    @property
    def rate(self) -> float:
        return self.wrong_seconds / self.speech_seconds if self.speech_seconds else 0.0


@dataclass(frozen=True, slots=True)
class Judged(Generic[Setting]):
    """A recording whose speakers are known, with the errors that each setting makes in it."""

    voices: frozenset[str]
    errors: Mapping[Setting, Errors]


def chosen_elsewhere(judged: Judged[Setting], among: Iterable[Judged[Setting]]) -> Setting:
    """The best for all of `among` that have no voice of `judged`; of several, that in their middle.

    Raises `ValueError` when there are no such recordings.
    """
    others = [other for other in among if not other.voices & judged.voices]
    if not others:
        raise ValueError("every other recording has a voice of this one")
    totals = {setting: total(others, setting).rate for setting in judged.errors}
    least = min(totals.values())
    best = [setting for setting, rate in totals.items() if rate <= least + 1e-9]
    return best[(len(best) - 1) // 2]


def total(judged: Sequence[Judged[Setting]], setting: Setting) -> Errors:
    return sum((one.errors[setting] for one in judged), Errors())
