"""Alerts and notifications as tests have them."""

from collections.abc import Callable, Sequence
from functools import partial

from hansard.application.alert_rules import Look, default_rules
from hansard.application.alerts import Alerts
from hansard.application.ports.notifications import Notification
from hansard.domain.alert import Rule
from hansard.domain.errors import HansardError, UnknownRecipient
from tests.fakes import FakeClock, FakeDatabase


class FakeNotifier:
    """`failures` are raised, one a call, before it works."""

    def __init__(self, *recipients: str) -> None:
        self.recipients = recipients
        self.sent: list[Notification] = []
        self.failures: list[HansardError] = []

    def send(self, notification: Notification) -> None:
        if notification.recipient not in self.recipients:
            raise UnknownRecipient(f"There is no {notification.recipient}.")
        if self.failures:
            raise self.failures.pop(0)
        self.sent.append(notification)


def make_alerts(
    database: FakeDatabase,
    clock: FakeClock,
    *,
    free_disk_bytes: Callable[[], int] = lambda: 10**12,
    rules: Sequence[Rule] | None = None,
    chain: tuple[str, ...] = ("fake", "second"),
    troubles: list[tuple[str, Exception]] | None = None,
    machine: str = "here",
) -> Alerts:
    """Two jobs in the last 15 minutes are enough to judge by."""
    told = [] if troubles is None else troubles
    return Alerts(
        rules=default_rules(scarce_disk_bytes=5_000_000_000) if rules is None else rules,
        look=partial(
            Look,
            unit_of_work=database.unit_of_work,
            free_disk_bytes=free_disk_bytes,
            chain=chain,
            window_seconds=900,
            least_jobs=2,
            low_coverage=0.9,
            clock=clock,
        ),
        machine=machine,
        unit_of_work=database.unit_of_work,
        tell_trouble=lambda name, error: told.append((name, error)),
        clock=clock,
    )
