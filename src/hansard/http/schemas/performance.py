"""What functions and processes took, as it goes over the wire."""

from datetime import datetime
from typing import Self

from pydantic import BaseModel, Field

from hansard.application.performance import Comparison
from hansard.domain.performance import ResourceUse, duration_seconds
from hansard.timing import calls as timing


class Usage(BaseModel):
    """What all calls together used. docs/performance.md says what each number means where there are threads."""

    cpu_seconds: float = Field(description="Processor time of the threads that made the calls.")
    process_cpu_seconds: float = Field(description="Processor time of the whole process meanwhile.")
    peak_memory_bytes: int = Field(description="The most that the process had resident, up to the end of a call.")
    memory_growth_bytes: int = Field(description="By how much that peak rose during the calls.")
    read_bytes: int = Field(description="Read from storage by the threads that made the calls.")
    written_bytes: int = Field(description="Written for storage by these threads.")


class Function(BaseModel):
    function: str = Field(examples=["application.recognise.Recognise"])
    calls: int
    errors: int = Field(description="Calls that raised an exception.")
    total_seconds: float
    mean_seconds: float
    p50_seconds: float
    p95_seconds: float = Field(description="Of the calls, 95 % took no longer; from a histogram, within 1.6 %.")
    p99_seconds: float
    shortest_seconds: float
    longest_seconds: float
    usage: Usage | None = Field(description="null: the function is only timed.")

    @classmethod
    def of(cls, calls: timing.Calls) -> Self:
        return cls(
            function=calls.function,
            calls=calls.count,
            errors=calls.errors,
            total_seconds=calls.total_seconds,
            mean_seconds=calls.total_seconds / calls.count,
            p50_seconds=duration_seconds(calls, 0.5),
            p95_seconds=duration_seconds(calls, 0.95),
            p99_seconds=duration_seconds(calls, 0.99),
            shortest_seconds=calls.shortest_seconds,
            longest_seconds=calls.longest_seconds,
            usage=Usage.model_validate(calls.usage, from_attributes=True) if calls.usage else None,
        )


class SlowerFunction(BaseModel):
    function: str
    quantile: float = Field(description="The one that rose more: 0.5 or 0.95.")
    before_seconds: float
    now_seconds: float
    ratio: float
    before_calls: int
    now_calls: int


class ComparedFunctions(BaseModel):
    """What got slower beyond chance and by a fifth at least, the worst first; with fewer than 100 calls, nothing is."""

    before: str = Field(description="A version, or `the week before`.")
    now: str
    slower: list[SlowerFunction]

    @classmethod
    def of(cls, comparison: Comparison | None) -> Self | None:
        return None if comparison is None else cls.model_validate(comparison, from_attributes=True)


class Functions(BaseModel):
    since: datetime
    until: datetime
    version: str | None = Field(description="The version that ran last.", examples=["0.1.0+842356b"])
    items: list[Function]
    since_last_version: ComparedFunctions | None = Field(description="null: there is none before to compare with.")
    since_week_before: ComparedFunctions | None = Field(description="The same hours of a week earlier.")


class ResourcePoint(BaseModel):
    start: datetime
    seconds: float = Field(description="How long of the bucket was looked at.")
    samples: int
    cores_least: float = Field(description="Processor use in cores: 1 is one core, all of the time.")
    cores_mean: float
    cores_most: float
    memory_least_bytes: int
    memory_mean_bytes: int
    memory_most_bytes: int
    threads_most: int
    open_files_most: int
    read_bytes: int
    written_bytes: int


class ProcessResources(BaseModel):
    """A process, with the engines' processes that it started."""

    host: str
    process: str = Field(description="`postgres` is the embedded database.", examples=["worker.1"])
    points: list[ResourcePoint]

    @classmethod
    def of(cls, use: list[ResourceUse]) -> Self:
        points = [ResourcePoint.model_validate(each, from_attributes=True) for each in use]
        return cls(host=use[0].host, process=use[0].process, points=points)


class Resources(BaseModel):
    since: datetime
    until: datetime
    bucket_seconds: float
    processes: list[ProcessResources]
