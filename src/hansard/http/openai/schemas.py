"""What OpenAI's audio API takes and gives, as its own clients send and read it.

Source: `openai.types.audio` of OpenAI's SDK 3.54. What is asked for and cannot be done is refused by its name.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from fastapi import UploadFile
from fastapi.exceptions import RequestValidationError
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from starlette.datastructures import FormData

from hansard.domain.errors import InvalidRequest
from hansard.http.openai.errors import Unsupported
from hansard.http.schemas.fields import LONGEST_PROMPT, LanguageCode, PlainText

MOST_KEYWORDS = 100

_INDEXED = re.compile(r"(\w+)\[(\w*)\]")
"""`include[]` and `include[0]` are members of a list, `chunking_strategy[type]` is a member of an object."""

_LISTS = frozenset(
    {
        "include",
        "keywords",
        "known_speaker_names",
        "known_speaker_references",
        "languages",
        "timestamp_granularities",
    }
)
"""Clients send these with brackets and without: OpenAI's SDK the one, LiteLLM the other."""


# ── Requests ─────────────────────────────────────────────────────────────────────────────────────────────


def _one_keyword(text: str) -> str:
    if "," in text:
        raise ValueError("must not contain commas: each keyword is an entry of its own")
    return text


class AudioForm(BaseModel):
    """What both kinds of request take."""

    model_config = ConfigDict(extra="forbid")

    file: UploadFile = Field(description="The recording: any container and codec that FFmpeg reads, video included.")
    model: Annotated[PlainText, Field(min_length=1, max_length=200)] = Field(
        description="`GET /v1/models` lists them: OpenAI's names, `whisper:<name>`, `pocketsphinx` …"
    )
    prompt: Annotated[PlainText, Field(max_length=LONGEST_PROMPT)] | None = Field(
        default=None, description="Names and context that help the engine spell."
    )
    temperature: float | None = Field(
        default=None, ge=0, le=1, description="0, the default, lets the engine raise it where it finds no sense."
    )


class TranslationForm(AudioForm):
    """A recording, to be written down in English."""

    response_format: Literal["json", "text", "srt", "verbose_json", "vtt"] = "json"


class TranscriptionForm(AudioForm):
    """A recording, and how it is to be written down."""

    response_format: Literal["json", "text", "srt", "verbose_json", "vtt", "diarized_json"] = "json"
    language: LanguageCode | None = Field(default=None, description="ISO 639-1 code of the language spoken.")
    languages: list[LanguageCode] | None = Field(
        default=None, max_length=100, description="The same, as a list of one."
    )
    keywords: (
        list[Annotated[PlainText, AfterValidator(_one_keyword), Field(min_length=1, max_length=LONGEST_PROMPT)]] | None
    ) = Field(default=None, max_length=MOST_KEYWORDS, description="Words and names to listen for.")
    timestamp_granularities: list[Literal["word", "segment"]] | None = Field(
        default=None, max_length=2, description="With `verbose_json`. Default: `segment`."
    )
    include: list[Literal["logprobs"]] | None = Field(
        default=None, max_length=1, description="With `json`: how sure the engine is of each word."
    )
    stream: bool = Field(default=False, description="Send the text as it is recognised, as server-sent events.")
    chunking_strategy: str | dict[str, str] | None = Field(
        default=None,
        description="Recordings are always cut at silences: `auto` is what is done in any case. So is `server_vad`, "
        "whose fields that would tune it are refused.",
    )
    known_speaker_names: list[str] | None = Field(default=None, description="Refused: speakers are told apart only.")
    known_speaker_references: list[str] | None = Field(default=None, description="Refused, as `known_speaker_names`.")

    @property
    def spoken_language(self) -> str | None:
        return self.languages[0] if self.languages else self.language

    @property
    def wants_logprobs(self) -> bool:
        return bool(self.include)

    def require_sense(self) -> None:
        """Raises `Unsupported` for what no engine here can do, and for what does not go together."""
        if self.known_speaker_names or self.known_speaker_references:
            raise Unsupported(
                "known_speaker_references" if self.known_speaker_references else "known_speaker_names",
                "Speakers are told apart, but not recognised by samples of their voices.",
                help="Leave it out; speakers can be given names afterwards, see GET /docs.",
            )
        if self.languages and (self.language or len(self.languages) > 1):
            raise Unsupported(
                "languages", "A recording is heard in one language.", help="Name one, or none to have it detected."
            )
        _require_untuned(self.chunking_strategy)
        _require_format(self.timestamp_granularities, "timestamp_granularities", self.response_format, ["verbose_json"])
        _require_format(self.include, "include", self.response_format, ["json"])
        _require_format(self.stream, "stream", self.response_format, ["json", "text", "diarized_json"])


def _require_untuned(strategy: str | Mapping[str, str] | None) -> None:
    if strategy is None or strategy == "auto":
        return
    if not isinstance(strategy, Mapping) or strategy.get("type") != "server_vad":
        raise Unsupported("chunking_strategy", "A chunking_strategy is auto, or has the type server_vad.")
    for name in sorted(set(strategy) - {"type"}):
        raise Unsupported(
            f"chunking_strategy[{name}]",
            f"Where speech is cut is not up to requests here: {name} would change nothing.",
            help="Leave it out: recordings are always cut at silences.",
        )


def _require_format(given: object, param: str, format: str, formats: Iterable[str]) -> None:
    if given and format not in formats:
        raise Unsupported(
            param, f"{param} goes with response_format {' or '.join(formats)}, not with {format}.", help="Change one."
        )


def fields_of(form: FormData) -> dict[str, Any]:
    """The form as an object: `x[]` and `x[0]` are lists, `x[y]` is an object, and an empty field was not filled in.

    Raises `InvalidRequest` for a field that is given twice and is no list.
    """
    fields: dict[str, Any] = {}
    for key, value in form.multi_items():
        if value == "":
            continue
        indexed = _INDEXED.fullmatch(key)
        name, member = indexed.groups() if indexed else (key, "")
        if name in _LISTS:
            fields.setdefault(name, []).append(value)
        elif member and isinstance(fields.setdefault(name, {}), dict):
            fields[name][member] = value
        elif name in fields:
            raise InvalidRequest(f"The field {name} may be given once.")
        else:
            fields[name] = value
    return fields


def validated_transcription(form: FormData) -> TranscriptionForm:
    """Raises `RequestValidationError` and `InvalidRequest`, naming the field."""
    try:
        wish = TranscriptionForm.model_validate(fields_of(form))
    except ValidationError as error:
        raise _named(error) from error
    wish.require_sense()
    return wish


def validated_translation(form: FormData) -> TranslationForm:
    """Raises `RequestValidationError` and `InvalidRequest`, naming the field."""
    try:
        return TranslationForm.model_validate(fields_of(form))
    except ValidationError as error:
        raise _named(error) from error


def _named(error: ValidationError) -> RequestValidationError:
    found = error.errors(include_url=False, include_input=False, include_context=False)
    return RequestValidationError([{**each, "loc": ("body", *each["loc"])} for each in found])


# ── Answers ──────────────────────────────────────────────────────────────────────────────────────────────


class DurationUsage(BaseModel):
    """What was heard."""

    type: Literal["duration"] = "duration"
    seconds: float


class TokenUsage(BaseModel):
    """What a provider counted that is paid by tokens."""

    type: Literal["tokens"] = "tokens"
    input_tokens: int
    output_tokens: int
    total_tokens: int


class Language(BaseModel):
    code: str


class Logprob(BaseModel):
    """A word in place of a token, with the space before it; `logprob` is to base e."""

    token: str
    bytes: list[int]
    logprob: float


class Transcription(BaseModel):
    text: str
    languages: list[Language] | None = Field(default=None, description="Those heard; empty where none is known.")
    logprobs: list[Logprob] | None = None
    usage: DurationUsage | TokenUsage


class VerboseSegment(BaseModel):
    id: int
    seek: int = Field(description="Where the segment begins, in hundredths of a second.")
    start: float
    end: float
    text: str
    tokens: list[int] = Field(description="Always empty: engines keep their tokens to themselves.")
    temperature: float
    avg_logprob: float
    compression_ratio: float
    no_speech_prob: float


class VerboseWord(BaseModel):
    word: str
    start: float
    end: float


class VerboseTranscription(BaseModel):
    task: Literal["transcribe", "translate"]
    language: str = Field(description="Its name in English; `unknown` where the engine does not tell.")
    duration: float
    text: str
    segments: list[VerboseSegment] | None = None
    words: list[VerboseWord] | None = None
    usage: DurationUsage


class DiarizedSegment(BaseModel):
    type: Literal["transcript.text.segment"] = "transcript.text.segment"
    id: str
    start: float
    end: float
    text: str
    speaker: str = Field(description="A, B …, in the order in which they first speak.")


class DiarizedTranscription(BaseModel):
    task: Literal["transcribe"] = "transcribe"
    duration: float
    text: str
    segments: list[DiarizedSegment]
    usage: DurationUsage | TokenUsage


class TextDelta(BaseModel):
    type: Literal["transcript.text.delta"] = "transcript.text.delta"
    delta: str
    logprobs: list[Logprob] | None = None


class TextDone(BaseModel):
    type: Literal["transcript.text.done"] = "transcript.text.done"
    text: str
    languages: list[Language]
    logprobs: list[Logprob] | None = None
    usage: TokenUsage | None = Field(default=None, description="Only in tokens: the API knows no other here.")


class Model(BaseModel):
    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str


class ModelList(BaseModel):
    object: Literal["list"] = "list"
    data: list[Model]
