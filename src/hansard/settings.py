"""Every setting of the service, each documented where it is defined: `docs/settings.md` is generated from here.

Only `bootstrap/` and the entry points read settings; everything else is given what it needs. Entry points call
`load`, which tells what is wrong with a setting in words for the person who set it.
"""

import json
import os
import re
from collections.abc import Iterator
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self, cast

from dotenv import dotenv_values
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from hansard.application.announce import Occasion
from hansard.domain.alert import RuleName, Severity
from hansard.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

ENV_FILE = ".env"
PREFIX = "HANSARD_"
_PASSWORD_IN_URL = re.compile(r"://[^\s:/@]*:([^\s/@]+)@")

SECTIONS = {
    "environment": "The service",
    "max_upload_bytes": "Input",
    "webhooks_allowed": "Webhooks",
    "data_dir": "Data",
    "log_level": "Logging",
    "traces_endpoint": "Traces",
    "pipeline_runner": "Pipelines",
    "engine_chain": "Engines",
    "diarizer": "Who speaks",
    "retry_max_attempts": "Retries",
    "live_sessions": "Live",
    "canary_seconds": "Health",
    "alerts": "Alerts",
    "notify_urls": "Notifications",
    "analytics_database_url": "Analytics",
    "events_keep_days": "Retention",
}
"""The setting that each section of the documentation begins with, and the section's name."""


class Environment(StrEnum):
    DEVELOPMENT = "development"
    PRODUCTION = "production"


class LogLevel(StrEnum):
    TRACE = "TRACE"
    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


class LogFormat(StrEnum):
    PRETTY = "pretty"
    JSON = "json"


class Runner(StrEnum):
    ZENML = "zenml"
    IN_PROCESS = "in_process"


class DiarizerName(StrEnum):
    BASIC = "basic"
    SHERPA = "sherpa"
    PYANNOTE = "pyannote"


class PriceOf(BaseModel):
    """What an engine or a model is paid for, in the currency of the settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    per_audio_minute: float | None = Field(default=None, ge=0)
    per_million_input_tokens: float | None = Field(default=None, ge=0)
    per_million_output_tokens: float | None = Field(default=None, ge=0)
    per_processing_hour: float | None = Field(default=None, ge=0)


class AlertTuning(BaseModel):
    """What of an alert rule is other than by default. `false` stands for one that is not enabled."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = True
    threshold: float | None = None
    severity: Severity | None = None
    fire_after_seconds: float | None = Field(default=None, ge=0)
    resolve_after_seconds: float | None = Field(default=None, ge=0)

    @model_validator(mode="before")
    @classmethod
    def _switched_off(cls, value: object) -> object:
        return {"enabled": False} if value is False else value


def _default_workers() -> int:
    return min(4, os.cpu_count() or 1)


class Settings(BaseSettings):
    """Read from the environment, then from `.env` in the working directory, then from the defaults below."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=ENV_FILE,
        env_ignore_empty=True,
        extra="ignore",
        populate_by_name=True,
        frozen=True,
    )

    environment: Environment = Field(
        default=Environment.DEVELOPMENT, description="`production` refuses anything made for tests."
    )
    host: str = Field(default="127.0.0.1", description="Address the API listens on.")
    port: int = Field(default=8000, ge=1, le=65535, description="Port the API listens on.")
    workers: int = Field(
        default_factory=_default_workers,
        ge=1,
        description="Worker processes; each runs one transcription at a time. Default: one per core, at most 4.",
    )
    worker_metrics_port: int | None = Field(
        default=None,
        ge=1,
        le=65535,
        description="Port at which a machine's workers tell `/metrics`, together, at `HANSARD_HOST`: for machines "
        "without an API, which tells its own machine's. Default: none.",
    )
    max_queued_jobs: int = Field(
        default=10_000, ge=1, description="Transcriptions that may wait; more are refused with 503 until there is room."
    )
    max_queued_jobs_of_owner: int = Field(
        default=5_000, ge=1, description="Of them, those that one owner may have; more are refused with 429."
    )
    openai_api_wait_seconds: float = Field(
        default=590,
        gt=0,
        description="How long `/v1/audio/…` waits for a transcript before it answers 504 and leaves the work to be "
        "fetched. OpenAI's SDK gives up by itself after 600 s.",
    )
    openai_api_models: dict[str, str] = Field(
        default_factory=dict,
        description="What names of models mean in `/v1`, as JSON: "
        '`{"whisper-1": "whisper:large-v3-turbo", "fast": "pocketsphinx"}`. The names that OpenAI has mean `auto` '
        "unless they stand here.",
    )
    testing: bool = Field(
        default=False,
        validation_alias="TESTING",
        description="Allows the `mock` engine. Never with `HANSARD_ENVIRONMENT=production`.",
    )

    max_upload_bytes: int = Field(
        default=4 * 1024**3, gt=0, description="Larger uploads are refused with 413 before they are stored."
    )
    max_audio_seconds: float = Field(
        default=24 * 3600,
        gt=0,
        description="Longer recordings are refused, or fail where only decoding shows it. A small file can decode to "
        "days of silence, which would fill the disk.",
    )
    max_concurrent_uploads: int = Field(
        default=64,
        ge=1,
        description="Recordings that may come in at once, by whichever way; more are refused with 503.",
    )
    upload_lifetime_seconds: float = Field(
        default=24 * 3600, gt=0, description="How long a resumable upload that nobody goes on with is kept."
    )
    url_input: bool = Field(
        default=False,
        description="`1`: recordings may be given by URL, and are fetched from the public internet, without a proxy.",
    )
    url_input_allowed: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Host names, addresses and networks that are not public and may be fetched from all the same, with "
        "commas between: `nas.local, 192.168.1.0/24`.",
    )
    url_connect_seconds: float = Field(
        default=10, gt=0, description="How long the server that a URL names may take to accept a connection."
    )
    url_idle_seconds: float = Field(default=30, gt=0, description="How long it may send nothing.")
    url_total_seconds: float = Field(
        default=3600, gt=0, description="How long fetching a file may take in all. Its client waits so long."
    )

    webhooks_allowed: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Host names, addresses and networks that are not public and to which webhooks may be sent all the "
        "same, with commas between: `intranet.local, 10.1.0.0/16`.",
    )
    webhooks_timeout_seconds: float = Field(
        default=15, gt=0, description="How long an endpoint may take to answer, in all."
    )
    webhooks_dead_after_seconds: float = Field(
        default=3 * 86_400,
        gt=0,
        description="A webhook to which everything has failed for so long is disabled. The default is as long as the "
        "attempts of one delivery take.",
    )

    data_dir: Path = Field(
        default=Path("data"), description="Everything the service writes: PostgreSQL, recordings, ZenML, models, logs."
    )
    database_url: str | None = Field(
        default=None,
        description="A PostgreSQL (15 or newer) you run, as `postgresql://user:password@host/name`. "
        "Default: one embedded in the data directory.",
    )
    storage_url: str | None = Field(
        default=None,
        description="Where recordings are kept: `file:///path`, `s3://bucket/prefix`, `gs://…` or `az://…`. "
        "Default: `objects` in the data directory.",
    )

    log_level: LogLevel = Field(
        default=LogLevel.INFO,
        validation_alias="LOG_LEVEL",
        description="`TRACE`, `DEBUG`, `INFO`, `WARNING` or `ERROR`.",
    )
    log_format: LogFormat = Field(
        default=LogFormat.PRETTY, validation_alias="LOG_FORMAT", description="`pretty` for people, `json` for machines."
    )
    log_directory: Path | None = Field(
        default=None,
        description="Where each process also writes its log, as JSON lines for `hansard logs`. Default: `logs` in the "
        "data directory.",
    )
    log_file_bytes: int = Field(
        default=10_000_000,
        ge=0,
        description="A file that has grown to this, or is of yesterday, is compressed and put aside; `0`: no files.",
    )
    log_files_kept: int = Field(default=5, ge=0, description="Of each process's files put aside, so many are kept.")
    log_file_days: float = Field(default=14, gt=0, description="None is kept longer.")
    log_probe_every: int = Field(
        default=0,
        ge=0,
        description="Of health checks and reads of the metrics that went well, one in so many is logged at `INFO`, the "
        "others at `DEBUG`; `0`: all of them at `DEBUG`. Those that went wrong always are at `INFO`.",
    )

    traces_endpoint: str | None = Field(
        default=None,
        validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT",
        pattern="^https?://",
        description="The collector that traces are sent to, by OTLP over HTTP, as `http://localhost:4318`. Default: "
        "no traces.",
    )
    traces_headers: SecretStr | None = Field(
        default=None,
        validation_alias="OTEL_EXPORTER_OTLP_HEADERS",
        description="What the collector wants to know us by, as `name=value,name=value`.",
    )
    traces_ratio: float = Field(
        default=1.0,
        ge=0,
        le=1,
        description="The part of the traces that is recorded. One that a client began is where the client records it.",
    )

    pipeline_runner: Runner = Field(
        default=Runner.ZENML,
        description="`zenml` records every job as a ZenML run; `in_process` runs the same steps untracked.",
    )
    zenml_store_url: str | None = Field(
        default=None,
        validation_alias="ZENML_STORE_URL",
        description="ZenML's SQL store, as `sqlite:///…` or `mysql://…`. Default: a file in the data directory.",
    )

    engine_chain: Annotated[tuple[str, ...], NoDecode] = Field(
        default=("openai", "whisper", "pocketsphinx"),
        min_length=1,
        description="What `auto` tries, best first, with commas between. The first engine that can do the job here "
        "does it.",
    )
    offline: bool = Field(default=False, description="`1`: no engine and no model download touches the network.")
    whisper_model: str | None = Field(
        default=None,
        description="A Whisper model's name (`small`, `large-v3-turbo`, `Systran/faster-whisper-base` …) or a local "
        "directory. Default: `large-v3-turbo` with a GPU, `small` without.",
    )
    whisper_device: str = Field(default="auto", description="`auto`, `cpu` or `cuda`.")
    whisper_compute_type: str = Field(
        default="default",
        description="CTranslate2's: `int8`, `float16`, `float32` … `default`: float16 on a GPU, int8 without.",
    )
    whisper_beam_size: int = Field(default=5, ge=1, description="Hypotheses kept while decoding; 1 is fastest.")
    whisper_batch_size: int = Field(
        default=1, ge=1, description="30-second windows decoded at once: 8 to 16 pays on a GPU, 1 is best without."
    )
    whisper_threads: int = Field(
        default=1, ge=1, description="CPU threads a worker gives to Whisper; more workers beat more threads."
    )
    openai_api_key: SecretStr | None = Field(
        default=None, validation_alias="OPENAI_API_KEY", description="Your key; with it, `auto` uses OpenAI first."
    )
    openai_base_url: str | None = Field(
        default=None,
        validation_alias="OPENAI_BASE_URL",
        pattern="^https?://",
        description="Another server that speaks OpenAI's API.",
    )
    openai_model: str = Field(
        default="whisper-1", description="OpenAI's model when none is asked for; `whisper-1` gives word times."
    )
    openai_timeout_seconds: float = Field(default=600, gt=0, description="How long one call to OpenAI may take.")

    diarizer: DiarizerName = Field(
        default=DiarizerName.BASIC,
        description="Who tells who speaks: `basic` is always there; `sherpa` and `pyannote` are better with meetings, "
        "and want `pip install sherpa-onnx` or `pyannote.audio`, and models of yours.",
    )
    diarization_models: Path | None = Field(
        default=None,
        description="The directory of its models. `sherpa`: `segmentation.onnx` and `embedding.onnx`, by default in "
        "`models/sherpa` of the data directory. `pyannote`: a clone of speaker-diarization-community-1, by default "
        "from the hub with `HF_TOKEN`. `basic`: where `make install` puts its weights.",
    )
    huggingface_token: SecretStr | None = Field(
        default=None,
        validation_alias="HF_TOKEN",
        description="Your token for the Hugging Face hub, after you accepted the terms of pyannote's model there.",
    )

    retry_max_attempts: int = Field(
        default=4, ge=1, description="Times an engine is tried before a transcription fails."
    )
    retry_base_seconds: float = Field(
        default=1.0, ge=0, description="Back-off before the second attempt; it doubles with each."
    )
    retry_cap_seconds: float = Field(
        default=60.0, ge=0, description="The longest back-off, unless the provider asks for more."
    )
    retry_budget_seconds: float = Field(
        default=300.0, ge=0, description="The most that one transcription waits between attempts, in all."
    )
    circuit_failures: int = Field(
        default=5,
        ge=1,
        description="Failures of an engine in a row, in all jobs together, after which it is left alone for a while.",
    )
    circuit_open_seconds: float = Field(
        default=30.0, gt=0, description="How long it is left alone the first time; twice as long each time after."
    )
    circuit_longest_open_seconds: float = Field(default=600.0, gt=0, description="The longest it is left alone.")
    max_crashes: int = Field(
        default=3, ge=1, description="Workers that may die at one place of a recording before it fails."
    )
    gap_seconds: float = Field(
        default=3.0,
        gt=0,
        description="Speech without text is heard again, and told, from so many seconds in one place on.",
    )

    live_sessions: int = Field(
        default=4,
        ge=0,
        description="Live sessions (`WS /live`, `/v1/realtime`) that may run at once, in the API's process; 0: none.",
    )
    live_silence_seconds: float = Field(
        default=0.5, ge=0.1, description="So much silence ends an utterance, unless the client asks for another."
    )
    live_padding_seconds: float = Field(
        default=0.3, ge=0, description="Kept on both sides of an utterance, unless the client asks for another."
    )
    live_utterance_seconds: float = Field(
        default=15.0, ge=2, description="A longer utterance is split where speech is least likely."
    )
    live_interim_seconds: float = Field(
        default=1.0,
        ge=0,
        description="How often what is being said is recognised while nothing else waits; 0: never. Engines that are "
        "paid by the call do so only for clients that ask for `interims`.",
    )
    live_backlog_seconds: float = Field(
        default=30.0,
        gt=0,
        description="With more speech than this waiting for the engine, a live client is held up; nothing is dropped.",
    )

    canary_seconds: float = Field(
        default=0,
        ge=0,
        description="How often the workers, together, recognise a known phrase with the first engine that can, for "
        "`GET /health`; 0: never. What the engine is paid for a call is paid for each.",
    )
    scarce_disk_bytes: int = Field(
        default=5_000_000_000,
        ge=0,
        description="With less free space than this in the data directory, health is degraded; with a tenth of it, "
        "PostgreSQL is in danger. The default is a large Whisper model and a day's recordings.",
    )

    alerts: Annotated[dict[RuleName, AlertTuning], NoDecode] = Field(
        default_factory=dict,
        description="What is other than in [alerts.md](alerts.md), as JSON: "
        '`{"backlog": {"threshold": 7200, "severity": "critical", "fire_after_seconds": 600, '
        '"resolve_after_seconds": 600}, "fallbacks": false}`. `false` switches a rule off.',
    )
    alert_seconds: float = Field(default=30, ge=5, description="How often the rules are judged, by one process of all.")
    alert_window_seconds: float = Field(
        default=900, gt=0, description="Rates and latencies are of the transcriptions that ended in so long."
    )
    alert_least_jobs: int = Field(
        default=10, ge=1, description="With fewer of them, rates and latencies say nothing, and alert nobody."
    )
    alert_low_coverage: float = Field(
        default=0.9, ge=0, le=1, description="A transcript with less of the speech than this part has a low coverage."
    )

    notify_urls: SecretStr | None = Field(
        default=None,
        description="Who is told, as [apprise](https://github.com/caronc/apprise/wiki) URLs with commas or spaces "
        "between: `mailto://…`, `slack://…`, `msteams://…`, `tgram://…`. `hansard notify test` tries them.",
    )
    notify_on: Annotated[tuple[Occasion, ...], NoDecode] = Field(
        default=(Occasion.ALERTS,),
        description="What they are told of, with commas between: `alerts`, `failed`, `completed`.",
    )
    public_url: str | None = Field(
        default=None,
        pattern="^https?://",
        description="Where people reach this service, for links in what they are sent: `https://hansard.example.org`.",
    )

    analytics_database_url: str | None = Field(
        default=None,
        description="The PostgreSQL database of the analytics, which must not be the service's own. Default: the one "
        "beside it, with `_analytics` after its name; it is made where that is allowed.",
    )
    timing: bool = Field(
        default=True,
        description="`0`: functions are not timed for `GET /analytics/functions`. Timing costs a microsecond a call.",
    )
    performance_raw_hours: float = Field(
        default=24,
        gt=0,
        description="What functions and processes took is kept in detail for so long, then by the hour.",
    )
    prices: dict[str, PriceOf] = Field(
        default_factory=dict,
        description="What engines are paid for, as JSON, by engine or `engine:model`: "
        '`{"openai:gpt-4o-transcribe": {"per_million_input_tokens": 2.5, "per_million_output_tokens": 10}, '
        '"whisper": {"per_processing_hour": 0.2}}`; there is `per_audio_minute`, too. Where nothing is said of them '
        "and the currency is USD, OpenAI's models have its prices of October 2025.",
    )
    currency: str = Field(
        default="USD", pattern="^[A-Z]{3}$", description="The currency of the prices, by its ISO 4217 code."
    )
    events_keep_days: float = Field(
        default=0, ge=0, description="How long the audit trail reaches back; 0: to the beginning."
    )
    webhook_deliveries_keep_days: float = Field(
        default=30, ge=0, description="How long webhook deliveries that are over are kept; 0: for ever."
    )
    checkpoints_keep_days: float = Field(
        default=90,
        ge=0,
        description="How long is kept what was found out on the way to a transcript, once it is completed, failed or "
        "cancelled: the words so far of one that failed, too; 0: for ever.",
    )
    performance_keep_days: float = Field(
        default=90, ge=0, description="How long it is kept what functions and processes took; 0: for ever."
    )
    pipeline_runs_keep_days: float = Field(default=90, ge=0, description="How long ZenML's runs are kept; 0: for ever.")
    prune_seconds: float = Field(default=3600, ge=60, description="How often what was kept for long enough is removed.")

    @field_validator("engine_chain", "url_input_allowed", "webhooks_allowed", "notify_on", mode="before")
    @classmethod
    def _split_at_commas(cls, value: object) -> object:
        return tuple(name.strip() for name in value.split(",") if name.strip()) if isinstance(value, str) else value

    @field_validator("alerts", mode="before")
    @classmethod
    def _from_json(cls, value: object) -> object:
        try:
            return json.loads(value) if isinstance(value, str) else value
        except json.JSONDecodeError as error:
            raise ValueError(f"It is not JSON: {error}") from error

    @field_validator("log_level", mode="before")
    @classmethod
    def _in_capitals(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator("data_dir")
    @classmethod
    def _expand_home(cls, value: Path) -> Path:
        return value.expanduser()

    @model_validator(mode="after")
    def _refuse_tests_in_production(self) -> Self:
        if self.testing and self.environment is Environment.PRODUCTION:
            raise ValueError(
                "TESTING=true does not go with HANSARD_ENVIRONMENT=production: it allows an engine that makes its "
                "transcripts up. Unset TESTING, or set HANSARD_ENVIRONMENT=development."
            )
        return self


class SettingsError(ConfigurationError):
    """A setting cannot be used; the message names the variable, its value and what would do."""

    code = "bad_settings"


def load() -> Settings:
    """The settings of this process. Raises `SettingsError`."""
    try:
        return Settings()
    except ValidationError as error:
        problems = [_problem(detail) for detail in error.errors(include_url=False)]
        raise SettingsError(
            "\n".join(problem for problem, _ in problems),
            help="\n".join(remedy for _, remedy in problems if remedy) or None,
        ) from error


def variable(name: str) -> str:
    """The environment variable of the setting called `name`."""
    alias = Settings.model_fields[name].validation_alias
    return alias if isinstance(alias, str) else f"{PREFIX}{name.upper()}"


def is_secret(name: str) -> bool:
    """Whether the value of the setting called `name` must not be shown."""
    return "SecretStr" in str(Settings.model_fields[name].annotation)


def secrets(settings: Settings) -> Iterator[str]:
    """The values that must not be shown: keys, and the passwords in URLs and headers."""
    for name in Settings.model_fields:
        value = cast("object", getattr(settings, name))
        for each in cast("tuple[object, ...]", value) if isinstance(value, tuple) else (value,):
            if isinstance(each, SecretStr):
                secret = each.get_secret_value().strip()
                yield from (secret, *(part.partition("=")[2] for part in secret.split(",")))
            elif isinstance(each, str):
                yield from _PASSWORD_IN_URL.findall(each)


class Origin(StrEnum):
    ENVIRONMENT = "environment"
    ENV_FILE = ".env"
    DEFAULT = "default"


def origin(name: str) -> Origin:
    """Where the setting called `name` gets its value from, in this process."""
    wanted = variable(name).casefold()
    for place, variables in ((Origin.ENVIRONMENT, os.environ), (Origin.ENV_FILE, dotenv_values(ENV_FILE))):
        if any(key.casefold() == wanted and value for key, value in variables.items()):
            return place
    return Origin.DEFAULT


def unknown_variables() -> dict[str, str | None]:
    """Variables that look like ours but are not, each with the one that was probably meant."""
    known = {variable(name).removeprefix(PREFIX): variable(name) for name in Settings.model_fields}
    unknown: dict[str, str | None] = {}
    for name in sorted({*os.environ, *dotenv_values(ENV_FILE)}):
        if name.upper().startswith(PREFIX) and name.upper() not in known.values():
            close = get_close_matches(name.upper().removeprefix(PREFIX), known, n=1)
            unknown[name] = known[close[0]] if close else None
    return unknown


def _problem(detail: "ErrorDetails") -> tuple[str, str | None]:
    """What is wrong, and what to do about it."""
    message = detail["msg"].removeprefix("Value error, ")
    if not detail["loc"]:
        return message, None
    # pydantic names a setting by its alias where it has one, else by its field.
    place = str(detail["loc"][0])
    name = next(name for name in Settings.model_fields if place in {name, variable(name)})
    value = "***" if is_secret(name) else detail["input"]
    key, purpose, where = variable(name), Settings.model_fields[name].description, origin(name)
    return (
        f"{key}={value} cannot be used: {message[0].lower()}{message[1:]}.",
        f"{key} ({where}): {purpose} Correct it, or unset it for its default.",
    )
