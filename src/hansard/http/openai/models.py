"""What the names of models mean in OpenAI's API.

    auto, hansard, and OpenAI's own names    whatever does the work best here: the chain, with its fallbacks
    whisper, whisper:large-v3-turbo          that engine alone, with its default model or the one named
    a name of HANSARD_OPENAI_API_MODELS      what stands there for it; this goes before all others

Naming an engine is a wish for no other: a result by a lesser one would look the same.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from hansard.application.ports.engines import ANYTHING, EngineState, SpeechEngine
from hansard.domain.errors import ConfigurationError, EngineError
from hansard.domain.transcription import AUTO, Parameters
from hansard.http.openai.errors import UnknownModel
from hansard.http.openai.schemas import Model

OPENAI_NAMES = (
    "whisper-1",
    "gpt-transcribe",
    "gpt-4o-transcribe",
    "gpt-4o-mini-transcribe",
    "gpt-4o-mini-transcribe-2025-12-15",
    "gpt-4o-transcribe-diarize",
)
"""Source: `openai.types.AudioModel` of OpenAI's SDK 3.54."""

CHAIN_NAMES = (AUTO, "hansard")

OWNER = "hansard"

CREATED = 1_767_225_600
"""2026-01-01. When a model was made is not known here, but the field is a must."""

LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class Models:
    """`names` are the setting's. `check` raises what `Submit.check` raises."""

    engines: Mapping[str, SpeechEngine]
    names: Mapping[str, str]
    check: Callable[[Parameters], object]

    def __post_init__(self) -> None:
        for name, meaning in self.names.items():
            if _of_engine(meaning).engine not in {AUTO, *self.engines}:
                raise ConfigurationError(
                    f"HANSARD_OPENAI_API_MODELS says that {name!r} is {meaning!r}, but no engine is called so.",
                    help=f"Begin it with one of: {', '.join([AUTO, *self.engines])}; as in whisper:small.",
                )

    def parameters(self, name: str) -> Parameters:
        """The engine and the model that `name` asks for. Raises `UnknownModel`, listing what there is."""
        if name in self.names:
            return _of_engine(self.names[name])
        if name in CHAIN_NAMES or name in OPENAI_NAMES:
            return Parameters()
        wanted = _of_engine(name)
        if wanted.engine not in self.engines or wanted.model == "":
            raise UnknownModel(
                f"There is no model {name!r} here.", help=f"There are: {', '.join(model.id for model in self.all())}."
            )
        return wanted

    def get(self, name: str) -> Model:
        """Raises `UnknownModel`, with the engine's reason where that can't use it here."""
        wanted = self.parameters(name)
        try:
            self.check(wanted)
        except EngineError as error:
            raise UnknownModel(error.failure.message, help=error.failure.help) from error
        return _model(name, OWNER if name in self.names or wanted.engine == AUTO else wanted.engine)

    def all(self) -> list[Model]:
        """Those that can be used now. An engine may take other models than its default: ask for one by its name."""
        chain = [_model(name, OWNER) for name in dict.fromkeys([*self.names, *CHAIN_NAMES, *OPENAI_NAMES])]
        return [*chain, *self._of_engines()]

    def _of_engines(self) -> Iterator[Model]:
        for name, engine in self.engines.items():
            if engine.status().state is EngineState.UNAVAILABLE:
                continue
            yield _model(name, name)
            try:
                models = dict.fromkeys([engine.model_for(ANYTHING), *engine.models_in_memory])
            except EngineError:
                continue
            for model in models:
                yield _model(f"{name}:{model}", name)


def _of_engine(name: str) -> Parameters:
    engine, colon, model = name.partition(":")
    wanted = Parameters(engine=engine)
    return replace(wanted, model=model) if colon else wanted


def _model(name: str, owner: str) -> Model:
    return Model(id=name, created=CREATED, owned_by=owner)
