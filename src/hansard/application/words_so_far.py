"""A transcription with what has been recognised of its recording by now, whether its record is closed or not."""

from uuid import UUID

from hansard.application.ports.records import TranscriptRepository, UnitOfWork
from hansard.domain.channels import folded
from hansard.domain.transcript import Transcript
from hansard.domain.transcription import Status, Transcription


def with_words_so_far(uow: UnitOfWork, transcription_id: UUID) -> tuple[Transcription, Transcript]:
    """Its transcript; before it is completed, what its finished passages make. Raises `NotFound`."""
    transcription, transcript = uow.transcriptions.with_transcript(transcription_id)
    if transcription.status is not Status.COMPLETED:
        transcript = _of_passages(uow.transcripts, transcription_id)
    return transcription, transcript or Transcript(language=None, segments=())


def _of_passages(transcripts: TranscriptRepository, transcription_id: UUID) -> Transcript:
    """In the recording's own time, also where channels are heard apart."""
    transcript = Transcript.of(transcripts.passages(transcription_id))
    speech = transcripts.speech(transcription_id)
    return transcript if speech is None else folded(transcript, speech)
