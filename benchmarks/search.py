"""How long a search takes: over a million segments that are made here, by kind of question.

    make bench-search                                # or: python -m benchmarks.search --segments 100000

Words are drawn as people speak them, a few all the time and most hardly ever (Zipf's law), so that there are words in
nearly every segment, in one of ten, and in one of ten thousand.
"""

import argparse
import itertools
import os
import platform
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from rich.console import Console
from rich.table import Table
from sqlalchemy import Connection, Engine, insert, text

from hansard.application.ports.records import SearchQuery
from hansard.domain.audio import AudioFile, AudioProperties, StoredObject
from hansard.domain.transcript import Segment, Transcript, Word
from hansard.domain.transcription import Parameters, Transcription
from hansard.persistence import database, embedded, mapping, migrate, search_index, tables
from hansard.persistence.search import SqlSearchIndex

OWNER = "default"
SEED = 4
VOCABULARY = 50_000
WORDS_IN_A_SEGMENT = 15
SEGMENTS_IN_A_TRANSCRIPT = 200
SECONDS_BETWEEN = 5.0
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
PAGE = 50

SYLLABLES = [consonant + vowel for consonant in "bcdfghklmnprstvwz" for vowel in ("a", "e", "i", "o", "u", "an", "er")]
SEQUENCE = ("annual", "general", "meeting")
"""A phrase that one segment in a thousand has."""

OVER_THE_END = ("report", "of", "the", "treasurer")
"""A phrase that begins in one segment in a thousand, and goes on in the next."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of question; `ask` makes one, a different one each time as far as there are different ones."""

    name: str
    ask: Callable[[random.Random], SearchQuery]


def main() -> None:
    options = _options()
    console = Console(width=120)
    vocabulary = _vocabulary()
    with tempfile.TemporaryDirectory(prefix="hansard-bench-") as scratch:
        directory = Path(scratch)
        directory.chmod(0o755)  # as root, the database's user has to pass through
        with _database(directory) as engine:
            began = time.monotonic()
            _fill(engine, vocabulary, options.segments)
            filled_seconds = time.monotonic() - began
            console.print(
                f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, {os.cpu_count()} cores, Python "
                f"{platform.python_version()}: {options.segments} segments, made in {filled_seconds:.0f} s, "
                f"{_size(engine)}; {options.questions} questions of each kind"
            )
            console.print(_index_time(engine, vocabulary))
            console.print(_measure(engine, vocabulary, options.questions))


def _measure(engine: Engine, vocabulary: Sequence[str], questions: int) -> Table:
    table = Table("question", "hits", "first page: p50", "p95, ms", "from the middle: p50", "p95, ms")
    for kind in _kinds(vocabulary):
        draw = random.Random(SEED)
        asked = [kind.ask(draw) for _ in range(questions)]
        with engine.connect() as connection:
            middle = _cursor_in_the_middle(connection, vocabulary)
            first = [_seconds(connection, query, None) for query in asked]
            deep = [_seconds(connection, query, middle) for query in asked]
        hits = statistics.median(count for _, count in first)
        times = [f"{1000 * value:.0f}" for each in (first, deep) for value in _percentiles([s for s, _ in each])]
        table.add_row(kind.name, f"{hits:.0f}", *times)
    return table


def _kinds(words: Sequence[str]) -> list[Kind]:
    """By the ranks of the words: the first is in most segments, the tenth in one of ten."""

    def word(draw: random.Random, low: int, high: int) -> str:
        return words[draw.randrange(low, min(high, len(words)))]

    def words_of(low: int, high: int) -> Callable[[random.Random], SearchQuery]:
        return lambda draw: SearchQuery(words=word(draw, low, high))

    def common(draw: random.Random) -> SearchQuery:
        return SearchQuery(words=word(draw, 8, 16))

    def rare(draw: random.Random) -> SearchQuery:
        return SearchQuery(words=word(draw, 10_000, 40_000))

    def old(draw: random.Random) -> tuple[datetime, datetime]:
        since = BEGIN + timedelta(minutes=draw.randrange(1000))
        return since, since + timedelta(minutes=30)

    def in_old_times(draw: random.Random, query: SearchQuery) -> SearchQuery:
        since, until = old(draw)
        return replace(query, since=since, until=until)

    return [
        Kind("word in 1 of 10,000 segments or fewer", rare),
        Kind("word in 1 of 1,000", words_of(900, 1500)),
        Kind("word in 1 of 200", words_of(200, 300)),
        Kind("word in 1 of 10", common),
        Kind("word in most", words_of(0, 2)),
        Kind("two words in 1 of 10 each", lambda draw: SearchQuery(words=f"{word(draw, 8, 12)} {word(draw, 12, 16)}")),
        Kind("common word and a rare one", lambda draw: SearchQuery(words=f"{word(draw, 8, 16)} {rare(draw).words}")),
        Kind("either of two", lambda draw: SearchQuery(words=f"{rare(draw).words} OR {rare(draw).words}")),
        Kind("common word without another", lambda draw: SearchQuery(words=f"{word(draw, 8, 16)} -{word(draw, 0, 8)}")),
        Kind("phrase in 1 of 1,000", lambda _: SearchQuery(words=f'"{" ".join(SEQUENCE)}"')),
        Kind("phrase over two segments, 1 of 1,000", lambda _: SearchQuery(words=f'"{" ".join(OVER_THE_END)}"')),
        Kind("phrase of common words", lambda draw: SearchQuery(words=f'"{word(draw, 2, 16)} {word(draw, 2, 16)}"')),
        Kind("phrase that is nowhere", lambda _: SearchQuery(words=f'"{" ".join(reversed(SEQUENCE))}"')),
        Kind("prefix, rare", lambda draw: SearchQuery(words=f"{rare(draw).words[:6]}*")),
        Kind("prefix, of two letters", lambda draw: SearchQuery(words=f"{word(draw, 0, 1000)[:2]}*")),
        Kind("common word, one speaker of 50", lambda draw: replace(common(draw), speaker=f"S{draw.randrange(50)}")),
        Kind(
            "common word, one label of 100",
            lambda draw: replace(common(draw), metadata={"case": f"{draw.randrange(100)}"}),
        ),
        Kind("common word, one file", lambda draw: replace(common(draw), file_name=f"-{draw.randrange(1000):05}")),
        Kind("common word, half an hour long ago", lambda draw: in_old_times(draw, common(draw))),
        Kind("common word, one language of 2", lambda draw: replace(common(draw), language="de")),
        Kind("rare word, one language of 2", lambda draw: replace(rare(draw), language="de")),
        Kind("rare word, one speaker of 50", lambda draw: replace(rare(draw), speaker=f"S{draw.randrange(50)}")),
        Kind("rare word, one file of ten", lambda draw: replace(rare(draw), file_name=f"*{draw.randrange(10)}.mp3")),
    ]


def _seconds(connection: Connection, query: SearchQuery, cursor: str | None) -> tuple[float, int]:
    began = time.perf_counter()
    page = SqlSearchIndex(connection).find(query, owner=OWNER, limit=PAGE, cursor=cursor)
    seconds = time.perf_counter() - began
    connection.rollback()
    return seconds, len(page.items)


def _cursor_in_the_middle(connection: Connection, vocabulary: Sequence[str]) -> str | None:
    (middle,) = connection.execute(
        text("SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY created_at) FROM transcriptions")
    ).one()
    query = SearchQuery(words=vocabulary[0], until=middle)
    return SqlSearchIndex(connection).find(query, owner=OWNER, limit=1).next_cursor


def _percentiles(seconds: Sequence[float]) -> tuple[float, float]:
    twentieths = statistics.quantiles(seconds, n=20, method="inclusive")
    return twentieths[9], twentieths[18]


# ── What is searched ─────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def _database(directory: Path) -> Generator[Engine]:
    shelter = directory / "shelter"
    engine = database.connect(embedded.ensure_running(directory, shelter=shelter), application_name="bench")
    try:
        migrate.upgrade(engine)
        yield engine
    finally:
        engine.dispose()
        embedded.stop(directory, shelter=shelter)


def _fill(engine: Engine, vocabulary: Sequence[str], segments: int) -> None:
    """Without the index on the words, which is made in the end: in a tenth of the time."""
    draw = random.Random(SEED)
    weights = list(itertools.accumulate(1 / rank for rank in range(1, VOCABULARY + 1)))
    with engine.begin() as connection:
        connection.execute(text("DROP INDEX ix_searchable_segments_lexemes"))
    for number in range(-(-segments // SEGMENTS_IN_A_TRANSCRIPT)):
        count = min(SEGMENTS_IN_A_TRANSCRIPT, segments - number * SEGMENTS_IN_A_TRANSCRIPT)
        with engine.begin() as connection:
            _add(connection, number, _transcript(draw, vocabulary, weights, count))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(
            text("CREATE INDEX ix_searchable_segments_lexemes ON searchable_segments USING gin (lexemes)")
        )
        connection.execute(text("VACUUM ANALYZE"))


def _add(connection: Connection, number: int, transcript: Transcript) -> Transcription:
    draw = random.Random(number)
    at = BEGIN + timedelta(minutes=number)
    audio = AudioFile(
        id=UUID(int=draw.getrandbits(128)),
        file_name=f"meeting-{number:05}.mp3",
        media_type="audio/mpeg",
        stored=StoredObject(sha256=f"{number:064x}", size_bytes=5_000_000),
        properties=AudioProperties(
            container="mp3", codec="mp3", channels=2, sample_rate_hz=44_100, duration_seconds=1e3
        ),
        uploaded_at=at,
    )
    labels = {"case": str(number % 100)}
    transcription = Transcription.queue(audio_id=audio.id, parameters=Parameters(metadata=labels), at=at)
    connection.execute(insert(tables.audio_files), mapping.audio_to_row(audio))
    connection.execute(insert(tables.transcriptions), mapping.transcription_to_row(transcription))
    search_index.add(connection, transcription, transcript)
    return transcription


def _transcript(draw: random.Random, vocabulary: Sequence[str], weights: Sequence[float], count: int) -> Transcript:
    words = draw.choices(vocabulary, cum_weights=weights, k=count * WORDS_IN_A_SEGMENT)
    for end in range(WORDS_IN_A_SEGMENT, len(words), WORDS_IN_A_SEGMENT):
        if draw.random() < 0.001:
            words[end - 2 : end + 2] = OVER_THE_END
    speakers = [f"S{draw.randrange(50)}" for _ in range(4)]
    language = "de" if draw.random() < 0.1 else "en"
    segments: list[Segment] = []
    for number in range(count):
        said = words[number * WORDS_IN_A_SEGMENT : (number + 1) * WORDS_IN_A_SEGMENT]
        if draw.random() < 0.001:
            said[3:6] = SEQUENCE
        segments.append(_segment(said, number * SECONDS_BETWEEN, draw.choice(speakers), language))
    return Transcript(language=language, segments=tuple(segments))


def _segment(said: Sequence[str], start_seconds: float, speaker: str, language: str) -> Segment:
    pace = SECONDS_BETWEEN / len(said)
    timed = [
        Word(word, start_seconds + place * pace, start_seconds + (place + 1) * pace, 0.9)
        for place, word in enumerate(said)
    ]
    return Segment(
        start_seconds=start_seconds,
        end_seconds=start_seconds + SECONDS_BETWEEN,
        text=f"{' '.join(said).capitalize()}.",
        words=tuple(timed),
        confidence=0.9,
        language=language,
        speaker=speaker,
        engine="whisper",
    )


def _vocabulary() -> list[str]:
    draw = random.Random(SEED)
    words: dict[str, None] = {}
    while len(words) < VOCABULARY:
        words["".join(draw.choices(SYLLABLES, k=draw.randint(1, 5)))] = None
    return list(words)


def _index_time(engine: Engine, vocabulary: Sequence[str]) -> str:
    """What it costs to make ten hours findable."""
    weights = list(itertools.accumulate(1 / rank for rank in range(1, VOCABULARY + 1)))
    transcript = _transcript(random.Random(SEED), vocabulary, weights, 7200)
    with engine.connect() as connection:
        transcription = _add(connection, 10**6, replace(transcript, segments=()))
        began = time.perf_counter()
        search_index.add(connection, transcription, transcript)
        whole_seconds = time.perf_counter() - began
        connection.rollback()
    return f"Ten hours of speech (7200 segments) are made findable in {whole_seconds:.1f} s."


def _size(engine: Engine) -> str:
    query = text(
        "SELECT pg_size_pretty(pg_table_size('searchable_segments')), "
        "pg_size_pretty(pg_indexes_size('searchable_segments'))"
    )
    with engine.connect() as connection:
        rows, indexes = connection.execute(query).one()
    return f"{rows} of rows and {indexes} of indexes"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--segments", type=int, default=1_000_000, help="how many there are (default 1,000,000)")
    parser.add_argument("--questions", type=int, default=20, help="how many of each kind (default 20)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
