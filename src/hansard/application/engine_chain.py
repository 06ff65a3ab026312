"""Which engines may do a job, best first, and whether each can, here and now."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from hansard.application.ports.engines import EngineState, EngineStatus, Recognition, SpeechEngine
from hansard.domain.errors import EngineError, EngineFailed, EngineRejected, EngineUnavailable
from hansard.domain.transcription import AUTO, Parameters

POLL_SECONDS = 1.0

Wait = Callable[[float], None]
"""Wait so many seconds, or raise when the job is not wanted any more."""


@dataclass(frozen=True, slots=True)
class EngineChain:
    """`chain` names engines of `engines`, best first. An engine whose model is still being fetched is waited for:
    a job should not settle for less because it came early.
    """

    engines: Mapping[str, SpeechEngine]
    chain: tuple[str, ...]

    def candidates(self, parameters: Parameters) -> Iterator[SpeechEngine]:
        """Raises `EngineUnavailable` at a name that no engine has here."""
        for name in self._names(parameters):
            yield self._engine(name)

    def first(self, parameters: Parameters) -> str:
        """The name of the one that should do it."""
        return self._names(parameters)[0]

    def require_ready(
        self, engine: SpeechEngine, request: Recognition, *, on_wait: Callable[[str], None], wait: Wait
    ) -> None:
        """Raises the `EngineError` that says why it cannot do that. `on_wait` hears what is waited for."""
        engine.model_for(request)
        status = engine.status(request)
        while status.state is EngineState.PREPARING:
            on_wait(f"waiting for {engine.name}: {status.detail}")
            wait(POLL_SECONDS)
            status = engine.status(request)
        if status.state is EngineState.UNAVAILABLE:
            raise _unavailable(engine.name, status)

    def _names(self, parameters: Parameters) -> tuple[str, ...]:
        if parameters.engine == AUTO:
            return self.chain
        others = tuple(name for name in self.chain if name != parameters.engine) if parameters.falls_back else ()
        return (parameters.engine, *others)

    def _engine(self, name: str) -> SpeechEngine:
        if name not in self.engines:
            raise EngineUnavailable(
                f"There is no engine called {name} here.",
                engine=name,
                help=f"Known here: {', '.join(self.engines)}. Ask for one of them, or name only them in the chain.",
            )
        return self.engines[name]


def position(name: str, chain: Sequence[str]) -> int | None:
    """The engine's place in the chain, from 1; None where `auto` does not try it."""
    return chain.index(name) + 1 if name in chain else None


def in_order(names: Iterable[str], chain: Sequence[str]) -> list[str]:
    """As `auto` tries them; those that it does not try come last, in the order they have."""
    return sorted(names, key=lambda name: position(name, chain) or len(chain) + 1)


def _unavailable(name: str, status: EngineStatus) -> EngineUnavailable:
    return EngineUnavailable(f"The engine {name} is not available here: {status.detail}", engine=name, help=status.help)


def none_will_do(refusals: Sequence[EngineError]) -> EngineError:
    """What to tell when every engine declined before it was tried: with what each of them said."""
    if len(refusals) == 1:
        return refusals[0]
    said = " ".join(f"{refusal.failure.engine}: {refusal.failure.message.rstrip('.')}." for refusal in refusals)
    helps = dict.fromkeys(refusal.failure.help for refusal in refusals if refusal.failure.help)
    kind = _kind(refusals)
    return kind(f"No engine can do this now. {said}", engine=AUTO, code="no_engine", help=" Or: ".join(helps) or None)


def _kind(refusals: Sequence[EngineError]) -> type[EngineError]:
    """Whose move it is: nobody's, where waiting helps; else the operator's; the client's where all say so."""
    if any(refusal.failure.retryable for refusal in refusals):
        return EngineFailed
    if all(isinstance(refusal, EngineRejected) for refusal in refusals):
        return EngineRejected
    return EngineUnavailable
