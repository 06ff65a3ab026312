"""A text taken apart into terms, each at its place."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansard.persistence.search_terms import Kind, label, lexemes, lexemes_after, tokens, vector


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("", []),
        ("-- … !", []),
        ("The harbour, 1999.", ["the", "harbour", "1999"]),
        ("don't l’avion e-mail", ["don", "t", "l", "avion", "e", "mail"]),
        ("snake_case a/b", ["snake", "case", "a", "b"]),
        ("STRASSE Straße", ["strasse", "strasse"]),
        ("ﬁne Ｈｉ", ["fine", "hi"]),
        ("soft\u00adhyphen", ["softhyphen"]),
        ("\u200b\u200e", []),
        ("हिन्दी", ["हिन्दी"]),
        ("东京大学", ["东京", "京大", "大学", "学"]),
        ("水", ["水"]),
        ("東京、大学", ["東京", "京", "大学", "学"]),
        ("AI会議2", ["ai", "会議", "議", "2"]),
        ("ที่นี่", ["ที่นี่", "นี่"]),
    ],
)
def test_a_text_is_taken_apart(text: str, terms: list[str]) -> None:
    assert [token.term for token in tokens(text)] == terms


@given(st.text(max_size=200))
def test_each_token_is_at_its_place_and_none_begins_before_the_one_before_it(text: str) -> None:
    found = tokens(text)
    assert all(0 <= token.start < token.end <= len(text) for token in found)
    assert all(one.start < other.start for one, other in pairwise(found))
    words = [token for token in found if token.kind is Kind.WORD]
    assert all([again.term for again in tokens(text[token.start : token.end])] == [token.term] for token in words)


def test_a_word_is_found_without_its_accents_and_by_its_stem() -> None:
    (token,) = tokens("Häuser")
    assert lexemes(token, "de", {"de": {"häuser": "haus"}}) == {"häuser", "hauser", ":de:haus"}


def test_no_two_lists_of_names_have_one_label() -> None:
    assert label("metadata", "a", "bc") != label("metadata", "ab", "c")


def test_a_vector_has_each_term_once_with_all_its_positions() -> None:
    assert vector(tokens("one two one"), [], None, {}, ["=owner"]) == "'one':1,3 'two':2 '=owner'"


def test_a_vector_knows_what_comes_after_the_text_as_it_is_written() -> None:
    stems = {"en": {"houses": "hous"}}
    stored = vector(tokens("houses"), tokens("houses café"), "en", stems, [])
    assert sorted(stored.split()) == ["':en:hous':1", "'>cafe':3", "'>café':3", "'>houses':2", "'houses':1"]
    assert lexemes_after({">houses": [2], ">café": [3], ">cafe": [3], "houses": [1]}) == [{"houses"}, {"café", "cafe"}]
