"""What clients hand in, and what may truthfully come of it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from random import Random

from tests.audio_files import broken_files, clip, encoded, files_broken_at_their_end, pcm_of, silence, wav

FIVE = "one two three four five"
CALL_ME_BACK = "please call me back tomorrow morning"
PAUSE_SECONDS = 1.5


@dataclass(frozen=True)
class Recording:
    """`words` are what PocketSphinx hears in it, None where that is not known; nobody speaks where they are empty.
    Nobody else sends the bytes of one that is `unique`.
    """

    name: str
    data: bytes
    words: str | None = ""
    unique: bool = False

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()


@dataclass(frozen=True, eq=False)
class Order:
    """A wish with its truths: whether it may complete, and the codes of the failures that would be no lie."""

    name: str
    recording: Recording
    fields: Mapping[str, str] = field(default_factory=dict)
    completes: bool = True
    failures: frozenset[str] = frozenset()


PROVIDER_FAILURES = frozenset(
    {
        *("engine_rate_limited", "engine_failed", "engine_timed_out", "engine_not_authenticated"),
        *("connection_failed", "bad_answer", "circuit_open"),
    }
)
CRASHES = frozenset({"engine_crashed"})
"""Of a good file, where the process of the last engine of the chain was killed at each try."""

PAUSED = frozenset({"circuit_open"})
"""Of any file, where others made an engine fail too often."""

MOCK_FAILURES = {
    "fail-client": {"engine_rejected"},
    "fail-server": {"engine_failed", "circuit_open"},
    "fail-rate-limit": {"engine_rate_limited", "circuit_open"},
    "fail-crash": {"engine_crashed", "circuit_open"},
}

REFUSED = tuple(Recording(name, broken_files()[name][0]) for name in ("notes.mp3", "nothing.wav", "cut.wav"))
"""Refused at the door: never acknowledged."""


def an_order(random: Random) -> Order:
    """Any, the ones that real engines do most often."""
    speech = _speech(random)
    orders = {
        Order("auto", speech, failures=CRASHES): 30,
        Order("openai", speech, {"engine": "openai"}, failures=PROVIDER_FAILURES): 10,
        Order("openai, with fallback", speech, {"engine": "openai", "fallback": "true"}, failures=CRASHES): 10,
        Order("pocketsphinx", speech, {"engine": "pocketsphinx"}, failures=CRASHES): 12,
        Order("mock", speech, {"engine": "mock"}, failures=PAUSED): 5,
        Order("mock, slow", speech, {"engine": "mock", "model": "slow"}, failures=PAUSED): 12,
        _failing(random, speech): 6,
        Order("silence", _silence(random), completes=False, failures=frozenset({"no_speech"})): 4,
        Order("damaged", _damaged(), completes=False, failures=frozenset({"truncated_audio"})): 3,
    }
    (order,) = random.choices(list(orders), list(orders.values()))
    return order


def _failing(random: Random, recording: Recording) -> Order:
    model = random.choice(list(MOCK_FAILURES))
    fields = {"engine": "mock", "model": model}
    return Order(f"mock, {model}", recording, fields, completes=False, failures=frozenset(MOCK_FAILURES[model]))


def _speech(random: Random) -> Recording:
    kind = random.choice(["clip", "clip", "short", "long"])
    if kind == "clip":
        name = random.choice(["five.wav", "video.mp4", "call_me_back.mp3", "call_me_back.opus", "call_me_back.m4a"])
        return Recording(name, clip(name), CALL_ME_BACK if name.startswith("call") else FIVE)
    # A tail of silence of any length makes the bytes ones of its own.
    times, tail = (1 if kind == "short" else random.randint(2, 4)), silence(PAUSE_SECONDS + random.random())
    pcm = (pcm_of("five.wav") + silence(PAUSE_SECONDS)) * times + tail
    words = " ".join([FIVE] * times)
    if kind == "short":
        return Recording("short.wav", wav(pcm), words, unique=True)
    return Recording("long.flac", encoded(pcm, container="flac", codec="flac"), words, unique=True)


def _silence(random: Random) -> Recording:
    return Recording("silence.wav", wav(silence(1 + random.random())))


def _damaged() -> Recording:
    return Recording("cut.mp3", files_broken_at_their_end()["cut.mp3"][0], None)
