"""What fields of many requests and answers have in common: which texts, moments, languages and labels they take.

Every list comes in pages, which are asked for alike.
"""

import json
import re
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

EXAMPLE_AUDIO_ID = "5f0c9a52-6d0e-4c67-9d9c-0d5b3c1f7a10"
EXAMPLE_ID = "8d6f3c1e-2a4b-4f6e-9b7d-1c2e3f4a5b6c"

LANGUAGE_CODE = re.compile("[a-z]{2,3}(-[A-Za-z0-9]+)*")
"""The shape of BCP 47; whether an engine knows the language, it says itself."""

LONGEST_PROMPT = 2000
MOST_METADATA_KEYS = 20


def _storable(text: str) -> str:
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("must not contain NUL characters or lone surrogates")
    return text


def _language_code(text: str) -> str:
    if not LANGUAGE_CODE.fullmatch(text):
        raise ValueError("must be a language code such as en or pt-BR")
    return text


def _from_json(value: object) -> object:
    """A form has no objects: there, metadata comes as a JSON string."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        raise ValueError("must be a JSON object of strings") from error


def _in_utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


Moment = Annotated[datetime, AfterValidator(_in_utc)]
PlainText = Annotated[str, AfterValidator(_storable)]
LanguageCode = Annotated[
    str,
    AfterValidator(_language_code),
    Field(max_length=35, json_schema_extra={"pattern": f"^{LANGUAGE_CODE.pattern}$"}),
]
Metadata = Annotated[
    dict[
        Annotated[PlainText, Field(min_length=1, max_length=64)],
        Annotated[PlainText, Field(max_length=500)],
    ],
    BeforeValidator(_from_json, json_schema_input_type=dict[str, str]),
]

MetadataLabel = Annotated[PlainText, Field(max_length=565, pattern="^[^:]{1,64}:")]
"""A label to look for, as `key:value`."""


def labels(given: list[MetadataLabel]) -> dict[str, str]:
    return dict(label.split(":", 1) for label in given)


class PageQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    limit: int = Field(default=50, ge=1, le=200, description="Items on a page.")
    cursor: Annotated[PlainText, Field(max_length=500)] | None = Field(
        default=None, description="`next_cursor` of the page before. Default: the first page."
    )
