"""How many voices there are, on vectors whose voice is known."""

import numpy as np
import pytest

from hansard.diarization import clustering
from hansard.diarization.clustering import voices


def vectors(*windows_of_voice: int, spread: float = 0.6) -> tuple[np.ndarray, list[int]]:
    """Unit vectors around as many random directions, and the number of the direction of each."""
    random = np.random.default_rng(7)
    directions = random.normal(size=(len(windows_of_voice), 192)) / np.sqrt(192)
    numbers = [number for number, windows in enumerate(windows_of_voice) for _ in range(windows)]
    random.shuffle(numbers)
    noisy = directions[numbers] + spread * random.normal(size=(len(numbers), 192)) / np.sqrt(192)
    return (noisy / np.linalg.norm(noisy, axis=1, keepdims=True)).astype(np.float32), numbers


def same_grouping(one, other) -> bool:
    pairs = set(zip(one, other, strict=True))
    return len(pairs) == len(set(one)) == len(set(other))


@pytest.mark.parametrize("sizes", [(40,), (20, 20), (30, 10, 20), (15, 15, 15, 15, 15)])
def test_voices_that_are_clear_are_found_and_counted(sizes: tuple[int, ...]) -> None:
    embeddings, numbers = vectors(*sizes)
    assert same_grouping(voices(embeddings).tolist(), numbers)


def test_there_are_no_more_voices_than_allowed() -> None:
    embeddings, _ = vectors(20, 20, 20)
    assert len(set(voices(embeddings, most=2).tolist())) == 2


def test_there_are_as_many_voices_as_are_known_to_be_there() -> None:
    embeddings, _ = vectors(20, 20)
    assert len(set(voices(embeddings, least=3).tolist())) >= 3


def test_a_lone_odd_window_is_no_speaker() -> None:
    embeddings, _ = vectors(60, 60, 1)
    assert len(set(voices(embeddings).tolist())) == 2


def test_nothing_has_no_voices() -> None:
    assert voices(np.zeros((0, 192), np.float32)).tolist() == []


def test_one_window_is_one_voice() -> None:
    embeddings, _ = vectors(1)
    assert voices(embeddings, least=2).tolist() == [0]


def test_a_long_recording_is_joined_a_stretch_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clustering, "MOST_GROUPS", 64)
    monkeypatch.setattr(clustering, "STRETCH_WINDOWS", 48)
    monkeypatch.setattr(clustering, "STRETCH_GROUPS", 8)
    embeddings, numbers = vectors(200, 150, 100)
    assert same_grouping(voices(embeddings).tolist(), numbers)


def test_a_voice_is_not_cut_in_two_for_a_seat_that_an_odd_window_can_have() -> None:
    """Of the numbers 0, 1 and 2, the first two are one voice, now louder, now softer."""
    embeddings, numbers = vectors(30, 30, 2)
    who = np.array(numbers)
    embeddings[who == 1] += embeddings[who == 0].mean(axis=0)
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    assert same_grouping(voices(embeddings, least=2, most=2).tolist(), (who == 2).tolist())


def test_an_odd_window_has_no_seat_where_there_are_voices_enough() -> None:
    embeddings, numbers = vectors(60, 60, 1)
    of_voices = np.array(numbers) < 2
    found = voices(embeddings, least=2, most=2)
    assert same_grouping(found[of_voices].tolist(), np.array(numbers)[of_voices].tolist())


def test_how_alike_two_groups_of_one_voice_are_can_be_said() -> None:
    embeddings, _ = vectors(20, 20)
    assert len(set(voices(embeddings, least_likeness=-1.0).tolist())) == 1
