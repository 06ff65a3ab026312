"""The whole object graph on one page: settings in, a container of use cases and adapters out.

Nothing else constructs an adapter. Building is cheap and starts nothing but the embedded database: engines load
their models, and ZenML is imported, when they are first needed.
"""

import os
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import sqlalchemy

from hansard.application.cancel import Cancel
from hansard.application.choose_engine import ChooseEngine
from hansard.application.ports import AudioStore, Clock, PipelineRunner, SpeechEngine, UnitOfWork
from hansard.application.prepare import Prepare, PrepareAudio
from hansard.application.recognise import Recognise
from hansard.application.retry import RetryPolicy
from hansard.application.settle import Settle
from hansard.application.submit import Submit
from hansard.application.transcribe import Steps, Transcribe
from hansard.application.upload import Upload
from hansard.audio.decoder import PyAvDecoder
from hansard.audio.prepared import PreparedAudioFiles
from hansard.audio.voice_activity import SileroDetector, SileroModel
from hansard.domain.errors import ConfigurationError
from hansard.engines.mock import MockEngine
from hansard.engines.openai import OpenAiEngine
from hansard.engines.pocketsphinx import PocketSphinxEngine
from hansard.engines.whisper import WhisperEngine
from hansard.engines.whisper_models import WhisperModels
from hansard.observability.logging import strip_foreign_handlers
from hansard.persistence import database, embedded
from hansard.persistence.unit_of_work import SqlUnitOfWork
from hansard.pipelines.in_process import InProcessRunner
from hansard.pipelines.zenml_runner import ZenmlRunner
from hansard.pipelines.zenml_store import ZenmlStore
from hansard.queue.jobs import TranscriptionJobs
from hansard.settings import Runner, Settings
from hansard.storage.object_store import ObjectAudioStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """What the entry points use. Close it with `close`."""

    settings: Settings
    clock: Clock
    database_url: str
    database: sqlalchemy.Engine
    unit_of_work: Callable[[], UnitOfWork]
    store: AudioStore
    engines: Mapping[str, SpeechEngine]
    whisper: WhisperEngine
    runner: PipelineRunner
    upload: Upload
    submit: Submit
    cancel: Cancel
    transcribe: Transcribe
