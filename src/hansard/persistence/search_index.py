"""Keeping what search looks in: a row for each segment, with a `tsvector` of all that it is found and filtered by."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, any_, delete, insert, literal, select, text
from sqlalchemy.dialects.postgresql import ARRAY

from hansard.application.ports.records import SearchQuery
from hansard.domain.languages import base_language
from hansard.domain.revision import Hunk
from hansard.domain.transcript import Segment, Transcript
from hansard.persistence import mapping, search_terms, statements, tables
from hansard.persistence.search_terms import STEMMERS, Kind, Stems, Token, label

_STEMS = text("""
    SELECT language, word, (ts_lexize(dictionary.oid::regdictionary, word))[1] AS stem
      FROM unnest(CAST(:languages AS text[]), CAST(:stemmers AS text[]), CAST(:words AS text[]))
        AS asked (language, stemmer, word)
      JOIN pg_catalog.pg_ts_dict AS dictionary
        ON dictname = stemmer AND dictnamespace = 'pg_catalog'::regnamespace
""")


def index(connection: Connection, transcription_id: UUID, transcript: Transcript) -> None:
    """Make a transcript findable, in place of what was findable of it before."""
    table = tables.searchable_segments
    connection.execute(delete(table).where(table.c.transcription_id == transcription_id))
    add(connection, transcription_id, transcript)


def add(connection: Connection, transcription_id: UUID, transcript: Transcript) -> None:
    """The same where nothing of it was findable before."""
    _insert(connection, transcription_id, transcript, transcript.segments)


def index_changes(
    connection: Connection, transcription_id: UUID, transcript: Transcript, hunks: Iterable[Hunk]
) -> None:
    """The same, where `hunks` are all that changed. Rows are known by their time, so the others are left alone."""
    table = tables.searchable_segments
    starts = {segment.start_seconds for hunk in hunks for segment in (*hunk.removed, *hunk.inserted)}
    began_then = table.c.start_seconds == any_(literal(sorted(starts), ARRAY(tables.NUMBER)))
    connection.execute(delete(table).where(table.c.transcription_id == transcription_id, began_then))
    changed = [segment for segment in transcript.segments if segment.start_seconds in starts]
    _insert(connection, transcription_id, transcript, changed)


def index_all(connection: Connection) -> None:
    """Make every transcript findable: for a migration."""
    table = tables.transcripts
    for transcription_id in connection.execute(select(table.c.transcription_id)).scalars().all():
        row = connection.execute(select(table).where(table.c.transcription_id == transcription_id)).mappings().one()
        index(connection, transcription_id, mapping.transcript_from_row(row))


def stems_of(connection: Connection, spoken: Iterable[tuple[str, str]]) -> Stems:
    """The stems of words of a language, given as pairs (language, word). Stop words have none.

    As PostgreSQL's dictionaries have them; a language without one has no stems.
    """
    asked = [(language, STEMMERS[language], word) for language, word in spoken if language in STEMMERS]
    if not asked:
        return {}
    languages, stemmers, words = zip(*asked, strict=True)
    columns: dict[str, Any] = {"languages": list(languages), "stemmers": list(stemmers), "words": list(words)}
    stems: dict[str, dict[str, str]] = {}
    for row in connection.execute(_STEMS, columns):
        if row.stem is not None:
            stems.setdefault(row.language, {})[row.word] = row.stem
    return stems


def words_of(texts: Iterable[tuple[str | None, Sequence[Token]]]) -> set[tuple[str, str]]:
    """The words that may have stems, each with its language."""
    return {
        (language, token.term)
        for language, tokens in texts
        if language is not None
        for token in tokens
        if token.kind is Kind.WORD
    }


def filters(query: SearchQuery, owner: str) -> list[str]:
    """The labels that a segment must have to be found by a query."""
    return [label("owner", owner), *_metadata_labels(query.metadata), *_labels(query.speaker, query.language)]


def _insert(
    connection: Connection, transcription_id: UUID, transcript: Transcript, segments: Sequence[Segment]
) -> None:
    stored = [mapping.segment_to_json(segment) for segment in segments if segment.text]
    if not stored:
        return
    of = connection.execute(statements.TRANSCRIPTION, {"wanted_id": transcription_id}).one()
    common = [label("owner", of.owner), *_metadata_labels(of.parameters["metadata"])]
    languages = [_language(segment["language"] or transcript.language) for segment in stored]
    tokens = [search_terms.tokens(segment["text"]) for segment in stored]
    stems = stems_of(connection, words_of(zip(languages, tokens, strict=True)))
    numbers: Counter[float] = Counter()
    rows: list[mapping.Row] = []
    for segment, language, each in zip(stored, languages, tokens, strict=True):
        start = segment["start_seconds"]
        labels = [*common, *_labels(segment["speaker"], language)]
        rows.append(
            {
                "transcription_id": transcription_id,
                "start_seconds": start,
                "number": numbers[start],
                "created_at": of.created_at,
                "language": language,
                "segment": segment,
                "lexemes": search_terms.vector(each, language, stems, labels),
            }
        )
        numbers[start] += 1
    connection.execute(insert(tables.searchable_segments), rows)


def _metadata_labels(metadata: Mapping[str, str]) -> Iterator[str]:
    return (label("metadata", key, value) for key, value in metadata.items())


def _labels(speaker: str | None, language: str | None) -> Iterator[str]:
    if speaker is not None:
        yield label("speaker", speaker.casefold())
    if language is not None:
        yield label("language", base_language(language))


def _language(code: str | None) -> str | None:
    return base_language(code) if code else None
