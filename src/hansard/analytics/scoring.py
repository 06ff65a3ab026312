"""Counts errors as the field does: jiwer on texts normalised by Whisper's rules, pyannote.metrics on speakers.

Whisper's normaliser (https://arxiv.org/abs/2212.04356, appendix C) takes away case, punctuation, fillers and spellings,
so that engines are compared by what they understood, not by how they write it down. There is one for English, and a
basic one for all other languages, where words of scripts without spaces are single characters.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportMissingImports=false

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from importlib.metadata import version
from importlib.util import find_spec
from typing import TYPE_CHECKING, cast

import jiwer
from whisper_normalizer.basic import BasicTextNormalizer
from whisper_normalizer.english import EnglishTextNormalizer

from hansard.domain.benchmark import SpeakerErrors, TextErrors
from hansard.domain.diarization import Turn
from hansard.domain.languages import base_language
from hansard.domain.transcript import LANGUAGES_WRITTEN_WITHOUT_SPACES

if TYPE_CHECKING:
    from pyannote.core import Annotation

COLLAR_SECONDS = 0.25
"""As NIST scores: that much before and after each change of speaker is not judged."""

_Normalise = Callable[[str], str]


class WhisperScorer:
    """A `Scorer`. Speakers need pyannote.metrics, which is large and therefore optional."""

    @property
    def name(self) -> str:
        return f"jiwer {version('jiwer')}, whisper-normalizer {version('whisper-normalizer')}"

    @property
    def knows_speakers(self) -> bool:
        return find_spec("pyannote") is not None and find_spec("pyannote.metrics") is not None

    def text_errors(self, reference: str, heard: str, language: str | None) -> TextErrors:
        normalise = self._normaliser(language)
        said, understood = (" ".join(normalise(text).split()) for text in (reference, heard))
        if not said:  # jiwer refuses that; there may be nothing left, of "Hm." for example
            return TextErrors(
                words=0, word_errors=len(understood.split()), characters=0, character_errors=len(understood)
            )
        words, characters = jiwer.process_words(said, understood), jiwer.process_characters(said, understood)
        return TextErrors(
            words=words.hits + words.substitutions + words.deletions,
            word_errors=words.substitutions + words.deletions + words.insertions,
            characters=characters.hits + characters.substitutions + characters.deletions,
            character_errors=characters.substitutions + characters.deletions + characters.insertions,
        )

    def speaker_errors(
        self, reference: Sequence[Turn], heard: Sequence[Turn], audio_seconds: float | None
    ) -> SpeakerErrors:
        from pyannote.core import Segment, Timeline  # noqa: PLC0415 - optional, and takes a second
        from pyannote.metrics.diarization import DiarizationErrorRate  # noqa: PLC0415

        rate = DiarizationErrorRate(collar=2 * COLLAR_SECONDS)
        end_seconds = audio_seconds or max((turn.span.end_seconds for turn in reference), default=0.0)
        judged = Timeline([Segment(0, end_seconds)])
        score = cast("dict[str, float]", rate(_annotation(reference), _annotation(heard), uem=judged, detailed=True))
        return SpeakerErrors(
            speaker_seconds=score["total"],
            error_seconds=score["missed detection"] + score["false alarm"] + score["confusion"],
        )

    def _normaliser(self, language: str | None) -> _Normalise:
        base = base_language(language) if language else None
        if base == "en":
            return self._english
        return self._basic_of_characters if base in LANGUAGES_WRITTEN_WITHOUT_SPACES else self._basic

    @cached_property
    def _english(self) -> _Normalise:
        return EnglishTextNormalizer()

    @cached_property
    def _basic(self) -> _Normalise:
        return BasicTextNormalizer()

    @cached_property
    def _basic_of_characters(self) -> _Normalise:
        return BasicTextNormalizer(split_letters=True)


def _annotation(turns: Iterable[Turn]) -> "Annotation":
    from pyannote.core import Annotation, Segment  # noqa: PLC0415

    annotation = Annotation()
    for number, turn in enumerate(turns):
        annotation[Segment(turn.span.start_seconds, turn.span.end_seconds), number] = turn.speaker
    return annotation
