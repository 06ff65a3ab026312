"""Notifications where no worker is alive to send them: that there is none is what somebody has to be told.

A job is not taken as a worker would take it, since who is no worker has no heartbeat. It is put off by a while instead,
and removed when it is done: whoever comes first after that may try again.
"""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Engine, text

from hansard.application.ports.notifications import Notification
from hansard.domain.errors import NotificationFailed
from hansard.queue.jobs import ALIVE, NOTIFICATIONS, STALLED_SECONDS, notification_of
from hansard.queue.tasks import tell

PUT_OFF_SECONDS = 60.0
"""Longer than telling a recipient takes."""

# A job in the hands of a worker that died has nobody either.
_TAKE = text(f"""
    UPDATE procrastinate_jobs
       SET status = 'todo', worker_id = NULL, attempts = attempts + 1,
           scheduled_at = now() + make_interval(secs => :put_off_seconds)
     WHERE NOT EXISTS (SELECT FROM procrastinate_workers WHERE {ALIVE})
       AND id = (SELECT id FROM procrastinate_jobs
                  WHERE queue_name = :queue
                    AND (status = 'doing' OR status = 'todo' AND coalesce(scheduled_at <= now(), true))
                  ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
    RETURNING id, args, attempts
""")  # noqa: S608 - put together from constants

_REMOVE = text("DELETE FROM procrastinate_jobs WHERE id = :id AND status = 'todo'")


@dataclass(frozen=True, slots=True)
class NotifyWithoutWorkers:
    """To be called now and then, by whoever is there. With a worker alive, nothing is done."""

    engine: Engine
    notify: Callable[[Notification], object]

    def __call__(self) -> None:
        while (job := self._take()) is not None:
            job_id, notification, attempt = job
            try:
                tell(self.notify, notification, attempt)
            except NotificationFailed:
                continue  # it has been put off already
            with self.engine.begin() as connection:
                connection.execute(_REMOVE, {"id": job_id})

    def _take(self) -> tuple[int, Notification, int] | None:
        bounds = {
            "queue": NOTIFICATIONS,
            "put_off_seconds": PUT_OFF_SECONDS,
            "stalled_seconds": STALLED_SECONDS,
        }
        with self.engine.begin() as connection:
            row = connection.execute(_TAKE, bounds).one_or_none()
        return None if row is None else (row.id, notification_of(row.args), row.attempts)
