"""Cutting long texts into chunks that an embedder can take: by tokens or characters, on sentence borders where there are any."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from dataclasses import dataclass

from scylla_store.settings.options import ChunkingSettings

ALGORITHM = 1
"""Part of every fingerprint: raised when the same text would be cut otherwise, so that it is embedded again."""

LONGEST_TOKEN = 32
"""Characters of a token; a longer word (a URL, base64) counts as several, or one chunk of it could be as long as the text."""

# Scripts written without spaces: one character, one token. Kana, ideographs, Hangul syllables are words of few characters.
_UNSPACED = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_ENDS = frozenset(".!?…\u3002\uff01\uff1f")
_WIDE_ENDS = frozenset("\u3002\uff01\uff1f")  # full-width stop, exclamation and question mark: no white space follows
_CLOSERS = frozenset("\"'\u201d\u2019»)]")
_MOST_CLOSERS = 4


@dataclass(frozen=True, slots=True)
class _Tokens:
    """The tokens of a text, by where they start and end."""

    text: str
    starts: list[int]
    ends: list[int]

    def best_border(self, tokens: range) -> int:
        """The first of these tokens that starts a sentence, else the first after white space, else the first."""
        word = None
        for token in tokens:
            before, start = self.ends[token - 1], self.starts[token]
            if before == start:
                if self.text[before - 1] in _WIDE_ENDS:
                    return token
            elif self._is_sentence_end(before, start):
                return token
            elif word is None:
                word = token
        return tokens[0] if word is None else word

    def _is_sentence_end(self, before: int, start: int) -> bool:
        """Whether a sentence or paragraph ends before the white space from `before` to `start`."""
        if self.text.count("\n", before, start) > 1:
            return True
        last, least = before - 1, max(0, before - 1 - _MOST_CLOSERS)
        while last > least and self.text[last] in _CLOSERS:
            last -= 1
        return self.text[last] in _ENDS


def chunk(text: str, *, unit: str, size: int, overlap: int) -> list[tuple[int, int]]:
    """Start and end of each chunk, in order. Every character that is not white space is in at least one.

    Args:
        text: any text; none of its chunks is empty or begins or ends with white space.
        unit: "tokens" (words and punctuation marks) or "characters".
        size: the longest chunk, in units. A chunk is shorter where a sentence ends in its last part.
        overlap: the most that two neighbours share, in units, from the start of a sentence if there is one; less than
            half of `size`, as larger ones are cut to.
    """
    if len(text) <= size:
        stripped = text.strip()
        start = len(text) - len(text.lstrip())
        return [(start, start + len(stripped))] if stripped else []
    tokens = _tokens(text, LONGEST_TOKEN if unit == "tokens" else max(1, min(LONGEST_TOKEN, size // 4)))
    overlap = min(overlap, (size - 1) // 2)
    count = len(tokens.starts)
    chunks: list[tuple[int, int]] = []
    first = 0
    while first < count:
        end = _farthest(tokens, first, unit, size)
        if end < count:
            # What a cut may cost is bounded, so that a chunk is always a good part of `size` further than the last.
            least = _farthest(tokens, first, unit, overlap + (size - overlap) // 2)
            end = tokens.best_border(range(end, max(least, first + 1) - 1, -1))
        chunks.append((tokens.starts[first], tokens.ends[end - 1]))
        if end >= count:
            break
        first = _next_start(tokens, end, unit, overlap, first)
    return chunks


def chunker_name(settings: ChunkingSettings) -> str:
    """Names everything that decides where a text is cut."""
    return f"{settings.unit}-{settings.size}-{settings.overlap}-v{ALGORITHM}"


def _tokens(text: str, longest: int) -> _Tokens:
    token = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]{{1,{longest}}}|[^\w\s]")
    spans = [match.span() for match in token.finditer(text)]
    return _Tokens(text, [start for start, _ in spans], [end for _, end in spans])


def _farthest(tokens: _Tokens, first: int, unit: str, size: int) -> int:
    """The largest `end` for which the tokens first to end - 1 fit into `size`; at least one does."""
    if unit == "tokens":
        return min(first + size, len(tokens.starts))
    return max(first + 1, bisect_right(tokens.ends, tokens.starts[first] + size, lo=first))


def _next_start(tokens: _Tokens, end: int, unit: str, overlap: int, first: int) -> int:
    if overlap == 0:
        return end
    earliest = end - overlap
    if unit != "tokens":
        earliest = bisect_left(tokens.starts, tokens.ends[end - 1] - overlap, hi=end)
    return tokens.best_border(range(max(earliest, first + 1), end + 1))
