"""Notifications through the real apprise to a server on this machine, by a worker, and where there is none."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace

import pytest
from loguru import logger
from sqlalchemy import Engine, text

from hansard.application.ports.notifications import Level, Notification
from hansard.application.ports.work import Chore
from hansard.domain.errors import ConfigurationError, NotificationFailed, UnknownRecipient
from hansard.queue.chores import keep_house_without_worker
from hansard.queue.notifications import PUT_OFF_SECONDS, NotifyWithoutWorkers
from hansard.queue.tasks import MOST_NOTIFY_ATTEMPTS
from hansard.remote.apprise_notifier import AppriseNotifier
from tests.alerts import FakeNotifier
from tests.queue_work import Work, unit_of_work
from tests.web_server import WebServer, answer

# Of one of the hundred services that come with apprise.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")

PATIENCE_SECONDS = 20.0
SECRET = "s3cr3t-t0ken-of-ours"
FAILED = NotificationFailed("chat-1 could not be told: it is away.")


@pytest.fixture
def server() -> Iterator[WebServer]:
    with WebServer() as server:
        server.pages["/hook"] = answer(b"ok")
        yield server


@pytest.fixture
def lines() -> Iterator[list[tuple[str, str]]]:
    """What is logged: level and message."""
    told: list[tuple[str, str]] = []
    sink = logger.add(lambda line: told.append((line.record["level"].name, line.record["message"])), level=0)
    yield told
    logger.remove(sink)


def notifier(server: WebServer, path: str = "/hook", **how: float) -> AppriseNotifier:
    return AppriseNotifier([f"json://ann:{SECRET}@127.0.0.1:{server.port}{path}"], **how)


def words(recipient: str, title: str = "Hansard: disk is firing") -> Notification:
    return Notification(recipient=recipient, title=title, body="1 GB is free.\nMake room.", level=Level.FAILURE)


def send(people: AppriseNotifier) -> None:
    people.send(words(people.recipients[0]))


# ── apprise ──────────────────────────────────────────────────────────────────────────────────────────────


def test_a_recipient_is_told_the_words(server: WebServer) -> None:
    send(notifier(server))

    (posted,) = server.posted
    told = json.loads(posted.body)
    assert (told["title"], told["message"], told["type"]) == (
        "Hansard: disk is firing",
        "1 GB is free.\nMake room.",
        "failure",
    )


def test_a_recipients_name_gives_nothing_of_its_url_away(server: WebServer) -> None:
    (name,) = notifier(server).recipients

    assert name.startswith("json-")
    assert len(name) == len("json-") + 6


def test_a_refusal_says_why_and_nothing_of_the_url(server: WebServer, lines: list[tuple[str, str]]) -> None:
    server.pages["/hook"] = answer(status="500 Internal Server Error")

    with pytest.raises(NotificationFailed) as raised:
        send(notifier(server))

    assert "error=500" in str(raised.value)
    assert raised.value.failure.retryable
    assert SECRET not in f"{raised.value.failure}{lines}"


def test_a_server_that_is_away_is_told_without_the_url(server: WebServer, capsys: pytest.CaptureFixture[str]) -> None:
    people = AppriseNotifier([f"json://ann:{SECRET}@127.0.0.1:1/hook/{SECRET}"])

    with pytest.raises(NotificationFailed) as raised:
        send(people)

    assert SECRET not in str(raised.value) + "".join(capsys.readouterr())


def test_a_server_that_never_answers_is_given_up(server: WebServer) -> None:
    server.pages["/hook"] = lambda connection, path: time.sleep(2)

    with pytest.raises(NotificationFailed, match="no answer within"):
        send(notifier(server, longest_seconds=0.2))


def test_a_url_that_apprise_does_not_understand_is_told_by_its_kind() -> None:
    people = AppriseNotifier([f"nonsense://{SECRET}@example.org"])

    with pytest.raises(ConfigurationError, match="nonsense://…") as raised:
        send(people)

    assert SECRET not in str(raised.value)


def test_who_is_not_in_the_settings_cannot_be_told(server: WebServer) -> None:
    with pytest.raises(UnknownRecipient):
        notifier(server).send(words("json-gone"))


# ── By a worker ──────────────────────────────────────────────────────────────────────────────────────────


def defer(engine: Engine, *notifications: Notification) -> None:
    with unit_of_work(engine) as uow:
        for notification in notifications:
            uow.jobs.defer_notification(notification)
        uow.commit()


def jobs(engine: Engine) -> list[tuple[str, int]]:
    query = "SELECT status::text, attempts FROM procrastinate_jobs WHERE queue_name = 'notifications' ORDER BY id"
    with engine.connect() as connection:
        return [(row[0], row[1]) for row in connection.execute(text(query))]


def set_jobs(engine: Engine, change: str) -> None:
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE procrastinate_jobs SET {change} WHERE queue_name = 'notifications'"))


def test_a_worker_tells_a_recipient_and_the_job_is_gone(postgres: str, engine: Engine, server: WebServer) -> None:
    people = notifier(server)
    defer(engine, words(people.recipients[0]))

    Work(postgres, notify=people.send).until(lambda: not jobs(engine))

    assert len(server.posted) == 1


def test_what_failed_is_tried_again(postgres: str, engine: Engine) -> None:
    people = FakeNotifier("chat-1")
    people.failures = [FAILED]
    defer(engine, words("chat-1"))

    Work(postgres, notify=people.send).until(lambda: not jobs(engine))

    assert [notification.recipient for notification in people.sent] == ["chat-1"]


def test_what_fails_too_often_is_given_up_with_an_error_in_the_log(
    postgres: str, engine: Engine, lines: list[tuple[str, str]]
) -> None:
    people = FakeNotifier("chat-1")
    people.failures = [FAILED]
    defer(engine, words("chat-1"))
    set_jobs(engine, f"attempts = {MOST_NOTIFY_ATTEMPTS - 1}")

    Work(postgres, notify=people.send).until(lambda: not jobs(engine))

    assert people.sent == []
    assert ("ERROR", f"A notification is given up: {FAILED}") in lines


def test_who_was_taken_out_of_the_settings_is_not_tried_again(postgres: str, engine: Engine) -> None:
    defer(engine, words("chat-gone"))

    Work(postgres, notify=FakeNotifier("chat-1").send).until(lambda: not jobs(engine))


def test_one_who_cannot_be_told_keeps_no_other(postgres: str, engine: Engine) -> None:
    people = FakeNotifier("chat-1", "mail-2")
    people.failures = [FAILED]
    defer(engine, words("chat-1"), words("mail-2"))

    Work(postgres, notify=people.send).until(lambda: len(people.sent) == 1)

    assert people.sent[0].recipient == "mail-2"


# ── Without one ──────────────────────────────────────────────────────────────────────────────────────────


def alive_worker(engine: Engine, *, seconds_ago: float) -> None:
    with engine.begin() as connection:
        beat = "INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - make_interval(secs => :seconds))"
        connection.execute(text(beat), {"seconds": seconds_ago})


def test_without_a_worker_whoever_is_there_tells_the_recipient(engine: Engine) -> None:
    people = FakeNotifier("chat-1")
    defer(engine, words("chat-1", "one"), words("chat-1", "two"))

    NotifyWithoutWorkers(engine, people.send)()

    assert [notification.title for notification in people.sent] == ["one", "two"]
    assert jobs(engine) == []


def test_with_a_worker_alive_it_is_the_workers_to_do(engine: Engine) -> None:
    people = FakeNotifier("chat-1")
    alive_worker(engine, seconds_ago=0)
    defer(engine, words("chat-1"))

    NotifyWithoutWorkers(engine, people.send)()

    assert people.sent == []
    assert jobs(engine) == [("todo", 0)]


def test_a_notification_in_the_hands_of_a_dead_worker_is_sent(engine: Engine) -> None:
    people = FakeNotifier("chat-1")
    alive_worker(engine, seconds_ago=60)
    defer(engine, words("chat-1"))
    set_jobs(engine, "status = 'doing', worker_id = (SELECT id FROM procrastinate_workers)")

    NotifyWithoutWorkers(engine, people.send)()

    assert len(people.sent) == 1


def test_without_a_worker_what_failed_is_put_off(engine: Engine) -> None:
    people = FakeNotifier("chat-1")
    people.failures = [FAILED]
    defer(engine, words("chat-1"))
    later = NotifyWithoutWorkers(engine, people.send)

    later()
    later()
    assert people.sent == []
    assert jobs(engine) == [("todo", 1)]

    set_jobs(engine, f"scheduled_at = scheduled_at - make_interval(secs => {PUT_OFF_SECONDS})")
    later()
    assert len(people.sent) == 1


def test_without_a_worker_what_fails_too_often_is_given_up(engine: Engine, lines: list[tuple[str, str]]) -> None:
    people = FakeNotifier("chat-1")
    people.failures = [FAILED]
    defer(engine, words("chat-1"))
    set_jobs(engine, f"attempts = {MOST_NOTIFY_ATTEMPTS - 1}")

    NotifyWithoutWorkers(engine, people.send)()

    assert jobs(engine) == []
    assert ("ERROR", f"A notification is given up: {FAILED}") in lines


# ── The API's part in the chores ─────────────────────────────────────────────────────────────────────────


def keep_house(url: str, chores: list[Chore], enough: Callable[[], bool]) -> None:
    async def keep() -> None:
        keeping = asyncio.create_task(keep_house_without_worker(url, chores, host="here"))
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not enough():  # noqa: ASYNC110 - the chores know of no loop
                await asyncio.sleep(0.01)
        keeping.cancel()
        with suppress(asyncio.CancelledError):
            await keeping

    asyncio.run(keep())


def test_the_api_does_the_chores_that_need_no_worker_and_only_those(postgres: str, engine: Engine) -> None:
    done: list[str] = []
    judge = Chore(name="judge", every_seconds=60, run=lambda: done.append("judge"), needs_no_worker=True)
    sweep = replace(judge, name="sweep", run=lambda: done.append("sweep"), needs_no_worker=False)

    keep_house(postgres, [sweep, judge], lambda: bool(done))

    assert done == ["judge"]


def test_what_a_worker_has_just_done_the_api_leaves(postgres: str, engine: Engine) -> None:
    done: list[str] = []
    judge = Chore(name="judge", every_seconds=60, run=lambda: done.append("judge"), needs_no_worker=True)
    tick = replace(judge, name="tick", run=lambda: done.append("tick"))
    Work(postgres, chores=[judge]).until(lambda: bool(done))

    keep_house(postgres, [judge, tick], lambda: "tick" in done)

    assert done == ["judge", "tick"]
