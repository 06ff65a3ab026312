"""What has been recognised of a recording before its record is closed."""

from uuid import UUID

from hansard.application.ports.records import TranscriptRepository
from hansard.domain.channels import folded
from hansard.domain.transcript import Transcript


def words_so_far(transcripts: TranscriptRepository, transcription_id: UUID) -> Transcript:
    """What the finished passages make, in the recording's own time also where channels are heard apart."""
    transcript = Transcript.of(transcripts.passages(transcription_id))
    speech = transcripts.speech(transcription_id)
    return transcript if speech is None else folded(transcript, speech)
