"""What was said: segments, sentences and paragraphs."""

from hansard.domain.paragraphs import paragraphs
from hansard.domain.sentences import Sentence, sentences
from hansard.domain.transcript import DecodingScores, Segment, Transcript, Word
from hansard.domain.transcription import Status, Transcription
from hansard.http.schemas.transcripts import (
    Paragraphs,
    RecognisedSegment,
    RecognisedWord,
    SegmentScores,
    Sentences,
    TranscriptParagraph,
    TranscriptSentence,
)


def segment_json(segment: Segment) -> RecognisedSegment:
    return RecognisedSegment(
        start_seconds=segment.start_seconds,
        end_seconds=segment.end_seconds,
        text=segment.text,
        confidence=segment.confidence,
        language=segment.language,
        language_probability=segment.language_probability,
        speaker=segment.speaker,
        engine=segment.engine,
        scores=_scores_json(segment.scores),
        words=[_word_json(word) for word in segment.words],
    )


def sentences_json(transcription: Transcription, transcript: Transcript) -> Sentences:
    said = sentences(transcript)
    return Sentences(
        transcription_id=transcription.id,
        status=transcription.status,
        partial=transcription.status is not Status.COMPLETED and bool(said),
        language=transcript.language,
        sentences=[_sentence_json(sentence) for sentence in said],
    )


def paragraphs_json(transcription: Transcription, transcript: Transcript) -> Paragraphs:
    said = paragraphs(transcript)
    return Paragraphs(
        transcription_id=transcription.id,
        status=transcription.status,
        partial=transcription.status is not Status.COMPLETED and bool(said),
        language=transcript.language,
        paragraphs=[
            TranscriptParagraph(
                start_seconds=paragraph.start_seconds,
                end_seconds=paragraph.end_seconds,
                text=paragraph.text,
                speaker=paragraph.speaker,
                sentences=[_sentence_json(sentence) for sentence in paragraph.sentences],
            )
            for paragraph in said
        ],
    )


def _scores_json(scores: DecodingScores | None) -> SegmentScores | None:
    if scores is None:
        return None
    return SegmentScores(
        average_log_probability=scores.average_log_probability,
        compression_ratio=scores.compression_ratio,
        no_speech_probability=scores.no_speech_probability,
        temperature=scores.temperature,
    )


def _sentence_json(sentence: Sentence) -> TranscriptSentence:
    return TranscriptSentence(
        start_seconds=sentence.start_seconds,
        end_seconds=sentence.end_seconds,
        text=sentence.text,
        speaker=sentence.speaker,
        confidence=sentence.confidence,
        words=[_word_json(word) for word in sentence.words],
    )


def _word_json(word: Word) -> RecognisedWord:
    return RecognisedWord(
        text=word.text,
        start_seconds=word.start_seconds,
        end_seconds=word.end_seconds,
        probability=word.probability,
        speaker=word.speaker,
    )
