"""The whole object graph: settings in, a container of use cases and adapters out. Nothing else constructs an adapter.

    container    what the entry points use, and how it is put together: read this first
    foundations  databases, stores, models, the clock
    listening    how recordings become text
    watching     what operators look at and are told by
    chores       what is done again and again
    benchmarks   one engine, measured as the service has it

Building starts nothing but the embedded database: engines load their models, and ZenML is imported, when they are first
needed.
"""

from hansard.bootstrap.benchmarks import benchmark, benchmark_pipeline
from hansard.bootstrap.container import Container, build, prepare
from hansard.bootstrap.foundations import (
    analytics_database,
    audio_store,
    database_engine,
    database_url,
    metrics_directory,
    pending_migrations,
    revive_database,
    whisper_engine,
    whisper_models,
    zenml_store,
)
from hansard.bootstrap.watching import notifier

__all__ = [
    "Container",
    "analytics_database",
    "audio_store",
    "benchmark",
    "benchmark_pipeline",
    "build",
    "database_engine",
    "database_url",
    "metrics_directory",
    "notifier",
    "pending_migrations",
    "prepare",
    "revive_database",
    "whisper_engine",
    "whisper_models",
    "zenml_store",
]
