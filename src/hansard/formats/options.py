"""How a file is to be written, where the format leaves a choice.

The rules for captions are those that broadcasters and streaming services publish. They are guidelines for people who
may shorten what was said; a transcript may not. So text is cut, never left out, and a cue of somebody who talks
faster than anybody reads is shown for as long as there is room.

Sources: Netflix, "Timed Text Style Guide: General Requirements", "Subtitle Timing Guidelines", and the guides for
English, Japanese, Simplified Chinese, Korean and Thai; BBC, "Subtitle Guidelines", 1.2.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from types import MappingProxyType

from hansard.domain.errors import InvalidRequest

LIMITS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "max_line_characters": (8, 200),
        "max_lines": (1, 5),
        "max_characters_per_second": (1, 100),
        "min_cue_seconds": (0, 10),
        "max_cue_seconds": (0.5, 60),
        "min_gap_seconds": (0, 2),
    }
)
"""The least and the most that each rule for captions may be set to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """None leaves it to the format. What a format has no use for is refused, not ignored.

    `times` writes when each paragraph begins; `speakers` who says it; `words` marks each word's time inside a cue, for
    players that light words up as they are said (karaoke).

    `fit` cuts the text into cues that can be read, by the rules that follow; see `CaptionRules`. It is on unless turned
    off: engines give segments of up to half a minute and hundreds of characters, and a player shows such a cue as a
    wall of text over the picture. Off, each segment is a cue, in one line, with the times that the engine gave it.
    """

    times: bool | None = None
    speakers: bool | None = None
    words: bool | None = None
    fit: bool | None = None
    max_line_characters: int | None = None
    max_lines: int | None = None
    max_characters_per_second: float | None = None
    min_cue_seconds: float | None = None
    max_cue_seconds: float | None = None
    min_gap_seconds: float | None = None

    @property
    def given(self) -> frozenset[str]:
        return frozenset(name for name, value in asdict(self).items() if value is not None)

    def only(self, names: frozenset[str]) -> "Options":
        return replace(self, **dict.fromkeys(self.given - names))


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptionRules:
    """Limits of a cue. The defaults are those for Latin, Greek, Cyrillic and other alphabets.

    - `max_line_characters`: 42 (Netflix). A word longer than that is not broken. A speaker's name counts.
    - `max_lines`: 2 (Netflix, BBC).
    - `max_characters_per_second`: 17 (Netflix, adult programmes in most languages). A cue stays that long after the
      last word, if the next one leaves room.
    - `min_cue_seconds`: 5/6 (Netflix); as the reading speed, if there is room.
    - `max_cue_seconds`: 7 (Netflix).
    - `min_gap_seconds`: 2 frames of film (Netflix), so that the eye sees that the text has changed. None where people
      talk at once: their cues overlap, as they did.
    """

    max_line_characters: int = 42
    max_lines: int = 2
    max_characters_per_second: float = 17.0
    min_cue_seconds: float = 5 / 6
    max_cue_seconds: float = 7.0
    min_gap_seconds: float = 2 / 24

    @classmethod
    def of(cls, options: Options, text: str) -> "CaptionRules":
        """The rules for captions of `text`. Raises `InvalidRequest` for those that contradict each other."""
        given = {each.name: getattr(options, each.name) for each in fields(cls)}
        rules = replace(_usual(text), **{name: value for name, value in given.items() if value is not None})
        if rules.min_cue_seconds <= rules.max_cue_seconds:
            return rules
        if options.min_cue_seconds is None:
            return replace(rules, min_cue_seconds=rules.max_cue_seconds)
        if options.max_cue_seconds is None:
            return replace(rules, max_cue_seconds=rules.min_cue_seconds)
        raise InvalidRequest("The rule `min_cue_seconds` must not be above `max_cue_seconds`.")


CAPTION_OPTIONS = frozenset({"fit", *LIMITS})

_WRITINGS: tuple[tuple[re.Pattern[str], CaptionRules], ...] = (
    (re.compile("[\u3040-\u30ff]"), CaptionRules(max_line_characters=13, max_characters_per_second=4)),
    (re.compile("[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"),
     CaptionRules(max_line_characters=16, max_characters_per_second=9)),
    (re.compile("[\uac00-\ud7af]"), CaptionRules(max_line_characters=16, max_characters_per_second=12)),
    (re.compile("[\u0e00-\u0e7f]"), CaptionRules(max_line_characters=35)),
)  # fmt: skip
"""Kana, Chinese characters, Hangul, Thai; with the limits that Netflix has for them."""


def check_limits(options: Options) -> None:
    """Raises `InvalidRequest` for a number outside `LIMITS`."""
    for name, (least, most) in LIMITS.items():
        value = getattr(options, name)
        if value is not None and not least <= value <= most:
            raise InvalidRequest(f"The rule `{name}` must be from {least:g} to {most:g}.")


def _usual(text: str) -> CaptionRules:
    """By the script, for engines often tell no language. Japanese is that with kana: most of it is not."""
    for script, rules in _WRITINGS:
        if 10 * len(script.findall(text)) > sum(map(str.isalpha, text)):
            return rules
    return CaptionRules()
