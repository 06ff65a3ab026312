"""How an engine stands."""

from collections.abc import Sequence

from hansard.application.engine_chain import position
from hansard.application.ports.engines import SpeechEngine
from hansard.domain.circuit import Circuit
from hansard.http.mapping.transcriptions import error_json
from hansard.http.schemas.engines import Engine, EngineCircuit


def engine_json(engine: SpeechEngine, circuit: Circuit, *, chain: Sequence[str]) -> Engine:
    """`chain` is what `auto` tries, best first."""
    status = engine.status()
    return Engine(
        name=engine.name,
        state=status.state.value,
        detail=status.detail,
        help=status.help,
        chain_position=position(engine.name, chain),
        degraded_reason=engine.degraded_reason,
        circuit=_circuit_json(circuit),
    )


def _circuit_json(circuit: Circuit) -> EngineCircuit:
    return EngineCircuit(
        state=circuit.state,
        failures=circuit.failures,
        retry_at=circuit.retry_at,
        disabled=circuit.disabled,
        disabled_reason=circuit.disabled_reason,
        last_success_at=circuit.last_success_at,
        last_failure_at=circuit.last_failure_at,
        last_failure=error_json(circuit.last_failure),
    )
