"""Between recognising and settling, when asked for: who speaks when.

Whatever goes wrong here costs speakers, never the text: it is told as a warning, and the record is settled without.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from threading import Event as Flag
from uuid import UUID

from hansard.application.ports.engines import Diarizer, EngineState
from hansard.application.ports.storage import PreparedAudio
from hansard.application.prepare import PrepareAudio
from hansard.application.run import Record, Run, Runs
from hansard.application.watched import watched_call
from hansard.domain.audio import AudioFile
from hansard.domain.diarization import SpeakerBounds, Turn
from hansard.domain.errors import DiarizationFailed, HansardError, InvalidRequest
from hansard.domain.speech import Speech
from hansard.domain.transcript import RecognisedPassage
from hansard.domain.transcription import Channels, Parameters
from hansard.timing.decorators import monitor_performance

MOST_CRASHES = 2
"""Workers that may die after the last word was recognised, before that is taken for the diarizer's doing."""

TRY_AGAIN = "The log has the details, under this transcription's id."


@dataclass(frozen=True, slots=True, kw_only=True)
class Diarized:
    """What the step measured. `diarizer` is "none" when nobody could tell who speaks."""

    diarizer: str
    speakers: int
    turns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Diarize:
    """Raises only what breaks any step off: `Superseded`, and `StorageError` when the database is away.

    An engine that names speakers itself is believed where it heard all of the speech in one go: it has the words to
    go by. Where it took several passages, it does not know the speakers of one in the next, and is overruled.
    """

    runs: Runs
    prepare_audio: PrepareAudio
    prepared: PreparedAudio
    diarizer: Diarizer

    def is_wanted(self, transcription_id: UUID, run_number: int) -> bool:
        """Raises `Superseded`."""
        return wants_diarizer(self.runs.of(transcription_id, run_number).record.parameters)

    @monitor_performance
    def __call__(self, transcription_id: UUID, run_number: int) -> Diarized:
        run = self.runs.of(transcription_id, run_number)
        with run.failures_recorded():
            if (named := _named_by_engine(run.record.passages)) is not None:
                return named
            with run.look() as (uow, _):
                turns = uow.transcripts.turns(transcription_id)
            if turns is None:
                turns = self._work_out(run, run.record)
        return Diarized(
            diarizer=self.diarizer.name if turns else "none",
            speakers=len({turn.speaker for turn in turns}),
            turns=len(turns),
        )

    def _work_out(self, run: Run, record: Record) -> tuple[Turn, ...]:
        """Empty when that failed, with a warning that says why."""
        with run.change() as (_, transcription):
            transcription.report(f"finding out who speaks with {self.diarizer.name}")
            crashes = transcription.crashes
        bounds, speech = _bounds(record.parameters), record.speech or Speech(0.0, ())
        work = partial(self._try, run.transcription_id, record.audio, speech, bounds)
        outcome = _killed_its_workers(crashes) if crashes >= MOST_CRASHES else watched_call(work, run.check)
        with run.change() as (uow, transcription):
            if isinstance(outcome, HansardError):
                failure = outcome.failure
                transcription.warn(f"Nobody could tell who speaks: {failure.message} {failure.help or TRY_AGAIN}")
                return ()
            uow.transcripts.save_turns(run.transcription_id, outcome)
            if self.diarizer.limitation:
                transcription.warn(self.diarizer.limitation)
        return outcome

    def _try(
        self, transcription_id: UUID, audio: AudioFile, speech: Speech, bounds: SpeakerBounds, stop: Flag
    ) -> tuple[Turn, ...] | HansardError:
        """In a thread of its own. Once `stop` is set, nobody looks at the outcome."""
        try:
            require_diarizer(self.diarizer)
            if not self.prepared.exists(transcription_id):
                self.prepare_audio(transcription_id, audio, Channels.MIXED, stop)
            samples = partial(self.prepared.read, transcription_id)
            turns = self.diarizer.diarize(samples, speech, bounds, stop)
        except HansardError as error:
            return error
        except Exception as error:  # noqa: BLE001 - whatever a diarizer raises must not cost the text
            return DiarizationFailed(f"The diarizer {self.diarizer.name} broke down ({type(error).__name__}).")
        return turns or DiarizationFailed("No voice was found.")


def wants_diarizer(parameters: Parameters) -> bool:
    """Channels that are heard apart are speakers already."""
    return parameters.diarize and parameters.channels is Channels.MIXED


def require_diarizer(diarizer: Diarizer) -> None:
    """Raises `InvalidRequest` when it cannot work here. Quick."""
    status = diarizer.status()
    if status.state is EngineState.UNAVAILABLE:
        raise InvalidRequest(
            f"The diarizer {diarizer.name} cannot work here: {status.detail}.",
            code="diarization_unavailable",
            help=f"{status.help or 'Ask the operator.'} Or leave `diarize` out.",
        )


def _bounds(parameters: Parameters) -> SpeakerBounds:
    return SpeakerBounds(least=parameters.min_speakers, most=parameters.max_speakers)


def _named_by_engine(passages: Sequence[RecognisedPassage]) -> Diarized | None:
    speaking = [passage for passage in passages if passage.segments]
    if len(speaking) != 1 or not all(segment.speaker for segment in speaking[0].segments):
        return None
    passage = speaking[0]
    speakers = {segment.speaker for segment in passage.segments}
    return Diarized(diarizer=passage.engine, speakers=len(speakers), turns=len(passage.segments))


def _killed_its_workers(times: int) -> DiarizationFailed:
    return DiarizationFailed(
        f"The worker died {times} times after the last word was recognised, so it was not tried again.",
        help="Look in the log and the system's journal for memory running out.",
    )
