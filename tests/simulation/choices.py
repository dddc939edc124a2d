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
from dataclasses import dataclass
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
    """

    seed: int
    everything: bool
    blocks: tuple[Block, ...]
    calm: Block = ()

    @property
    def decisions(self) -> int:
        """How many choices are not the simplest: who goes on instead, what fails, what somebody does."""
        return sum(number != 0 for block in (*self.blocks, self.calm) for number in block)

    def token(self) -> str:
        """One word for a command line."""
        packed = zlib.compress(json.dumps([self.blocks, self.calm], separators=(",", ":")).encode(), 9)
        return f"{name_of(self.seed, self.everything)}.{base64.urlsafe_b64encode(packed).decode().rstrip('=')}"

    @classmethod
    def of(cls, token: str) -> Script:
        """The script that `token` made."""
        name, _, packed = token.partition(".")
        blocks, calm = json.loads(zlib.decompress(base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4))))
        seed, everything = seed_of(name)
        return cls(seed, everything, tuple(tuple(block) for block in blocks), tuple(calm))


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
        self._blocks: list[list[int]] = [[]]
        self._calm: list[int] | None = None
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
        self._blocks.append([])
        self._given = iter(self._block_given())

    def begin_calm(self) -> None:
        """No more steps."""
        self._calm = []
        self._given = iter(self._block_given())

    def noted(self, draw: Callable[[], int]) -> int:
        """The script's number, or the one that is drawn."""
        number = draw() if self._script is None else next(self._given, 0)
        (self._blocks[-1] if self._calm is None else self._calm).append(number)
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
        self._blocks[-1].append(options.index(chosen))
        return self

    def chance(self, probability: float) -> bool:
        """Yes, as often as that."""
        return probability > 0 and self.noted(lambda: int(self._random.random() < probability)) > 0

    def recorded(self, seed: int, everything: bool) -> Script:
        """What was chosen so far."""
        blocks = [_trimmed(block) for block in self._blocks]
        while len(blocks) > 1 and not blocks[-1]:
            blocks.pop()
        return Script(seed, everything, tuple(blocks), _trimmed(self._calm or []))

    def _block_given(self) -> Block:
        if self._script is None:
            return ()
        if self._calm is not None:
            return self._script.calm
        number = len(self._blocks) - 1
        return self._script.blocks[number] if number < len(self._script.blocks) else ()


def _trimmed(block: Sequence[int]) -> Block:
    numbers = list(block)
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)
