"""What a client of OpenAI's realtime API may say in a transcription session. All else is refused, by its name.

Source: `openai.types.realtime` of OpenAI's SDK 3.54.
"""

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hansard.domain.live import SPEECH_THRESHOLD
from hansard.http.openai.errors import Unsupported
from hansard.http.schemas.fields import LONGEST_PROMPT, LanguageCode, PlainText

SAMPLE_RATE_HZ = 24_000
"""The one that OpenAI's protocol has."""

MOST_KEYWORDS = 100
LONGEST_NAME = 200

Model = TypeVar("Model", bound=BaseModel)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ClientEvent(_Strict):
    type: str
    event_id: Annotated[str, Field(max_length=512)] | None = None


class Append(ClientEvent):
    audio: str


class PcmFormat(_Strict):
    type: Literal["audio/pcm"] = "audio/pcm"
    rate: Literal[24_000] = SAMPLE_RATE_HZ


class Transcription(_Strict):
    model: Annotated[PlainText, Field(min_length=1, max_length=LONGEST_NAME)] | None = None
    language: LanguageCode | None = None
    prompt: Annotated[PlainText, Field(max_length=LONGEST_PROMPT)] | None = None
    keywords: (
        Annotated[list[Annotated[PlainText, Field(max_length=LONGEST_NAME)]], Field(max_length=MOST_KEYWORDS)] | None
    ) = None

    @property
    def hotwords(self) -> str | None:
        return ", ".join(self.keywords) if self.keywords else None


class ServerVad(_Strict):
    """What asks for a response may only be switched off: there is none in a transcription session."""

    type: Literal["server_vad"] = "server_vad"
    threshold: Annotated[float, Field(ge=0.05, le=0.95)] = SPEECH_THRESHOLD
    prefix_padding_ms: Annotated[int, Field(ge=0, le=2_000)] = 300
    silence_duration_ms: Annotated[int, Field(ge=100, le=10_000)] = 500
    create_response: Literal[False] = False
    interrupt_response: Literal[False] = False
    idle_timeout_ms: None = None


class AudioInput(_Strict):
    """`turn_detection` None: the client commits by itself."""

    format: PcmFormat = PcmFormat()
    transcription: Transcription = Transcription()
    turn_detection: ServerVad | None = ServerVad()
    noise_reduction: None = None

    def updated(self, change: "AudioInput") -> "AudioInput":
        """With what `change` says; what it does not mention stays."""
        said = {name: getattr(change, name) for name in change.model_fields_set}
        if "transcription" in said:
            wishes = {name: getattr(change.transcription, name) for name in change.transcription.model_fields_set}
            said["transcription"] = self.transcription.model_copy(update=wishes)
        return self.model_copy(update=said)

    def to_json(self) -> dict[str, Any]:
        turns = self.turn_detection
        told = {"type", "threshold", "prefix_padding_ms", "silence_duration_ms"}
        return {
            "format": self.format.model_dump(),
            "transcription": self.transcription.model_dump(exclude_none=True),
            "turn_detection": turns.model_dump(include=told) if turns else None,
            "noise_reduction": None,
        }


class _Audio(_Strict):
    input: AudioInput = AudioInput()


class Session(_Strict):
    type: Literal["transcription"]
    audio: _Audio = _Audio()
    include: Annotated[list[str], Field(max_length=0)] | None = None


class SessionUpdate(ClientEvent):
    session: Session


def validated(model: type[Model], said: dict[str, Any]) -> Model:
    """Raises `Unsupported`, naming the first field that cannot be honoured."""
    try:
        return model.model_validate(said)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        param = ".".join(map(str, first["loc"]))[:LONGEST_NAME]
        raise Unsupported(
            param, f"{param} cannot be honoured: {first['msg']}", help="docs/live.md lists what can be asked for here."
        ) from error
