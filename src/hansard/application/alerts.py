"""Have all rules judged, now and then, by whoever gets to it first: a worker, or the API where none is alive.

What changes is written with its events in one commit, so that nobody is told twice and nothing that was told is
forgotten.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from hansard.application.alert_rules import Look
from hansard.application.ports.clock import Clock
from hansard.application.ports.records import UnitOfWork
from hansard.domain.alert import Alert, Reading, Rule
from hansard.domain.errors import HansardError
from hansard.timing.decorators import time_it

MACHINE_GONE = timedelta(minutes=15)
"""A machine that has not measured what is its own for so long is taken out of service, and its alerts with it."""

AlertTrouble = Callable[[str, Exception], object]
"""Told, once, that a rule's value cannot be measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A rule and the alerts of it: one, or one for each machine that has ever measured it."""

    rule: Rule
    alerts: tuple[Alert, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alerts:
    """`rules` are those in use. `look` makes a new look; `machine` is the name of the one this runs on."""

    rules: Sequence[Rule]
    look: Callable[[], Look]
    machine: str
    unit_of_work: Callable[[], UnitOfWork]
    tell_trouble: AlertTrouble
    clock: Clock

    @time_it
    def evaluate(self) -> None:
        """Judge what is everybody's. Any number may do so at a time; one is enough."""
        self._judge({rule.name: rule for rule in self.rules if not rule.on_each_machine})
        self._dismiss_unmeasured()

    @time_it
    def evaluate_here(self) -> None:
        """Judge what is this machine's own."""
        self._judge({f"{rule.name}@{self.machine}": rule for rule in self.rules if rule.on_each_machine})

    def standings(self) -> tuple[Standing, ...]:
        """All rules in use, in their order."""
        with self.unit_of_work() as uow:
            alerts = uow.alerts.all()
        return tuple(
            Standing(rule=rule, alerts=tuple(alert for alert in alerts if alert.rule_name == rule.name))
            for rule in self.rules
        )

    def _judge(self, rules: Mapping[str, Rule]) -> None:
        look = self.look()
        readings = {name: self._read(look, rule) for name, rule in rules.items()}
        at = self.clock()
        with self.unit_of_work() as uow:
            for name in sorted(rules):  # in one order everywhere, so that two who do this don't wait for each other
                alert, reading = uow.alerts.get(name), readings[name]
                if isinstance(reading, Reading):
                    alert.observe(rules[name], reading, at)
                elif alert.miss(_in_a_line(reading)):
                    self.tell_trouble(name, reading)
                uow.alerts.save(alert)
            uow.commit()

    @staticmethod
    def _read(look: Look, rule: Rule) -> Reading | Exception:
        try:
            return look.read(rule.name)
        except Exception as error:  # noqa: BLE001 - one that cannot be measured must not hold up the others
            return error

    def _dismiss_unmeasured(self) -> None:
        at = self.clock()
        in_use = {rule.name.value: rule for rule in self.rules}
        with self.unit_of_work() as uow:
            for name in [alert.name for alert in uow.alerts.all() if alert.is_firing]:
                alert = uow.alerts.get(name)
                rule = in_use.get(alert.rule_name)
                is_of_machine_gone = rule is not None and rule.on_each_machine and _is_old(alert, at)
                if rule is None or is_of_machine_gone:
                    alert.dismiss(at)
                    uow.alerts.save(alert)
            uow.commit()


def _is_old(alert: Alert, at: datetime) -> bool:
    return alert.measured_at is not None and at - alert.measured_at > MACHINE_GONE


def _in_a_line(error: Exception) -> str:
    """What a driver says may hold what nobody should read here."""
    return error.failure.message if isinstance(error, HansardError) else type(error).__name__
