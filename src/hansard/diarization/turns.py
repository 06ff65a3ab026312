"""Turns as every diarizer gives them."""

from collections.abc import Iterable

from hansard.domain.diarization import Turn


def in_order_of_appearance(turns: Iterable[Turn]) -> tuple[Turn, ...]:
    """In order of time, with whatever labels they had made "1", "2" … in the order in which they first speak."""
    ordered = sorted(turns, key=lambda turn: turn.span)
    speakers = dict.fromkeys(turn.speaker for turn in ordered)
    numbers = {speaker: str(number) for number, speaker in enumerate(speakers, start=1)}
    return tuple(Turn(turn.span, numbers[turn.speaker]) for turn in ordered)
