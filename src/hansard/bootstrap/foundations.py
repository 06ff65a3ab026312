"""What the rest stands on, and some commands use alone: the databases, the stores, the models, the clock."""

import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import sqlalchemy

from hansard.analytics.database import MIGRATIONS, AnalyticsDatabase
from hansard.application.health_checks import DANGEROUS_PART
from hansard.application.ports.storage import AudioStore
from hansard.engines.whisper import WhisperEngine
from hansard.engines.whisper_models import WhisperModels
from hansard.persistence import database, embedded, migrate, second_database
from hansard.pipelines.zenml_store import ZenmlStore
from hansard.queue.schema import missing_migrations
from hansard.settings import Settings
from hansard.storage.object_store import ObjectAudioStore

ANALYTICS_PATIENCE_SECONDS = 2.0
"""A restart of PostgreSQL may take longer, but whoever asks for figures wants to hear that there are none now."""


def database_url(settings: Settings) -> str:
    """The database, which runs when this returns."""
    return settings.database_url or embedded.ensure_running(settings.data_dir)


def pending_migrations(engine: sqlalchemy.Engine) -> tuple[str, ...]:
    """What the database lacks of our tables and the queue's."""
    with engine.connect() as connection:
        return (*migrate.status(engine).pending, *missing_migrations(connection))


def revive_database(settings: Settings) -> None:
    """Start the embedded database again, if there is one and it died. Raises `StorageError` when that fails."""
    if settings.database_url is None:
        embedded.revive(settings.data_dir)


def database_engine(settings: Settings, *, process: str) -> sqlalchemy.Engine:
    """The caller disposes of it."""
    return database.connect(
        database_url(settings), application_name=f"hansard {process}", revive=partial(revive_database, settings)
    )


def analytics_database(settings: Settings, *, process: str) -> AnalyticsDatabase:
    """Connects when it is used. Raises `ConfigurationError` when its URL is none, or the operational database's."""
    variable = "HANSARD_ANALYTICS_DATABASE_URL"
    operational = database_url(settings)
    url = settings.analytics_database_url or second_database.beside(operational, "analytics")
    second_database.require_other(url, operational, variable=variable)
    engine = database.pool(
        url,
        application_name=f"hansard {process} analytics",
        revive=partial(revive_database, settings),
        patience_seconds=ANALYTICS_PATIENCE_SECONDS,
        variable=variable,
    )

    def make_ready() -> None:
        second_database.create_if_missing(url, variable=variable)
        migrate.upgrade(engine, scripts=MIGRATIONS)

    return AnalyticsDatabase(engine, make_ready)


def metrics_directory(settings: Settings) -> Path:
    """Where the processes of this machine count together."""
    return settings.data_dir / "metrics"


def audio_store(settings: Settings) -> AudioStore:
    url = settings.storage_url or (settings.data_dir / "objects").resolve().as_uri()
    return ObjectAudioStore(url, settings.data_dir / "tmp")


def zenml_store(settings: Settings) -> ZenmlStore:
    return ZenmlStore((settings.data_dir / "zenml").resolve(), settings.zenml_store_url)


def whisper_models(settings: Settings) -> WhisperModels:
    return WhisperModels(settings.data_dir / "models", offline=settings.offline)


def whisper_engine(settings: Settings, on_load: Callable[[float], object] = lambda _: None) -> WhisperEngine:
    return WhisperEngine(
        whisper_models(settings),
        model=settings.whisper_model,
        device=settings.whisper_device,
        compute_type=settings.whisper_compute_type,
        beam_size=settings.whisper_beam_size,
        batch_size=settings.whisper_batch_size,
        threads=settings.whisper_threads,
        on_load=on_load,
    )


def free_disk_bytes(settings: Settings) -> int:
    return shutil.disk_usage(settings.data_dir).free


def dangerous_disk_bytes(settings: Settings) -> int:
    """What must stay free, whatever comes in."""
    return int(settings.scarce_disk_bytes * DANGEROUS_PART)


def now() -> datetime:
    return datetime.now(UTC)
