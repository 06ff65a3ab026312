"""docs/openai.md tells of every parameter that OpenAI's client can send, and of none that we don't take."""

import re
from pathlib import Path
from typing import get_args

from openai.types import AudioModel
from openai.types.audio.transcription_create_params import (
    TranscriptionCreateParamsNonStreaming,
    TranscriptionCreateParamsStreaming,
)
from openai.types.audio.translation_create_params import TranslationCreateParams

from hansard.http.openai.models import OPENAI_NAMES
from hansard.http.openai.schemas import TranscriptionForm, TranslationForm

DOCUMENT = (Path(__file__).parents[2] / "docs" / "openai.md").read_text("utf-8")


def documented() -> set[str]:
    section = DOCUMENT.split("## Parameters")[1].split("##")[0]
    return set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE))


def test_every_parameter_of_the_client_is_known_here() -> None:
    sent = {*TranscriptionCreateParamsNonStreaming.__annotations__, *TranscriptionCreateParamsStreaming.__annotations__}
    assert sent == set(TranscriptionForm.model_fields)
    assert set(TranslationCreateParams.__annotations__) == set(TranslationForm.model_fields)


def test_every_parameter_is_documented() -> None:
    assert documented() == set(TranscriptionForm.model_fields)


def test_every_model_of_the_client_is_known_here() -> None:
    assert set(get_args(AudioModel)) == set(OPENAI_NAMES)


def test_every_model_is_documented() -> None:
    assert [name for name in OPENAI_NAMES if f"`{name}`" not in DOCUMENT] == []
