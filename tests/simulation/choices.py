"""Every decision of a schedule as a small number, 0 the simplest: drawn by seed, or read from a script that was recorded.

A script has one block of numbers for each step of the scheduler. So a step that is left out, or made simple, leaves the
meaning of all others alone, and a failing schedule can be shrunk (`shrink.py`).
"""

from __future__ import annotations

import base64
import json
import random
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

T = TypeVar("T")
Block = tuple[int, ...]


@dataclass(frozen=True)
class Script:
    """A schedule, said exactly.

    Attributes:
        seed: what ids and jitter are made of.
        everything: as in `World`.
        blocks: the world's shape, then each step: who goes on, what happens to them, what they choose. Numbers that are
            missing are 0.
        calm: what is chosen after the trouble.
        later: blocks of the second act, as those of the first.
    """

    seed: int
    everything: bool
    blocks: tuple[Block, ...]
    calm: Block = ()
    later: tuple[Block, ...] = ()

    @property
    def numbers(self) -> list[int]:
        """All choices."""
        return [number for block in (*self.blocks, self.calm, *self.later) for number in block]

    @property
    def decisions(self) -> int:
        """How many choices are not the simplest: who goes on instead, what fails, what somebody does."""
        return sum(number != 0 for number in self.numbers)

    def act(self, number: int) -> tuple[Block, ...]:
        """Blocks of the first act (0) or the second (1)."""
        return self.later if number else self.blocks

    def with_act(self, number: int, blocks: tuple[Block, ...]) -> Script:
        """The same with other blocks in this act."""
        return replace(self, later=blocks) if number else replace(self, blocks=blocks)

    def token(self) -> str:
        """One word for a command line."""
        packed = zlib.compress(json.dumps([self.blocks, self.calm, self.later], separators=(",", ":")).encode(), 9)
        return f"{name_of(self.seed, self.everything)}.{base64.urlsafe_b64encode(packed).decode().rstrip('=')}"

    @classmethod
    def of(cls, token: str) -> Script:
        """The script that `token` made."""
        name, _, packed = token.partition(".")
        blocks, calm, later = json.loads(zlib.decompress(base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4))))
        seed, everything = seed_of(name)
        return cls(seed, everything, tuple(map(tuple, blocks)), tuple(calm), tuple(map(tuple, later)))


def name_of(seed: int, everything: bool) -> str:
    """How a schedule is called: its seed, with an `e` when it has all faults."""
    return f"{seed}{'e' if everything else ''}"


def seed_of(name: str) -> tuple[int, bool]:
    """Seed and `everything` of a name."""
    return int(name.removesuffix("e")), name.endswith("e")


class Choices:
    """Draws by seed, or from a script; records either way."""

    def __init__(self, seed: int, script: Script | None = None) -> None:
        self._random = random.Random(seed)
        self._script = script
        self._acts: list[list[list[int]]] = [[[]]]
        self._calm: list[int] = []
        self._calm_given = iter(() if script is None else script.calm)
        self._is_calm = False
        self._given: Iterator[int] = iter(self._block_given())

    @property
    def is_replay(self) -> bool:
        """Whether a script decides."""
        return self._script is not None

    @property
    def free(self) -> random.Random:
        """For what leads to a recorded choice, and is none by itself."""
        return self._random

    def begin_step(self) -> None:
        """What comes belongs to the next step."""
        self._acts[-1].append([])
        self._given = iter(self._block_given())

    def begin_act(self) -> None:
        """What comes belongs to the second act; its steps follow."""
        self._is_calm = False
        self._acts.append([[]])
        self._given = iter(self._block_given())

    def begin_calm(self) -> None:
        """No more steps in this act."""
        self._is_calm = True
        self._given = self._calm_given

    def noted(self, draw: Callable[[], int]) -> int:
        """The script's number, or the one that is drawn."""
        number = draw() if self._script is None else next(self._given, 0)
        (self._calm if self._is_calm else self._acts[-1][-1]).append(number)
        return number

    def randrange(self, options: int) -> int:
        """One of so many."""
        if options == 1:
            return 0
        return min(self.noted(lambda: self._random.randrange(options)), options - 1)

    def choice(self, options: Sequence[T]) -> T:
        """One of them; the first one is the simplest."""
        return options[self.randrange(len(options))]

    def forced(self, options: Sequence[T], chosen: T) -> Choices:
        """Notes what is not chosen but given."""
        self._acts[-1][-1].append(options.index(chosen))
        return self

    def chance(self, probability: float) -> bool:
        """Yes, as often as that."""
        return probability > 0 and self.noted(lambda: int(self._random.random() < probability)) > 0

    def recorded(self, seed: int, everything: bool) -> Script:
        """What was chosen so far."""
        first, later = (_shortened(act) for act in (*self._acts, [])[:2])
        return Script(seed, everything, first, _trimmed(self._calm), later)

    def _block_given(self) -> Block:
        if self._script is None:
            return ()
        blocks, number = self._script.act(len(self._acts) - 1), len(self._acts[-1]) - 1
        return blocks[number] if number < len(blocks) else ()


def _shortened(act: Sequence[Sequence[int]]) -> tuple[Block, ...]:
    blocks = [_trimmed(block) for block in act]
    while len(blocks) > 1 and not blocks[-1]:
        blocks.pop()
    return tuple(blocks)


def _trimmed(block: Sequence[int]) -> Block:
    numbers = list(block)
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)
