"""What each of OpenAI's transcription models takes, and so how it is asked.

Hotwords go where the model listens for them: `gpt-transcribe` has a field for keywords, the other models hear them
at the end of the prompt, which is the part Whisper heeds most. `gpt-4o-transcribe-diarize` has neither and refuses.

Only `whisper-1` translates, at an endpoint of its own, which gives no word times and finds out for itself what language
is spoken; it is not told. OpenAI means to shut that model down on 2027-02-26; other servers have both.

Source: OpenAI's API reference, "Create transcription" and "Create translation", and its speech-to-text guide, as of
November 2026.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from hansard.application.ports.engines import Recognition
from hansard.domain.costs import Price
from hansard.domain.errors import EngineRejected, EngineUnavailable
from hansard.domain.languages import base_language
from hansard.domain.transcription import Task
from hansard.engines.openai_answers import LANGUAGE_CODES

NAME = "openai"
TRANSLATING_MODEL = "whisper-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """What a model takes, and the `response_format` that tells most."""

    response_format: str
    options: Mapping[str, object] = field(default_factory=dict[str, object])
    takes_prompt: bool = True
    takes_keywords: bool = False
    """`keywords`, and `languages` in place of `language`."""


_WHISPER = Dialect(response_format="verbose_json", options={"timestamp_granularities": ["word", "segment"]})
_GPT_4O = Dialect(response_format="json", options={"include": ["logprobs"]})
DIALECTS: Mapping[str, Dialect] = MappingProxyType(
    {
        "whisper-1": _WHISPER,
        "gpt-transcribe": Dialect(response_format="json", takes_keywords=True),
        "gpt-4o-transcribe": _GPT_4O,
        "gpt-4o-mini-transcribe": _GPT_4O,
        "gpt-4o-mini-transcribe-2025-12-15": _GPT_4O,
        "gpt-4o-transcribe-diarize": Dialect(
            response_format="diarized_json", options={"chunking_strategy": "auto"}, takes_prompt=False
        ),
    }
)

OPENAI_PRICES: Mapping[str, Price] = MappingProxyType(
    {
        f"{NAME}:{model}": Price(per_audio_minute=dollars)
        for model, dollars in {
            "whisper-1": 0.006,
            "gpt-4o-transcribe": 0.006,
            "gpt-4o-mini-transcribe": 0.003,
            "gpt-4o-mini-transcribe-2025-12-15": 0.003,
            "gpt-4o-transcribe-diarize": 0.006,
        }.items()
    }
)
"""OpenAI's own, or its estimate for a minute where tokens are paid, in US dollars, as of October 2025."""

SET_A_MODEL = f"Set HANSARD_OPENAI_MODEL to one of: {', '.join(DIALECTS)}."


def model_for(request: Recognition, *, default: str, at_openai: bool) -> str:
    """The model that can do what is asked. Another server than OpenAI may have models of any name, for anything.

    Raises `EngineRejected` where what the request says is at fault, `EngineUnavailable` where the settings are.
    """
    translates = request.task is Task.TRANSLATE
    ours = TRANSLATING_MODEL if translates and at_openai else default
    model = request.model or ours
    if at_openai and model not in DIALECTS:
        is_ours = request.model is None
        raise (EngineUnavailable if is_ours else EngineRejected)(
            f"OpenAI has no transcription model called {model!r}.",
            engine=NAME,
            code="model_not_found" if is_ours else "unknown_model",
            help=SET_A_MODEL if is_ours else f"Use one of: {', '.join(DIALECTS)}.",
        )
    if at_openai and translates and model != TRANSLATING_MODEL:
        raise EngineRejected(
            f"{model} does not translate.",
            engine=NAME,
            code="translation_not_supported",
            help=f"Leave `model` out, or name {TRANSLATING_MODEL}.",
        )
    if not _dialect(model).takes_prompt and (request.prompt or request.hotwords):
        raise EngineRejected(
            f"{model} takes no prompt and no hotwords.",
            engine=NAME,
            code="prompt_not_supported",
            help="Leave them out, or use another model.",
        )
    language = _language(request)
    if at_openai and language is not None and language not in LANGUAGE_CODES.values():
        raise EngineRejected(
            f"OpenAI's models do not understand {request.language!r}.",
            engine=NAME,
            code="unsupported_language",
            help="Give an ISO 639-1 code such as `de`, or none to have it detected.",
        )
    return model


def form_fields(model: str, request: Recognition) -> dict[str, object]:
    """The form's fields beside the file and the model."""
    dialect = _dialect(model)
    fields: dict[str, object] = {"response_format": dialect.response_format}
    prompt = " ".join(filter(None, (request.prompt, request.hotwords)))
    if request.task is Task.TRANSLATE:
        fields |= {"prompt": prompt}
    elif dialect.takes_keywords:
        keywords = [word.strip() for word in (request.hotwords or "").split(",")]
        language = _language(request)
        fields |= {
            "keywords": [word for word in keywords if word],
            "languages": [language] if language else None,
            "prompt": request.prompt,
        }
    else:
        fields |= {**dialect.options, "language": _language(request), "prompt": prompt}
    temperature = {} if request.temperature is None else {"temperature": request.temperature}
    return {**{field: value for field, value in fields.items() if value}, **temperature}


def _dialect(model: str) -> Dialect:
    return DIALECTS.get(model, _WHISPER)


def _language(request: Recognition) -> str | None:
    """The API's code: "pt" for "pt-BR"."""
    return base_language(request.language) if request.language else None
