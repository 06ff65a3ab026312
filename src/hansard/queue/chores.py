"""What is done again and again: whoever finds that a chore's time has come claims it first.

A claim is a change of one row, so of any number of workers one gets it. When a chore was last begun is kept there too:
it is not begun anew with each worker that starts, and not held up by one that died over it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import psycopg
from loguru import logger
from procrastinate import PsycopgConnector
from procrastinate.connector import BaseConnector
from procrastinate.exceptions import ConnectorException

from hansard.application.origin import acting, new_trace_id
from hansard.application.ports.work import Chore
from hansard.domain.errors import HansardError

_AGES = """
    SELECT name, extract(epoch FROM now() - began_at)::float8 AS seconds FROM queue_chores WHERE name = ANY(%(names)s)
"""

_CLAIM = """
    INSERT INTO queue_chores AS chore (name, began_at) VALUES (%(name)s, now())
        ON CONFLICT (name) DO UPDATE SET began_at = now()
     WHERE chore.began_at <= now() - make_interval(secs => %(every_seconds)s)
    RETURNING name
"""


API_LOOKS_SECONDS = 5.0
"""The shortest pause between two looks of the API, which does what no worker did in time."""


async def keep_house_without_worker(conninfo: str, chores: Sequence[Chore], *, host: str) -> None:
    """The API's part in the chores, until it is cancelled: those that need no worker. One connection of its own."""
    own = [chore for chore in chores if chore.needs_no_worker]
    while own:
        connector = PsycopgConnector(
            conninfo=conninfo, kwargs={"application_name": "hansard api chores"}, min_size=1, max_size=1, timeout=5.0
        )
        try:
            await connector.open_async()
            await Housekeeping(
                connector=connector,
                chores=own,
                host=host,
                in_thread=asyncio.to_thread,
                look_seconds=API_LOOKS_SECONDS,
            ).keep()
        except (ConnectorException, psycopg.OperationalError) as error:
            logger.debug("The chores wait for the database: {}", error.__cause__ or error)
            await asyncio.sleep(API_LOOKS_SECONDS)
        finally:
            await connector.close_async()


@dataclass(frozen=True, slots=True, kw_only=True)
class Housekeeping:
    """One worker's part in the chores.

    `host` tells its machine from others. `look_seconds` is the shortest pause between two looks at what is due.
    `in_thread` runs a chore away from the event loop, in its caller's context, and raises what that raises.
    """

    connector: BaseConnector
    chores: Sequence[Chore]
    host: str
    in_thread: Callable[[Callable[[], object]], Awaitable[object]]
    look_seconds: float
    _at_work: dict[str, "asyncio.Task[None]"] = field(default_factory=dict[str, "asyncio.Task[None]"])

    async def keep(self) -> None:
        """Until it is cancelled, which also lets go of what is being done."""
        try:
            while True:
                pause_seconds = await self._begin_those_due()
                await asyncio.sleep(max(pause_seconds, self.look_seconds))
        finally:
            for task in self._at_work.values():
                task.cancel()

    async def _begin_those_due(self) -> float:
        """The seconds until there may be something due again."""
        named = {f"{chore.name}@{self.host}" if chore.on_each_machine else chore.name: chore for chore in self.chores}
        waits = [chore.every_seconds for chore in self.chores]
        try:
            rows = await self.connector.execute_query_all_async(query=_AGES, names=list(named))
            ages = {row["name"]: row["seconds"] for row in rows}
            for name, chore in named.items():
                left_seconds = chore.every_seconds - ages.get(name, chore.every_seconds)
                if left_seconds > 0:
                    waits.append(left_seconds)
                elif not self._is_at(name) and await self._claims(name, chore):
                    self._at_work[name] = asyncio.create_task(self._do(chore), name=name)
                else:
                    waits.append(0.0)
        except ConnectorException as error:
            logger.debug("The chores cannot be looked at; they are again soon: {}", error.__cause__)
            return 0.0
        return min(waits)

    def _is_at(self, name: str) -> bool:
        """One that takes longer than its period waits for itself."""
        return name in self._at_work and not self._at_work[name].done()

    async def _claims(self, name: str, chore: Chore) -> bool:
        rows = await self.connector.execute_query_all_async(query=_CLAIM, name=name, every_seconds=chore.every_seconds)
        return bool(rows)

    async def _do(self, chore: Chore) -> None:
        try:
            with acting(actor=f"chore:{chore.name}", trace_id=new_trace_id()):
                await self.in_thread(chore.run)
        except Exception as error:  # noqa: BLE001 - whatever goes wrong with a chore, the worker has its jobs to do
            told = logger.bind(chore=chore.name)
            if isinstance(error, HansardError):
                told = told.bind(code=error.failure.code, category=error.failure.category.value)
            told.opt(exception=not isinstance(error, HansardError)).error("A chore failed: {}", error)
