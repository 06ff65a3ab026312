"""What is done again and again: whoever finds that a chore's time has come claims it first.

A claim is a change of one row, so of any number of workers one gets it. When a chore was last begun is kept there too:
it is not begun anew with each worker that starts, and not held up by one that died over it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from loguru import logger
from procrastinate.connector import BaseConnector
from procrastinate.exceptions import ConnectorException

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Housekeeping:
    """One worker's part in the chores.

    `host` tells its machine from others. `look_seconds` is the shortest pause between two looks at what is due.
    `in_thread` runs a chore away from the event loop, and raises what that raises.
    """

    connector: BaseConnector
    chores: Sequence[Chore]
    host: str
    in_thread: Callable[[Callable[[], object]], Awaitable[None]]
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
            await self.in_thread(chore.run)
        except Exception as error:  # noqa: BLE001 - whatever goes wrong with a chore, the worker has its jobs to do
            unforeseen = not isinstance(error, HansardError)
            logger.bind(chore=chore.name).opt(exception=unforeseen).error("A chore failed: {}", error)
