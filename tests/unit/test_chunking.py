"""Chunks: within their size, whole sentences where that can be, and nothing left out."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as some

from scylla_store.chunking import LONGEST_TOKEN, chunk, chunker_name
from scylla_store.settings.options import ChunkingSettings

ALPHABET = some.sampled_from(
    [*"abcdefgh", " ", " ", " ", "\n", "\n\n", ". ", "! ", "?", '."', "漢", "。", "é", "\u0301", "😀"]
)
TEXTS = some.lists(ALPHABET | some.text(max_size=3), max_size=200).map("".join)
UNITS = some.sampled_from(["tokens", "characters"])


def pieces(text: str, unit: str = "tokens", size: int = 8, overlap: int = 0) -> list[str]:
    return [text[start:end] for start, end in chunk(text, unit=unit, size=size, overlap=overlap)]


@settings(deadline=None)
@given(TEXTS, UNITS, some.integers(8, 60), some.integers(0, 29))
@example("a" * 500, "characters", 8, 3)
@example("! " * 300, "tokens", 8, 3)
def test_every_character_that_is_not_white_space_is_covered_in_order(
    text: str, unit: str, size: int, overlap: int
) -> None:
    chunks = chunk(text, unit=unit, size=size, overlap=min(overlap, (size - 1) // 2))

    covered = {position for start, end in chunks for position in range(start, end)}
    assert [position for position, char in enumerate(text) if not char.isspace() and position not in covered] == []
    assert chunks == sorted(chunks)
    assert len({start for start, _ in chunks}) == len({end for _, end in chunks}) == len(chunks)


@settings(deadline=None)
@given(TEXTS, UNITS, some.integers(8, 60), some.integers(0, 29))
def test_no_chunk_is_blank_or_begins_or_ends_with_white_space(text: str, unit: str, size: int, overlap: int) -> None:
    for piece in pieces(text, unit, size, min(overlap, (size - 1) // 2)):
        assert piece
        assert piece == piece.strip()


@settings(deadline=None)
@given(TEXTS, some.integers(8, 60), some.integers(0, 29))
def test_no_chunk_is_longer_than_its_size_and_no_overlap_longer_than_that(text: str, size: int, overlap: int) -> None:
    overlap = min(overlap, (size - 1) // 2)
    characters = chunk(text, unit="characters", size=size, overlap=overlap)
    tokens = chunk(text, unit="tokens", size=size, overlap=overlap)

    assert all(end - start <= size for start, end in characters)
    assert all(before[1] - after[0] <= overlap for before, after in pairwise(characters))
    assert all(len(re.findall(r"\w+|[^\w\s]", text[start:end])) <= size for start, end in tokens)


@settings(deadline=None)
@given(TEXTS, UNITS, some.integers(8, 60), some.integers(0, 29))
def test_there_are_no_more_chunks_than_a_few_times_the_fewest(text: str, unit: str, size: int, overlap: int) -> None:
    chunks = chunk(text, unit=unit, size=size, overlap=min(overlap, (size - 1) // 2))

    assert len(chunks) <= 1 + len(text) / (size / 4 - 1)


@pytest.mark.parametrize("text", ["", " ", "\n\t \u3000" * 50])
def test_a_blank_text_has_no_chunk(text: str) -> None:
    assert chunk(text, unit="tokens", size=8, overlap=2) == []


@pytest.mark.parametrize("unit", ["tokens", "characters"])
def test_a_short_text_is_one_chunk_without_the_white_space_around_it(unit: str) -> None:
    assert chunk("  ab c ", unit=unit, size=8, overlap=2) == [(2, 6)]


def test_a_text_is_cut_between_sentences_where_there_are_any() -> None:
    text = "One two three four. Five six seven! “Is it eight?” Nine ten eleven twelve."

    assert pieces(text, size=11) == ["One two three four. Five six seven!", "“Is it eight?” Nine ten eleven twelve."]


def test_a_blank_line_is_a_border_too() -> None:
    assert pieces("A heading of five words\n\nand then a text of many more words", size=8) == [
        "A heading of five words",
        "and then a text of many more words",
    ]


def test_sentences_without_spaces_between_them_have_borders_too() -> None:
    assert pieces("漢漢漢漢漢漢。字字字字字字字。", size=9) == ["漢漢漢漢漢漢。", "字字字字字字字。"]


def test_words_are_not_cut_where_there_is_white_space() -> None:
    assert pieces("alpha beta gamma delta epsilon zeta", unit="characters", size=14) == [
        "alpha beta",
        "gamma delta",
        "epsilon zeta",
    ]


def test_neighbours_share_whole_sentences_within_the_overlap() -> None:
    text = "One two three four five. Six seven. Eight nine ten. Eleven twelve."

    assert pieces(text, size=10, overlap=4) == [
        "One two three four five. Six seven.",
        "Six seven. Eight nine ten. Eleven twelve.",
    ]


def test_a_word_without_end_is_cut() -> None:
    assert [len(piece) for piece in pieces("x" * 1000, size=10)] == [
        10 * LONGEST_TOKEN,
        10 * LONGEST_TOKEN,
        10 * LONGEST_TOKEN,
        40,
    ]


def test_the_name_of_a_chunker_tells_all_that_decides_where_it_cuts() -> None:
    cut = ChunkingSettings(unit="tokens", size=256, overlap=32)
    others = [replace(cut, unit="characters"), replace(cut, size=255), replace(cut, overlap=31)]

    assert chunker_name(cut) == "tokens-256-32-v1"
    assert len({chunker_name(other) for other in [cut, *others]}) == 4
