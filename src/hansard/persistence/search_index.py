"""Keeping what search looks in: a row for each segment, with a `tsvector` of all that it is found and filtered by."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, any_, delete, insert, literal, select, text
from sqlalchemy.dialects.postgresql import ARRAY

from hansard.application.ports.records import PHRASE_REACH, SearchQuery
from hansard.domain.languages import base_language
from hansard.domain.revision import Hunk
from hansard.domain.transcript import Segment, Transcript
from hansard.domain.transcription import Transcription
from hansard.persistence import mapping, search_terms, statements, tables, transcript_mapping
from hansard.persistence.search_terms import STEMMERS, Kind, Stems, Token, label
from hansard.persistence.values import Row, storable

_STEMS = text("""
    SELECT language, word, (ts_lexize(dictionary.oid::regdictionary, word))[1] AS stem
      FROM unnest(CAST(:languages AS text[]), CAST(:stemmers AS text[]), CAST(:words AS text[]))
        AS asked (language, stemmer, word)
      JOIN pg_catalog.pg_ts_dict AS dictionary
        ON dictname = stemmer AND dictnamespace = 'pg_catalog'::regnamespace
""")


def add(connection: Connection, transcription: Transcription, transcript: Transcript) -> None:
    """Make a transcript findable of which nothing is."""
    _insert(connection, transcription, transcript, range(len(transcript.segments)))


def index_changes(
    connection: Connection, transcription: Transcription, transcript: Transcript, hunks: Sequence[Hunk]
) -> None:
    """Make it findable as it is now, where `hunks` are all that changed. Rows are known by their time, so the others
    are left alone, but for those that phrases lead from to what changed.
    """
    table = tables.searchable_segments
    segments = transcript.segments
    starts = {segment.start_seconds for hunk in hunks for segment in (*hunk.removed, *hunk.inserted)}
    starts.update(segments[number].start_seconds for place in _places(hunks) for number in _leading_to(segments, place))
    began_then = table.c.start_seconds == any_(literal(sorted(starts), ARRAY(tables.NUMBER)))
    connection.execute(delete(table).where(table.c.transcription_id == transcription.id, began_then))
    changed = [number for number, segment in enumerate(segments) if segment.start_seconds in starts]
    _insert(connection, transcription, transcript, changed)


def index_all(connection: Connection) -> None:
    """Make every transcript findable, in place of all that was: for a migration."""
    connection.execute(delete(tables.searchable_segments))
    for transcription_id in connection.execute(select(tables.transcripts.c.transcription_id)).scalars().all():
        wanted = {"wanted_id": transcription_id}
        of = connection.execute(statements.TRANSCRIPTION, wanted).mappings().one()
        row = connection.execute(statements.OF_TRANSCRIPTION[tables.transcripts], wanted).mappings().one()
        add(connection, mapping.transcription_from_row(of), transcript_mapping.transcript_from_row(row))


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


def _places(hunks: Iterable[Hunk]) -> Iterator[int]:
    """Where the hunks begin, in segments of the state after."""
    shift = 0
    for hunk in hunks:
        yield hunk.at + shift
        shift += len(hunk.inserted) - len(hunk.removed)


def _leading_to(segments: Sequence[Segment], place: int) -> Iterator[int]:
    """The segments that are found by what is at a place after them, the last of them first."""
    between = 0
    while place > 0 and between < PHRASE_REACH:
        place -= 1
        yield place
        between += len(_tokens(segments[place]))


def _texts(segments: Sequence[Segment], numbers: Iterable[int]) -> list[tuple[list[Token], list[Token]]]:
    """The tokens of each segment that is named, and those that come after it."""

    @cache
    def tokens(number: int) -> list[Token]:
        return _tokens(segments[number])

    return [(tokens(number), search_terms.opening(map(tokens, range(number + 1, len(segments))))) for number in numbers]


def _tokens(segment: Segment) -> list[Token]:
    return search_terms.tokens(storable(segment.text))


def _insert(
    connection: Connection, transcription: Transcription, transcript: Transcript, numbers: Iterable[int]
) -> None:
    """`numbers` are those of the segments, in order."""
    segments = transcript.segments
    said = [number for number in numbers if segments[number].text]
    if not said:
        return
    stored = [transcript_mapping.segment_to_json(segments[number]) for number in said]
    texts = _texts(segments, said)
    common = [label("owner", transcription.owner), *_metadata_labels(transcription.parameters.metadata)]
    languages = [_language(segment["language"] or transcript.language) for segment in stored]
    stems = stems_of(connection, words_of(zip(languages, (tokens for tokens, _ in texts), strict=True)))
    begun: Counter[float] = Counter()
    rows: list[Row] = []
    for segment, language, (tokens, tokens_after) in zip(stored, languages, texts, strict=True):
        start = segment["start_seconds"]
        labels = [*common, *_labels(segment["speaker"], language)]
        rows.append(
            {
                "transcription_id": transcription.id,
                "start_seconds": start,
                "number": begun[start],
                "created_at": transcription.created_at,
                "language": language,
                "segment": segment,
                "lexemes": search_terms.vector(tokens, tokens_after, language, stems, labels),
            }
        )
        begun[start] += 1
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
