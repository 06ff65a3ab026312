"""Keep jobs away from an engine that is down, and find out when it is back: for all processes together."""

from collections.abc import Callable
from dataclasses import dataclass

from hansard.application.ports.clock import Clock
from hansard.application.ports.records import UnitOfWork
from hansard.domain.circuit import Admission, Circuit, CircuitPolicy
from hansard.domain.errors import EngineOutOfUse, EnginePaused, Failure

CircuitChange = Callable[[Circuit], None]

SUCCESS_KEPT_EVERY_SECONDS = 10.0
"""Every job succeeds, and they all share one row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitBreaker:
    """Asked before each attempt, told how it went. Each call is one short transaction, or part of another; at rest, a
    read.
    """

    unit_of_work: Callable[[], UnitOfWork]
    policy: CircuitPolicy
    clock: Clock

    def admit(self, engine: str) -> Admission:
        """Granted, or granted as the probe.

        Raises `EnginePaused` while the circuit is open, and `EngineOutOfUse` when an operator disabled the engine.
        """
        with self.unit_of_work() as uow:
            admission = self.admit_within(uow, engine)
            if admission is Admission.PROBE:
                uow.commit()
        return admission

    def admit_within(self, uow: UnitOfWork, engine: str) -> Admission:
        """The same, in the caller's transaction, which it changes by a probe only."""
        circuit = uow.circuits.get(engine)
        if circuit.is_at_rest:
            return Admission.GRANTED
        circuit = uow.circuits.get(engine, for_update=True)
        admission = circuit.admit(self.clock(), self.policy)
        if admission is Admission.PROBE:
            uow.circuits.save(circuit)
        if admission is Admission.DISABLED:
            raise _disabled(circuit)
        if admission is Admission.REFUSED:
            raise self._paused(circuit)
        return admission

    def succeeded(self, engine: str) -> None:
        """The engine did some work. While all is well, the date of the last success is kept to some seconds."""
        with self.unit_of_work() as uow:
            self.succeeded_within(uow, engine)
            uow.commit()

    def succeeded_within(self, uow: UnitOfWork, engine: str) -> None:
        """The same, in the caller's transaction."""
        now, circuit = self.clock(), uow.circuits.get(engine)
        known = circuit.last_success_at
        if not circuit.is_at_rest or known is None or (now - known).total_seconds() >= SUCCESS_KEPT_EVERY_SECONDS:
            circuit = uow.circuits.get(engine, for_update=True)
            circuit.succeed(now)
            uow.circuits.save(circuit)

    def failed(self, engine: str, failure: Failure) -> None:
        self._change(engine, lambda circuit: circuit.fail(failure, self.clock(), self.policy))

    def abandoned(self, engine: str) -> None:
        """The probe came to an end for reasons that are not the engine's."""
        self._change(engine, lambda circuit: circuit.abandon_probe(self.clock()))

    def reset(self, engine: str) -> Circuit:
        return self._change(engine, lambda circuit: circuit.reset(self.clock()))

    def disable(self, engine: str, reason: str | None = None) -> Circuit:
        return self._change(engine, lambda circuit: circuit.disable(self.clock(), reason))

    def enable(self, engine: str) -> Circuit:
        return self._change(engine, lambda circuit: circuit.enable(self.clock()))

    def _change(self, engine: str, change: CircuitChange) -> Circuit:
        with self.unit_of_work() as uow:
            circuit = uow.circuits.get(engine, for_update=True)
            change(circuit)
            uow.circuits.save(circuit)
            uow.commit()
        return circuit

    def _paused(self, circuit: Circuit) -> EnginePaused:
        wait = (circuit.retry_at - self.clock()).total_seconds() if circuit.retry_at else 0.0
        last = f" The last failure: {circuit.last_failure.message}" if circuit.last_failure else ""
        return EnginePaused(
            f"The engine {circuit.engine} failed{_how_often(circuit.failures)} and is left alone for now.{last}",
            engine=circuit.engine,
            retry_after_seconds=max(0.0, wait),
            help=f"It is tried again by itself; POST /engines/{circuit.engine}/reset tries it at once.",
        )


def _how_often(failures: int) -> str:
    return f" {failures} times in a row" if failures > 1 else ""


def _disabled(circuit: Circuit) -> EngineOutOfUse:
    why = f": {circuit.disabled_reason}" if circuit.disabled_reason else ""
    return EngineOutOfUse(
        f"The engine {circuit.engine} was taken out of use by an operator{why}.",
        engine=circuit.engine,
        help=f"POST /engines/{circuit.engine}/enable puts it back.",
    )
