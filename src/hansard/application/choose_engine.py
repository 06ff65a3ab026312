"""Find the engine for a job: the one asked for, or the first of the chain that can do it here and now."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hansard.application.ports import EngineState, EngineStatus, Recognition, Sleep, SpeechEngine
from hansard.domain.errors import EngineError, EngineUnavailable
from hansard.domain.transcription import AUTO

POLL_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class ChooseEngine:
    """`chain` names engines of `engines`, best first. An engine whose model is still being fetched is waited for:
    a job should not settle for less because it came early.
    """

    engines: Mapping[str, SpeechEngine]
    chain: tuple[str, ...]
    sleep: Sleep

    def __call__(self, name: str, request: Recognition, *, on_wait: Callable[[str], None]) -> SpeechEngine:
        """Raises the `EngineError` of the last candidate when none will do. `on_wait` hears what is waited for."""
        refusals: list[EngineError] = []
        for candidate in self.chain if name == AUTO else (name,):
            try:
                return self._ready(self._engine(candidate), request, on_wait)
            except EngineError as refusal:
                refusals.append(refusal)
        raise refusals[-1]

    def _engine(self, name: str) -> SpeechEngine:
        if name not in self.engines:
            raise EngineUnavailable(
                f"There is no engine called {name} here.",
                engine=name,
                help=f"Known here: {', '.join(self.engines)}. Ask for one of them, or name only them in the chain.",
            )
        return self.engines[name]

    def _ready(self, engine: SpeechEngine, request: Recognition, on_wait: Callable[[str], None]) -> SpeechEngine:
        engine.model_for(request)
        status = engine.status(request)
        while status.state is EngineState.PREPARING:
            on_wait(f"waiting for {engine.name}: {status.detail}")
            self.sleep(POLL_SECONDS)
            status = engine.status(request)
        if status.state is EngineState.UNAVAILABLE:
            raise unavailable(engine.name, status)
        return engine


def unavailable(name: str, status: EngineStatus) -> EngineUnavailable:
    return EngineUnavailable(f"The engine {name} is not available here: {status.detail}", engine=name, help=status.help)
