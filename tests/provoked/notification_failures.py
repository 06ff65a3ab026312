"""Failures of notifications by mail, chat and the like."""

import warnings

from hansard.application.ports.notifications import Level, Notification
from hansard.remote.apprise_notifier import AppriseNotifier
from tests.error_table import Provoked, provokes, raised_by

NOTIFICATIONS = "Notifications"


@provokes(NOTIFICATIONS, "A recipient's service is away, refuses, or does not answer")
def away() -> Provoked:
    return _told(AppriseNotifier(["json://127.0.0.1:1/hook"]))


@provokes(NOTIFICATIONS, "A URL in `HANSARD_NOTIFY_URLS` is none that apprise understands")
def not_understood() -> Provoked:
    return _told(AppriseNotifier(["nonsense://example.org"]))


@provokes(NOTIFICATIONS, "A recipient was taken out of `HANSARD_NOTIFY_URLS` before it was told")
def taken_out() -> Provoked:
    return _told(AppriseNotifier([]))


def _told(people: AppriseNotifier) -> Provoked:
    recipient = people.recipients[0] if people.recipients else "json-gone"
    words = Notification(recipient=recipient, title="A test", body="", level=Level.INFO)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "'imghdr' is deprecated")  # of one of the services that come with apprise
        return Provoked(raised_by(lambda: people.send(words)).failure, "Goes on")
