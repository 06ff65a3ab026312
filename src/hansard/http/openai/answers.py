"""From a transcript to what OpenAI's API answers, in each of its formats.

Where the API demands a number and the engine gives none, docs/openai.md says what stands there.
"""

import math
import zlib
from collections.abc import Iterable, Iterator, Sequence
from statistics import fmean

from fastapi import Response
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel

from hansard import formats
from hansard.domain.languages import LANGUAGE_NAMES, base_language
from hansard.domain.transcript import DecodingScores, Segment, Transcript, Word
from hansard.domain.transcription import Parameters, Task, Transcription
from hansard.http.openai import schemas
from hansard.http.openai.errors import Unsupported

UNKNOWN_LANGUAGE = "unknown"
UNKNOWN_SPEAKER = "unknown"

LEAST_PROBABILITY = 1e-10
"""Of zero there is no logarithm."""

_NO_SCORES = DecodingScores()


def answer(
    transcription: Transcription, transcript: Transcript, wish: schemas.TranscriptionForm | schemas.TranslationForm
) -> Response:
    """Raises `Unsupported` where the words' probabilities are asked for and the engine gives none."""
    match wish.response_format:
        case "text":
            return PlainTextResponse(f"{transcript.text}\n")
        case "srt" | "vtt":
            # Segments as engines give them may fill the picture: captions are cut as those that are exported.
            document = formats.Document(transcript=transcript, file_name="")
            media_type = formats.FORMATS[wish.response_format].media_type
            return Response(formats.write(document, wish.response_format), media_type=media_type)
        case "verbose_json":
            granularities = (wish.timestamp_granularities if isinstance(wish, schemas.TranscriptionForm) else None) or [
                "segment"
            ]
            return _json(_verbose(transcription, transcript, granularities))
        case "diarized_json":
            return _json(_diarized(transcription, transcript))
        case "json":
            return _json(_plain(transcription, transcript, wish))


def _json(body: BaseModel) -> Response:
    return Response(body.model_dump_json(exclude_none=True), media_type="application/json")


def _plain(
    transcription: Transcription, transcript: Transcript, wish: schemas.TranscriptionForm | schemas.TranslationForm
) -> schemas.Transcription:
    told = schemas.Transcription(
        text=transcript.text, usage=tokens_counted(transcription) or _duration_heard(transcription)
    )
    if isinstance(wish, schemas.TranscriptionForm):
        told.languages = languages(transcript)
        told.logprobs = logprobs(transcript.segments) if wish.wants_logprobs else None
    return told


def tokens_counted(transcription: Transcription) -> schemas.TokenUsage | None:
    """What the provider counted, in all attempts; None where an engine had a part in it that counts no tokens."""
    attempts = [attempt for attempt in transcription.attempts if attempt.recognised_seconds or attempt.input_tokens]
    if not attempts or any(attempt.input_tokens + attempt.output_tokens == 0 for attempt in attempts):
        return None
    input_tokens = sum(attempt.input_tokens for attempt in attempts)
    output_tokens = sum(attempt.output_tokens for attempt in attempts)
    return schemas.TokenUsage(
        input_tokens=input_tokens, output_tokens=output_tokens, total_tokens=input_tokens + output_tokens
    )


def _duration_heard(transcription: Transcription) -> schemas.DurationUsage:
    return schemas.DurationUsage(seconds=_seconds(transcription))


def _seconds(transcription: Transcription) -> float:
    return round(transcription.result.audio_seconds, 3) if transcription.result else 0.0


def languages(transcript: Transcript) -> list[schemas.Language]:
    """Those that are heard in it, the first first; none where the engine does not tell."""
    codes = (segment.language or transcript.language for segment in transcript.segments if segment.text)
    return [schemas.Language(code=code) for code in dict.fromkeys(code for code in codes if code)]


def logprobs(segments: Iterable[Segment]) -> list[schemas.Logprob]:
    """A word each. Raises `Unsupported` where an engine gives none."""
    found: list[schemas.Logprob] = []
    for segment in segments:
        if segment.text and not segment.words:
            raise _no_logprobs(segment.engine)
        for word in segment.words:
            if word.probability is None:
                raise _no_logprobs(segment.engine)
            token = f" {word.text}" if found else word.text
            found.append(schemas.Logprob(token=token, bytes=list(token.encode()), logprob=_logarithm(word.probability)))
    return found


def _no_logprobs(engine: str | None) -> Unsupported:
    return Unsupported(
        "include",
        f"The engine {engine or 'that heard this'} does not tell how sure it is of each word.",
        help="Leave `include` out, or use another model. The header X-Hansard-Transcription-Id names the "
        "transcription: it is kept, and GET /transcriptions/{id} has its text.",
    )


def _logarithm(probability: float) -> float:
    return round(math.log(max(probability, LEAST_PROBABILITY)), 6)


def _verbose(
    transcription: Transcription, transcript: Transcript, granularities: Sequence[str]
) -> schemas.VerboseTranscription:
    parameters = transcription.parameters
    spoken = [segment for segment in transcript.segments if segment.text]
    return schemas.VerboseTranscription(
        task="translate" if parameters.task is Task.TRANSLATE else "transcribe",
        language=_language(transcript, parameters),
        duration=_seconds(transcription),
        text=transcript.text,
        segments=[_segment(number, segment, parameters) for number, segment in enumerate(spoken)]
        if "segment" in granularities
        else None,
        words=[_word(word) for segment in spoken for word in segment.words] if "word" in granularities else None,
        usage=_duration_heard(transcription),
    )


def _language(transcript: Transcript, parameters: Parameters) -> str:
    """Of a translation it is the language that was written."""
    if parameters.task is Task.TRANSLATE:
        return LANGUAGE_NAMES["en"]
    code = transcript.language or parameters.language
    return LANGUAGE_NAMES.get(base_language(code), code) if code else UNKNOWN_LANGUAGE


def _segment(number: int, segment: Segment, parameters: Parameters) -> schemas.VerboseSegment:
    scores = segment.scores or _NO_SCORES
    ratio, silence, temperature = scores.compression_ratio, scores.no_speech_probability, scores.temperature
    return schemas.VerboseSegment(
        id=number,
        seek=round(segment.start_seconds * 100),
        start=round(segment.start_seconds, 3),
        end=round(segment.end_seconds, 3),
        text=segment.text,
        tokens=[],
        temperature=temperature if temperature is not None else parameters.temperature or 0.0,
        avg_logprob=_average_logprob(segment, scores),
        compression_ratio=round(_compression_ratio(segment.text) if ratio is None else ratio, 6),
        no_speech_prob=silence or 0.0,
    )


def _average_logprob(segment: Segment, scores: DecodingScores) -> float:
    """Of its tokens, else of its words, else of the whole."""
    if scores.average_log_probability is not None:
        return scores.average_log_probability
    sure = [word.probability for word in segment.words if word.probability is not None]
    if sure:
        return round(fmean(_logarithm(probability) for probability in sure), 6)
    return 0.0 if segment.confidence is None else _logarithm(segment.confidence)


def _compression_ratio(text: str) -> float:
    """As Whisper works it out. Source: openai/whisper, utils.py."""
    data = text.encode()
    return len(data) / len(zlib.compress(data))


def _word(word: Word) -> schemas.VerboseWord:
    return schemas.VerboseWord(word=word.text, start=round(word.start_seconds, 3), end=round(word.end_seconds, 3))


# ── Speakers ─────────────────────────────────────────────────────────────────────────────────────────────


def _diarized(transcription: Transcription, transcript: Transcript) -> schemas.DiarizedTranscription:
    return schemas.DiarizedTranscription(
        duration=_seconds(transcription),
        text=transcript.text,
        segments=list(diarized_segments(transcript)),
        usage=tokens_counted(transcription) or _duration_heard(transcription),
    )


def diarized_segments(transcript: Transcript) -> Iterator[schemas.DiarizedSegment]:
    letters = {speaker: _letters(number) for number, speaker in enumerate(transcript.speakers)}
    for number, segment in enumerate(segment for segment in transcript.segments if segment.text):
        yield schemas.DiarizedSegment(
            id=f"seg_{number}",
            start=round(segment.start_seconds, 3),
            end=round(segment.end_seconds, 3),
            text=segment.text,
            speaker=letters[segment.speaker] if segment.speaker else UNKNOWN_SPEAKER,
        )


def _letters(number: int) -> str:
    """A … Z, AA, AB …"""
    before, last = divmod(number, 26)
    return (_letters(before - 1) if before else "") + chr(ord("A") + last)
