"""What two versions of a sequence have in common."""

from difflib import SequenceMatcher
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansard.domain.matching import anchored, gaps, matching_words

letters = st.lists(st.sampled_from("abcdefgh"), max_size=30)


@given(letters, letters)
def test_pairs_are_of_equal_items_and_in_order_in_both(before: list[str], after: list[str]) -> None:
    pairs = anchored(before, after)
    assert all(before[old] == after[new] for old, new in pairs)
    assert all(i < k and j < m for (i, j), (k, m) in pairwise(pairs))


@given(st.lists(st.integers(), unique=True, max_size=30), st.data())
def test_of_items_that_are_all_different_the_most_possible_are_paired(before: list[int], data: st.DataObject) -> None:
    after = data.draw(st.permutations(before))
    longest = len(anchored(before, after))
    assert longest >= SequenceMatcher(None, before, after, autojunk=False).find_longest_match().size


@given(letters)
def test_a_version_is_paired_with_itself_throughout(version: list[str]) -> None:
    assert anchored(version, version) == [(at, at) for at in range(len(version))]


@given(letters, letters)
def test_pairs_and_gaps_are_all_there_is(before: list[str], after: list[str]) -> None:
    pairs = anchored(before, after)
    between = list(gaps(pairs, len(before), len(after)))
    assert sorted([old for old, _ in pairs] + [at for old, _ in between for at in old]) == list(range(len(before)))
    assert sorted([new for _, new in pairs] + [at for _, new in between for at in new]) == list(range(len(after)))


def test_gaps_within_gaps_are_found() -> None:
    before, after = list("xabcabcy"), list("xabcqabcy")
    assert list(gaps(anchored(before, after), len(before), len(after))) == [(range(4, 4), range(4, 5))]


@pytest.mark.parametrize(
    ("before", "after", "pairs"),
    [
        pytest.param("we saw Jon", "we saw John", [(0, 0), (1, 1), (2, 2)], id="spelled otherwise"),
        pytest.param("Well, yes", "well yes", [(0, 0), (1, 1)], id="case and punctuation"),
        pytest.param("the cat", "a dog", [], id="nothing alike"),
        pytest.param("hyper text", "hypertext", [(0, 0)], id="half of a word"),
        pytest.param("no no never", "no never", [(0, 0), (2, 1)], id="said twice"),
        pytest.param("— yes", "yes —", [(1, 0)], id="a dash is a word of its own"),
    ],
)
def test_words_are_paired_by_what_is_said(before: str, after: str, pairs: list[tuple[int, int]]) -> None:
    assert matching_words(before.split(), after.split()) == pairs


def test_in_a_long_gap_words_are_still_paired_but_for_case_and_punctuation() -> None:
    before = [f"Word{number}," for number in range(50)]
    after = [f"word{number}" for number in range(50)]
    assert matching_words(before, after) == [(at, at) for at in range(50)]
