"""Finding: full text over all transcripts, the newest first.

What is looked for is either common, and then a page of it is among the newest few thousand segments, or it is rare,
and then the index has all of it in no time. Which of the two, PostgreSQL guesses badly where words are combined with
each other and with filters; so the newest are looked through first, and the index is asked for what they lack.
"""

import binascii
import re
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    ScalarSelect,
    Select,
    and_,
    any_,
    cast,
    func,
    literal,
    or_,
    select,
    text,
    tuple_,
)
from sqlalchemy.dialects.postgresql import ARRAY, TSQUERY

from hansard.application.ports.paging import Page
from hansard.application.ports.records import SearchHit, SearchMatch, SearchQuery
from hansard.domain.languages import base_language
from hansard.domain.transcript import Segment
from hansard.persistence import search_query, search_terms, tables, transcript_mapping
from hansard.persistence.cursors import invalid_cursor
from hansard.persistence.search_index import filters, stems_of, words_of
from hansard.persistence.search_query import Words
from hansard.persistence.search_terms import STEMMERS, Stems
from hansard.timing.decorators import time_it

NEWEST = 15_000
"""Segments that are gone through, newest first, before the index is asked: a common word is found among them."""

PHRASES_GO_FURTHER = 4
"""Times as far: the index does not know what stands beside what. For a phrase of two words that are each in one of ten
segments it offers 25,000, each of which has to be looked at; going through them as they come ends at the first page."""

FEW = 200
"""Transcriptions that are quicker to go through than what the index has of a common word in all of them."""

# What is quick for a rare word takes seconds for a common one: a plan that the server keeps would be for neither.
_PLANNED_FOR_WHAT_IS_ASKED = text("SET LOCAL plan_cache_mode TO force_custom_plan")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_CURSOR = struct.Struct(">q16sdi")

_segments = tables.searchable_segments
_transcriptions = tables.transcriptions
_audio_files = tables.audio_files
_KEY = (_segments.c.transcription_id, _segments.c.start_seconds, _segments.c.number)

_Columns = tuple[ColumnElement[Any], ...]
"""Those of a `_Place`."""


class _Place(NamedTuple):
    """Of a segment, in the order in which they are found."""

    created_at: datetime
    transcription_id: UUID
    start_seconds: float
    number: int


@dataclass(frozen=True, slots=True)
class SqlSearchIndex:
    """`newest` is how many segments are looked through one by one, before the index is asked."""

    connection: Connection
    newest: int = NEWEST

    @time_it
    def find(self, query: SearchQuery, *, owner: str, limit: int, cursor: str | None = None) -> Page[SearchHit]:
        self.connection.execute(_PLANNED_FOR_WHAT_IS_ASKED)
        words = search_query.parse(query.words)
        after = None if cursor is None else _position(cursor)
        languages = STEMMERS if query.language is None else [base_language(query.language)]
        stems = stems_of(self.connection, ((language, word) for language in languages for word in words.stemmed))
        wanted = search_query.to_tsquery(words, stems, filters(query, owner))
        newest = self.newest * PHRASES_GO_FURTHER if words.have_order else self.newest
        found = self._find(_Search(query, owner, wanted, newest), after, limit + 1)
        return Page(
            items=self._hits(found[:limit], words),
            next_cursor=_cursor(found[limit - 1]) if len(found) > limit else None,
        )

    def _find(self, search: "_Search", after: _Place | None, limit: int) -> list[_Place]:
        rows = self.connection.execute(search.among_the_newest(after, limit)).all()
        found = [_Place(*row[:4]) for row in rows if row.found]
        looked_at_all = not rows or rows[-1].nth < search.newest
        if looked_at_all or len(found) == limit:
            return found
        beyond = search.by_index(_Place(*rows[-1][:4]), limit - len(found), self._of_few(search.named()))
        return found + [_Place(*row) for row in self.connection.execute(beyond)]

    def _of_few(self, transcriptions: Select[tuple[UUID]] | None) -> Sequence[UUID] | None:
        if transcriptions is None:
            return None
        found = self.connection.execute(transcriptions).scalars().all()
        return found if len(found) <= FEW else None

    def _hits(self, places: Sequence[_Place], words: Words) -> tuple[SearchHit, ...]:
        if not places:
            return ()
        query = (
            select(
                *_KEY,
                _segments.c.language,
                _segments.c.segment,
                _after().label("after"),
                _transcriptions.c.audio_id,
                _audio_files.c.file_name,
            )
            .join_from(_segments, _transcriptions)
            .join(_audio_files)
            .where(tuple_(*_KEY).in_([place[1:] for place in places]))
        )
        rows = {(row.transcription_id, row.start_seconds, row.number): row for row in self.connection.execute(query)}
        texts = [(row.language, search_terms.tokens(row.segment["text"])) for row in rows.values()]
        languages = {language for language, _ in texts if language is not None}
        sought = {(language, word) for language in languages for word in words.stemmed}
        stems = stems_of(self.connection, words_of(texts) | sought)
        return tuple(_hit(place, rows[place[1:]], words, stems) for place in places if place[1:] in rows)


@dataclass(frozen=True, slots=True)
class _Search:
    """A query as the database is asked it. `wanted` is a `tsquery`, with the filters that are labels in it."""

    query: SearchQuery
    owner: str
    wanted: str
    newest: int

    def among_the_newest(self, after: _Place | None, limit: int) -> Select[Any]:
        """What is found in the newest segments, with its number among these; and the last of them, found or not."""
        # By the columns that PostgreSQL has an index on, so that it goes no further than it must.
        place = (_transcriptions.c.created_at, _transcriptions.c.id, _segments.c.start_seconds, _segments.c.number)
        found = self._is_wanted()
        if self.query.file_name is not None:
            found = and_(found, _is_named(self.query.file_name))
        newest = (
            select(*place, found.label("found"), func.row_number().over(order_by=_order(place)).label("nth"))
            .join_from(_transcriptions, _segments)
            .join(_audio_files, _audio_files.c.id == _transcriptions.c.audio_id)
            .where(_transcriptions.c.owner == self.owner, *self._is_in_time(place), *_is_beyond(after, place))
            .order_by(*_order(place))
            .limit(self.newest)
            .subquery()
        )
        # In the order of what is inside, so that PostgreSQL stops when it has enough.
        order = _order((newest.c.created_at, newest.c.id, newest.c.start_seconds, newest.c.number))
        return select(newest).where(or_(newest.c.found, newest.c.nth == self.newest)).order_by(*order).limit(limit)

    def by_index(self, after: _Place, limit: int, of: Sequence[UUID] | None) -> Select[Any]:
        """What the index has of it beyond a place; `of` are the transcriptions it may be in, where they are few."""
        place = (_segments.c.created_at, *_KEY)
        found = select(*place).where(self._is_wanted(), *self._is_in_time(place), *_is_beyond(after, place))
        if of is not None:
            found = found.where(_segments.c.transcription_id == any_(literal(of, ARRAY(tables.ID))))
        # Materialised, or PostgreSQL is tempted to go through one segment after the other until it has enough.
        matching = found.cte("matching").prefix_with("MATERIALIZED")
        query = select(matching)
        if self.query.file_name is not None and of is None:
            query = (
                query.join(_transcriptions, _transcriptions.c.id == matching.c.transcription_id)
                .join(_audio_files, _audio_files.c.id == _transcriptions.c.audio_id)
                .where(_is_named(self.query.file_name))
            )
        return query.order_by(*_order(tuple(matching.c))).limit(limit)

    def named(self) -> Select[tuple[UUID]] | None:
        """The transcriptions of the files that are meant, as long as they are few; one more tells that they are not."""
        if self.query.file_name is None:
            return None
        query = select(_transcriptions.c.id).join(_audio_files).where(_is_named(self.query.file_name))
        return query.where(_transcriptions.c.owner == self.owner).limit(FEW + 1)

    def _is_wanted(self) -> ColumnElement[bool]:
        return _segments.c.lexemes.bool_op("@@")(cast(self.wanted, TSQUERY))

    def _is_in_time(self, place: _Columns) -> Iterator[ColumnElement[bool]]:
        if self.query.since is not None:
            yield place[0] >= self.query.since
        if self.query.until is not None:
            yield place[0] < self.query.until


def _order(place: _Columns) -> tuple[ColumnElement[Any], ...]:
    created_at, transcription_id, start_seconds, number = place
    return created_at.desc(), transcription_id.desc(), start_seconds, number


def _is_beyond(after: _Place | None, place: _Columns) -> Iterator[ColumnElement[bool]]:
    if after is None:
        return
    there, within = tuple_(*map(literal, after[:2])), tuple_(*map(literal, after[2:]))
    # The first says nothing that the second doesn't, but an index can begin there.
    yield tuple_(*place[:2]) <= there
    yield or_(tuple_(*place[:2]) < there, tuple_(*place[2:]) > within)


def _is_named(file_name: str) -> ColumnElement[bool]:
    """A part of the name; or, with * or ?, all of it. Case does not count."""
    escaped = re.sub(r"([\\%_])", r"\\\1", file_name)
    is_whole = "*" in escaped or "?" in escaped
    pattern = escaped.replace("*", "%").replace("?", "_") if is_whole else f"%{escaped}%"
    return _audio_files.c.file_name.ilike(pattern, escape="\\")


def _hit(place: _Place, row: Row[Any], words: Words, stems: Stems) -> SearchHit:
    segment = transcript_mapping.segment_from_json(row.segment)
    lexemes_after = search_terms.lexemes_after(row.after or {})
    spots = search_query.places(words, search_terms.tokens(segment.text), lexemes_after, row.language, stems)
    word_starts = list(_word_starts(segment))
    return SearchHit(
        transcription_id=place.transcription_id,
        audio_id=row.audio_id,
        file_name=row.file_name,
        created_at=place.created_at.astimezone(UTC),
        segment=segment,
        matches=tuple(SearchMatch(start, end, _seconds_at(start, word_starts, segment)) for start, end in spots),
    )


def _after() -> ScalarSelect[Any]:
    """What a segment is found by that comes after it, with its positions; NULL where that is nothing."""
    indexed = func.unnest(_segments.c.lexemes).table_valued("lexeme", "positions", "weights")
    is_after = func.starts_with(indexed.c.lexeme, search_terms.after(""))
    return select(func.jsonb_object_agg(indexed.c.lexeme, indexed.c.positions)).where(is_after).scalar_subquery()


def _word_starts(segment: Segment) -> Iterator[tuple[int, float]]:
    """Where each word that has a time begins in the text, and when; a word that is not in the text is left out."""
    end = 0
    for word in segment.words:
        written = word.text.strip()
        start = segment.text.find(written, end)
        if written and start >= 0:
            end = start + len(written)
            yield start, word.start_seconds


def _seconds_at(place: int, word_starts: Sequence[tuple[int, float]], segment: Segment) -> float:
    number = bisect_right(word_starts, place, key=lambda word: word[0])
    return word_starts[number - 1][1] if number else segment.start_seconds


def _cursor(place: _Place) -> str:
    """The place as base64: its time in microseconds, the transcription, the segment's time and number."""
    microseconds = (place.created_at - _EPOCH) // _MICROSECOND
    data = _CURSOR.pack(microseconds, place.transcription_id.bytes, place.start_seconds, place.number)
    return urlsafe_b64encode(data).decode()


def _position(cursor: str) -> _Place:
    try:
        microseconds, identity, start_seconds, number = _CURSOR.unpack(urlsafe_b64decode(cursor.encode("ascii")))
        return _Place(_EPOCH + microseconds * _MICROSECOND, UUID(bytes=identity), start_seconds, number)
    except (ValueError, OverflowError, binascii.Error, struct.error) as error:
        raise invalid_cursor() from error
