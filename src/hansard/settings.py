"""Every setting of the service, each documented where it is defined: `docs/settings.md` is generated from here.

Only `bootstrap.py` and the entry points read settings; everything else is given what it needs.
"""

import os
from enum import StrEnum
from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

ENV_FILE = ".env"


class Environment(StrEnum):
    DEVELOPMENT = "development"
    PRODUCTION = "production"


class LogFormat(StrEnum):
    PRETTY = "pretty"
    JSON = "json"


class Runner(StrEnum):
    ZENML = "zenml"
    IN_PROCESS = "in_process"


def _default_workers() -> int:
    return min(4, os.cpu_count() or 1)


class Settings(BaseSettings):
    """Read from the environment, then from `.env` in the working directory, then from the defaults below."""

    model_config = SettingsConfigDict(
        env_prefix="HANSARD_", env_file=ENV_FILE, extra="ignore", populate_by_name=True, frozen=True
    )

    # The service
    environment: Environment = Field(
        Environment.DEVELOPMENT, description="`production` refuses anything made for tests."
    )
    host: str = Field("127.0.0.1", description="Address the API listens on.")
    port: int = Field(8000, ge=1, le=65535, description="Port the API listens on.")
    workers: int = Field(
        default_factory=_default_workers,
        ge=1,
        description="Worker processes; each runs one transcription at a time. Default: one per core, at most 4.",
    )
    max_upload_bytes: int = Field(
        4 * 1024**3, gt=0, description="Larger uploads are refused with 413 before they are stored."
    )
    testing: bool = Field(
        False,
        validation_alias="TESTING",
        description="Allows the `mock` engine. Never with `HANSARD_ENVIRONMENT=production`.",
    )

    # Data
    data_dir: Path = Field(
        Path("data"), description="Everything the service writes: PostgreSQL, recordings, ZenML, models, logs."
    )
    database_url: str | None = Field(
        None,
        description="A PostgreSQL (15 or newer) you run, as `postgresql://user:password@host/name`. "
        "Default: one embedded in the data directory.",
    )
    storage_url: str | None = Field(
        None,
        description="Where recordings are kept: `file:///path`, `s3://bucket/prefix`, `gs://…` or `az://…`. "
        "Default: `objects` in the data directory.",
    )

    # Logging
    log_level: str = Field(
        "INFO",
        validation_alias="LOG_LEVEL",
        pattern="(?i)^(TRACE|DEBUG|INFO|SUCCESS|WARNING|ERROR|CRITICAL)$",
        description="`DEBUG`, `INFO`, `WARNING` or `ERROR`.",
    )
    log_format: LogFormat = Field(
        LogFormat.PRETTY, validation_alias="LOG_FORMAT", description="`pretty` for people, `json` for machines."
    )

    # Pipelines
    pipeline_runner: Runner = Field(
        Runner.ZENML,
        description="`zenml` records every job as a ZenML run; `in_process` runs the same steps untracked.",
    )
    zenml_store_url: str | None = Field(
        None,
        validation_alias="ZENML_STORE_URL",
        description="ZenML's SQL store, as `sqlite:///…` or `mysql://…`. Default: a file in the data directory.",
    )

    # Engines
    engine_chain: tuple[str, ...] = Field(
        ("openai", "whisper", "pocketsphinx"),
        description="What `auto` tries, best first, as a JSON list. The first engine that can do the job here does it.",
    )
    offline: bool = Field(False, description="`1`: no engine and no model download touches the network.")
    whisper_model: str | None = Field(
        None,
        description="A Whisper model's name (`small`, `large-v3-turbo`, `Systran/faster-whisper-base` …) or a local "
        "directory. Default: `large-v3-turbo` with a GPU, `small` without.",
    )
    whisper_device: str = Field("auto", description="`auto`, `cpu` or `cuda`.")
    whisper_compute_type: str = Field(
        "default",
        description="CTranslate2's: `int8`, `float16`, `float32` … `default`: float16 on a GPU, int8 without.",
    )
    whisper_beam_size: int = Field(5, ge=1, description="Hypotheses kept while decoding; 1 is fastest.")
    whisper_batch_size: int = Field(
        1, ge=1, description="30-second windows decoded at once: 8 to 16 pays on a GPU, 1 is best without."
    )
    whisper_threads: int = Field(
        1, ge=1, description="CPU threads a worker gives to Whisper; more workers beat more threads."
    )
    openai_api_key: SecretStr | None = Field(
        None, validation_alias="OPENAI_API_KEY", description="Your key; with it, `auto` uses OpenAI first."
    )
    openai_base_url: str | None = Field(
        None, validation_alias="OPENAI_BASE_URL", description="Another server that speaks OpenAI's API."
    )
    openai_model: str = Field(
        "whisper-1", description="OpenAI's model when none is asked for; `whisper-1` gives word times."
    )
    openai_timeout_seconds: float = Field(600, gt=0, description="How long one call to OpenAI may take.")

    # Retries
    retry_max_attempts: int = Field(4, ge=1, description="Times an engine is tried before a transcription fails.")
    retry_base_seconds: float = Field(
        1.0, ge=0, description="Back-off before the second attempt; it doubles with each."
    )
    retry_cap_seconds: float = Field(60.0, ge=0, description="The longest back-off, unless the provider asks for more.")
    retry_budget_seconds: float = Field(
        300.0, ge=0, description="The most that one transcription waits between attempts, in all."
    )

    @model_validator(mode="after")
    def _refuse_tests_in_production(self) -> Self:
        if self.testing and self.environment is Environment.PRODUCTION:
            raise ValueError(
                "TESTING=true does not go with HANSARD_ENVIRONMENT=production: it allows an engine that makes its "
                "transcripts up. Unset TESTING, or set HANSARD_ENVIRONMENT=development."
            )
        return self
