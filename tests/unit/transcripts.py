"""Transcripts to write: plain ones, and all that hypothesis can think of."""

from itertools import accumulate, pairwise

from hypothesis import strategies as st

from hansard.domain.transcript import Segment, Transcript, Word
from hansard.formats import Document


def said(text: str, start: float = 0.0, end: float = 1.5, **more) -> Segment:
    return Segment(start_seconds=start, end_seconds=end, text=text, **more)


def timed(text: str, start: float = 0.0, seconds_each: float = 0.4, **more) -> Segment:
    """With times of words: the pieces between spaces."""
    texts = text.split()
    words = tuple(Word(each, start + i * seconds_each, start + (i + 1) * seconds_each) for i, each in enumerate(texts))
    return said(text, start, start + len(texts) * seconds_each, words=words, **more)


def document(*segments: Segment, language: str | None = "en", file_name: str = "talk.wav") -> Document:
    return Document(transcript=Transcript(language=language, segments=segments), file_name=file_name)


awkward_text = st.text(
    alphabet=st.one_of(st.sampled_from("ab -->\n\r\t&<>:0,.=+*_#|\u2028é日。（」ก็"), st.characters(codec="utf-8")),
    max_size=30,
)
speakers = st.sampled_from([None, "A", "Ann <Chair>", "=Bob"])

awkward_segments = st.builds(
    lambda start, length, text, speaker: said(text, start, start + length, speaker=speaker),
    start=st.floats(0, 400_000),
    length=st.floats(0, 5000),
    text=awkward_text,
    speaker=speakers,
)
documents = st.lists(awkward_segments, max_size=6).map(
    lambda found: document(*sorted(found, key=lambda segment: segment.start_seconds))
)
"""Anything: text of any kind, any length, people who talk at once."""

english_word = st.text("abcdefgh", min_size=1, max_size=12).flatmap(
    lambda word: st.sampled_from(["", ",", ".", "?", ";"]).map(lambda mark: word + mark)
)
japanese_word = st.text("日本語のテキスト、。「」っゃ", min_size=1, max_size=6)


@st.composite
def conversations(draw, with_word_times: bool | None = None, language: str | None = None) -> Document:
    """People who talk one after another, to the millisecond; where it is left open, with and without times of words,
    and in English, Japanese or both.
    """
    spoken_word = {"en": english_word, None: st.one_of(english_word, japanese_word)}[language]
    now, segments = 0, []
    for _ in range(draw(st.integers(0, 5))):
        texts = draw(st.lists(spoken_word, min_size=1, max_size=25))
        pauses = draw(st.lists(st.sampled_from([0, 0, 20, 400, 1200, 4000]), min_size=len(texts), max_size=len(texts)))
        lengths = [draw(st.integers(0, 900)) for _ in texts]
        starts = list(accumulate((length + pause for length, pause in zip(lengths, pauses, strict=True)), initial=now))
        words = tuple(
            Word(text, start / 1000, (start + length) / 1000)
            for text, length, (start, _) in zip(texts, lengths, pairwise(starts), strict=True)
        )
        has_times = draw(st.booleans()) if with_word_times is None else with_word_times
        end = starts[-2] + lengths[-1]
        segments.append(
            said(" ".join(texts), now / 1000, end / 1000, words=words if has_times else (), speaker=draw(speakers))
        )
        now = starts[-1]
    return document(*segments, language=language or draw(st.sampled_from(["en", "ja", None])))
