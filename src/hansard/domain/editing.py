"""What a person may do to a transcript: correct a segment, split or merge it, rename speakers, write it anew, go back.

Each function gives the transcript as it is then, and says in a sentence what was done. Nothing that was heard is lost
by that: see `revision.py`. What the engine said of its own text (how sure it was, word by word and of the whole
segment) is not said of a person's.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from hansard.domain.alignment import Aligned, Draft, aligned
from hansard.domain.errors import InvalidRequest, NotFound
from hansard.domain.matching import anchored, gaps, same_from_the_start
from hansard.domain.revision import Change, Revised, Revision, at_revision
from hansard.domain.timecode import timecode
from hansard.domain.transcript import LANGUAGES_WRITTEN_WITHOUT_SPACES, Segment, Transcript, Word

_LONGEST_QUOTATION = 60
"""In characters."""


@dataclass(frozen=True, slots=True)
class Edit:
    """What was done, and the transcript as it is then."""

    transcript: Transcript
    change: Change
    summary: str


def amend(transcript: Transcript, position: int, *, text: str | None = None, speaker: str | None = None) -> Edit:
    """Correct the text of a segment, or who speaks, or both; None leaves it as it is.

    An empty text takes the segment out; an empty speaker leaves it without one. Raises `NotFound`.
    """
    segment = _segment(transcript, position)
    time = timecode(segment.start_seconds)
    edited, change, summary = segment, Change.SPEAKER, ""
    if speaker is not None:
        name = normalised(speaker) or None
        edited = _spoken_by(edited, name)
        summary = f"At {time}: {name} speaks." if name else f"At {time}: nobody knows who speaks."
    if text is not None and (written := normalised(text)) != normalised(segment.text):
        change, summary = Change.TEXT, f"At {time}: {_what_became(segment.text, written)}"
        draft = Draft(segment.start_seconds, segment.end_seconds, written, edited.speaker)
        (found,) = aligned([edited], [draft], timed=bool(segment.words))
        edited = _written(draft, found, edited)
    return Edit(_replaced(transcript, position, 1, [edited] if edited.text else []), change, summary)


def split(transcript: Transcript, position: int, *, character: int | None = None, word: int | None = None) -> Edit:
    """Make two segments of one, before a character of its text or before one of its words, counted from 0.

    Where the character is inside a word, that is made two as well. Raises `NotFound`, and `InvalidRequest` where one
    half would have no text.
    """
    heard = _segment(transcript, position)
    segment = _with_its_own_words(heard)
    if character is not None:
        at = len(segment.text) - len(normalised(heard.text[character:]))
    else:
        at = _beginning(segment, word or 0)
    halves = segment.text[:at].rstrip(), segment.text[at:].lstrip()
    if not all(halves):
        raise InvalidRequest(
            "A segment can be split only where it has text on both sides.",
            code="nothing_to_split",
            help=f"Its text has {len(segment.text)} characters, and {len(segment.words)} words with times: name one "
            "between the first and the last.",
        )
    first, second = _halves(segment, at, halves)
    summary = f"At {timecode(segment.start_seconds)}: split before “{_shortened(second.text)}”."
    return Edit(_replaced(transcript, position, 1, [first, second]), Change.SPLIT, summary)


def merge(transcript: Transcript, position: int) -> Edit:
    """Make one segment of it and the next; the first one's speaker says all of it.

    Raises `NotFound`, and `InvalidRequest` for the last segment.
    """
    segment = _segment(transcript, position)
    if position + 1 == len(transcript.segments):
        raise InvalidRequest(
            "There is no segment after the last one to merge it with.",
            code="nothing_to_merge",
            help="Name the first of the two segments.",
        )
    following = transcript.segments[position + 1]
    space = "" if (segment.language or transcript.language) in LANGUAGES_WRITTEN_WITHOUT_SPACES else " "
    draft = Draft(
        min(segment.start_seconds, following.start_seconds),
        max(segment.end_seconds, following.end_seconds),
        space.join(normalised(each.text) for each in (segment, following)),
        segment.speaker or following.speaker,
    )
    (found,) = aligned([segment, following], [draft], timed=bool(segment.words or following.words))
    merged = replace(
        segment,
        start_seconds=draft.start_seconds,
        end_seconds=draft.end_seconds,
        text=draft.text,
        words=found.words,
        speaker=draft.speaker,
        engine=segment.engine if segment.engine == following.engine else None,
        confidence=_mean_confidence(segment, following),
        scores=None,
    )
    summary = f"At {timecode(segment.start_seconds)}: merged with “{_shortened(following.text)}”."
    return Edit(_replaced(transcript, position, 2, [merged]), Change.MERGE, summary)


def rename_speaker(transcript: Transcript, label: str, name: str) -> Edit:
    """Call a speaker by another name, wherever he speaks; by that of another speaker to make the two one.

    Raises `NotFound` where nobody has that label.
    """
    labels = {*transcript.speakers, *(word.speaker for segment in transcript.segments for word in segment.words)}
    if label not in labels:
        raise NotFound(
            f"No speaker of this transcript is called {label!r}.",
            code="no_such_speaker",
            help="GET /transcriptions/{id} has the label of each segment's speaker.",
        )
    name = normalised(name)
    segments = tuple(_renamed(segment, label, name) for segment in transcript.segments)
    summary = f"{label} and {name} are the same speaker." if name in labels else f"{label} is called {name}."
    return Edit(replace(transcript, segments=segments), Change.SPEAKER_RENAMED, summary)


def rewrite(transcript: Transcript, drafts: Iterable[Draft]) -> Edit:
    """All of it at once, as an editor saves it; drafts without text are left out.

    Segments that are as they were stay so, to the last word; for the rest, words find their times by what was said
    there. Raises `InvalidRequest` for times that are out of order.
    """
    written = [replace(draft, text=text) for draft in drafts if (text := normalised(draft.text))]
    written = [replace(draft, speaker=normalised(draft.speaker or "") or None) for draft in written]
    _require_order(written)
    before = transcript.segments
    pairs = anchored([_draft_of(segment) for segment in before], written)
    segments: list[Segment] = []
    reached = 0
    timed = any(segment.words for segment in before)
    for old, new in gaps(pairs, len(before), len(written)):
        segments += before[reached : old.start]
        segments += _rewritten(before[old.start : old.stop], written[new.start : new.stop], timed=timed)
        reached = old.stop
    segments += before[reached:]
    edited = replace(transcript, segments=tuple(segments))
    return Edit(edited, Change.REPLACED, "All of it was saved at once.")


def restore(revised: Revised, revisions: Iterable[Revision], number: int) -> Edit:
    """Back to an earlier revision; 0 is what the engine wrote. `revisions` must have all that were made since."""
    back_to = f"revision {number}" if number else "what the engine wrote"
    return Edit(at_revision(revised, revisions, number), Change.RESTORED, f"Back to {back_to}.")


def normalised(text: str) -> str:
    """With one space between words, and none around them."""
    return " ".join(text.split())


# ── Segments ─────────────────────────────────────────────────────────────────────────────────────────────


def _segment(transcript: Transcript, position: int) -> Segment:
    if not 0 <= position < len(transcript.segments):
        count = len(transcript.segments)
        raise NotFound(
            f"There is no segment {position}: the transcript has {count}.",
            code="no_such_segment",
            help="Segments are counted from 0; GET /transcriptions/{id} has them in order.",
        )
    return transcript.segments[position]


def _replaced(transcript: Transcript, position: int, count: int, segments: Sequence[Segment]) -> Transcript:
    before, after = transcript.segments[:position], transcript.segments[position + count :]
    return replace(transcript, segments=(*before, *segments, *after))


def _spoken_by(segment: Segment, speaker: str | None) -> Segment:
    words = tuple(replace(word, speaker=speaker) for word in segment.words)
    return replace(segment, speaker=speaker, words=words)


def _renamed(segment: Segment, label: str, name: str) -> Segment:
    if segment.speaker != label and all(word.speaker != label for word in segment.words):
        return segment
    words = tuple(replace(word, speaker=name) if word.speaker == label else word for word in segment.words)
    return replace(segment, speaker=name if segment.speaker == label else segment.speaker, words=words)


def _written(draft: Draft, found: Aligned, source: Segment) -> Segment:
    """The draft, heard where its source was; how sure the engine was is told while the text is still its own."""
    own = draft.text == normalised(source.text)
    return replace(
        source,
        start_seconds=draft.start_seconds,
        end_seconds=draft.end_seconds,
        text=draft.text,
        words=found.words,
        speaker=draft.speaker,
        confidence=source.confidence if own else None,
        scores=source.scores if own else None,
    )


def _mean_confidence(one: Segment, other: Segment) -> float | None:
    if one.confidence is None or other.confidence is None:
        return None
    lengths = len(one.text), len(other.text)
    return (one.confidence * lengths[0] + other.confidence * lengths[1]) / max(1, sum(lengths))


# ── All at once ──────────────────────────────────────────────────────────────────────────────────────────


def _draft_of(segment: Segment) -> Draft:
    return Draft(segment.start_seconds, segment.end_seconds, normalised(segment.text), segment.speaker)


def _rewritten(before: Sequence[Segment], drafts: Sequence[Draft], *, timed: bool) -> list[Segment]:
    """`timed` says whether what nobody heard before, and so takes no segment's place, has words with times."""
    timed = any(segment.words for segment in before) if before else timed
    nobody = Segment(start_seconds=0.0, end_seconds=0.0, text="")
    return [
        _written(draft, found, nobody if found.source is None else before[found.source])
        for draft, found in zip(drafts, aligned(before, drafts, timed=timed), strict=True)
    ]


def _require_order(drafts: Sequence[Draft]) -> None:
    reached = 0.0
    for number, draft in enumerate(drafts):
        if not reached <= draft.start_seconds <= draft.end_seconds:
            raise InvalidRequest(
                f"The times of segment {number}, {draft.start_seconds} to {draft.end_seconds} s, are out of order.",
                code="times_out_of_order",
                help="A segment must not end before it starts, nor start before the one ahead of it does.",
            )
        reached = draft.start_seconds


# ── Halves ───────────────────────────────────────────────────────────────────────────────────────────────


def _with_its_own_words(segment: Segment) -> Segment:
    """Words that are all of the text, one after the other: an engine may have written them in another way."""
    draft = _draft_of(segment)
    (found,) = aligned([segment], [draft], timed=bool(segment.words))
    return replace(segment, text=draft.text, words=found.words)


def _beginnings(segment: Segment) -> list[int]:
    """Where each word begins in the text, which has them all."""
    beginnings: list[int] = []
    end = 0
    for word in segment.words:
        beginnings.append(segment.text.index(word.text, end))
        end = beginnings[-1] + len(word.text)
    return beginnings


def _beginning(segment: Segment, word: int) -> int:
    """Of a word that is not there: the end of the text."""
    beginnings = _beginnings(segment)
    return beginnings[word] if 0 <= word < len(beginnings) else len(segment.text)


def _halves(segment: Segment, at: int, texts: tuple[str, str]) -> tuple[Segment, Segment]:
    early: list[Word] = []
    late: list[Word] = []
    for word, begin in zip(segment.words, _beginnings(segment), strict=True):
        inside = at - begin
        if 0 < inside < len(word.text):
            moment = _moment(word.start_seconds, word.end_seconds, inside / len(word.text))
            early.append(replace(word, text=word.text[:inside], end_seconds=moment, probability=None))
            late.append(replace(word, text=word.text[inside:], start_seconds=moment, probability=None))
        else:
            (late if inside <= 0 else early).append(word)
    part = len(texts[0]) / (len(texts[0]) + len(texts[1]))
    moment = _moment(segment.start_seconds, segment.end_seconds, part)
    ends, begins = (early[-1].end_seconds, late[0].start_seconds) if early and late else (moment, moment)
    return (
        replace(segment, end_seconds=ends, text=texts[0], words=tuple(early)),
        replace(segment, start_seconds=begins, text=texts[1], words=tuple(late)),
    )


def _moment(start_seconds: float, end_seconds: float, part: float) -> float:
    return min(start_seconds + (end_seconds - start_seconds) * part, end_seconds)


# ── In a sentence ────────────────────────────────────────────────────────────────────────────────────────


def _what_became(before: str, after: str) -> str:
    """The words that changed, without those around them."""
    if not after:
        return f"“{_shortened(before)}” was taken out."
    old, new = before.split(), after.split()
    ahead = same_from_the_start(old, new)
    behind = min(same_from_the_start(old[::-1], new[::-1]), len(old) - ahead, len(new) - ahead)
    gone, came = (_shortened(" ".join(words[ahead : len(words) - behind])) for words in (old, new))
    if not gone:
        return f"“{came}” was put in."
    return f"“{gone}” became “{came}”." if came else f"“{gone}” was taken out."


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_QUOTATION else f"{text[:_LONGEST_QUOTATION].rstrip()}…"
