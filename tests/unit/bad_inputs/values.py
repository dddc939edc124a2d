"""Wrong values at random: of another type, too large, without end, of other texts, or hostile to whoever looks at them.

A maker takes a source of randomness and returns a value. Whatever is large is made once.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from random import Random
from typing import Any
from uuid import UUID

Make = Callable[[Random], Any]

SURROGATE = "\ud800"
LONG = "x" * 10_000_000
HUGE = 10**5000


class Hostile:
    """Fails at whatever is asked of it."""

    def _fail(self, *_: object) -> Any:
        raise RuntimeError("hostile")

    __repr__ = __str__ = __eq__ = __lt__ = __gt__ = __ge__ = __le__ = __bool__ = __float__ = __int__ = __index__ = _fail
    __add__ = __radd__ = __sub__ = __mul__ = __abs__ = __contains__ = __format__ = _fail
    __hash__ = None  # type: ignore[assignment]


def _loop() -> dict[str, Any]:
    value: dict[str, Any] = {}
    value["itself"] = [value]
    return value


def _doubled(value: Any, times: int) -> Any:
    for _ in range(times):
        value = [value, value]
    return value


def _nested(levels: int) -> Any:
    value: Any = {}
    for level in range(levels):
        value = {"a": value} if level % 2 else [value]
    return value


LOOP, EXPLODING, DEEP, DEEPER = _loop(), _doubled([], 60), _nested(200), _nested(100_000)
LARGE = {"a": ["x" * 1000] * 2000}

KINDS: dict[str, tuple[Any, ...]] = {
    "none": (None,),
    "bool": (True, False),
    "int": (0, 1, -1, 5, 2**63, HUGE, -HUGE),
    "float": (0.5, -1.5, math.nan, math.inf, -math.inf, 1e300),
    "str": ("", "x", "5", "docs", SURROGATE, "\0", LONG),
    "bytes": (b"", b"docs", bytearray(b"x"), memoryview(b"x")),
    "list": ([], [1], [None], ["docs"], LOOP["itself"], EXPLODING, DEEPER if isinstance(DEEPER, list) else [DEEPER]),
    "tuple": ((), (1,), ("docs",)),
    "dict": ({}, {"a": 1}, {1: 2}, LOOP),
    "set": (set(), {"docs"}, frozenset({1})),
    "function": (print, lambda *_: None, dict, Hostile),
    "iterator": (iter(["docs"]), range(3), itertools.repeat("docs")),
    "other": (
        object(),
        Hostile(),
        1j,
        Decimal(1),
        UUID(int=1),
        datetime(2026, 1, 1),
        Ellipsis,
        NotImplemented,
        KeyError("k"),
    ),
}


def fixed(*values: Any) -> Make:
    """One of these."""
    return lambda random: random.choice(values)


def some(*makes: Make) -> Make:
    """What one of these makes."""
    return lambda random: random.choice(makes)(random)


def no(*kinds: str) -> Make:
    """A value of any kind but these."""
    values = [value for kind, choices in KINDS.items() if kind not in kinds for value in choices]
    return fixed(*values)


def text(most: int) -> Make:
    """No text of 1 to `most` bytes."""
    return some(no("str"), fixed("", SURROGATE, f"a{SURROGATE}b", "x" * (most + 1), "é" * (most // 2 + 1), LONG))


def number(*wrong: Any, none: bool = False) -> Make:
    """No whole number within bounds: these are out of them."""
    return some(no("int", *(["none"] if none else [])), fixed(*wrong, HUGE, -HUGE, -1))


def labels(least: int, *, none: bool = False) -> Make:
    """No namespace; `least` labels are needed, or `none` at all."""
    label = text(512)
    wrong = some(
        no("tuple", "list", *(["none"] if none else [])),
        lambda random: _with(random, ["a"] * random.randrange(4), label(random), tuple),
        lambda random: _with(random, ["a"] * random.randrange(4), label(random), list),
        fixed(("a",) * 33, ("a",) * 1_000_000, ("x" * 512,) * 17, ["docs", EXPLODING], [LOOP]),
    )
    return some(wrong, wrong, fixed((), [])) if least else wrong


def _with(random: Random, right: list[Any], wrong: Any, kind: Any = list) -> Any:
    """The right ones, and the wrong one anywhere among them."""
    right.insert(random.randrange(len(right) + 1), wrong)
    return kind(right)


LEAVES = some(
    no("none", "bool", "int", "float", "str", "list", "tuple", "dict"),
    fixed(
        math.nan,
        math.inf,
        -math.inf,
        SURROGATE,
        LONG,
        HUGE,
        LOOP,
        EXPLODING,
        DEEP,
        DEEPER,
        LARGE,
        ["x" * 100_000] * 100_000,
    ),
    fixed({1: 2}, {None: 1}, {SURROGATE: 1}, {("a",): 1}, {"a": {b"x": 1}}, {LONG: 1}, [{"x" * 100_000: 1}] * 1000),
)
"""What no document may hold."""

FLAG = no("bool")


def poisoned(random: Random, wrong: Any) -> Any:
    """A document's part that holds it, some levels deep, among what is right."""
    for _ in range(random.randrange(4)):
        right: list[Any] = [
            random.choice([1, "x", None, True, 2.5, [1], {"a": "b"}]) for _ in range(random.randrange(4))
        ]
        if random.random() < 0.5:
            wrong = _with(random, right, wrong, random.choice([list, tuple]))
        else:
            names = [f"n{position}" for position in range(len(right) + 1)]
            wrong = dict(zip(names, _with(random, right, wrong), strict=True))
    return wrong


def document(random: Random) -> Any:
    """What is no document."""
    if random.random() < 0.2:
        return no("dict")(random)
    return {"title": "Tea", random.choice(["a", "é", "a.b", ""]): poisoned(random, LEAVES(random))}


def merge_patch(random: Random) -> Any:
    """Neither a merge patch nor a function that returns a document."""
    if random.random() < 0.2:
        return no("dict", "function")(random)
    wrong = document(random)
    return (lambda _: wrong) if random.random() < 0.3 else wrong if isinstance(wrong, dict) else [wrong]


TTL = some(no("int", "float", "none"), fixed(0, -1, 0.0, -0.5, math.nan, math.inf, -math.inf, HUGE, -HUGE, 1e12))
SECONDS = some(no("int", "float", "none"), fixed(-1, -0.5, math.nan, -math.inf, -HUGE))
INDEX = some(
    no("none", "bool", "list", "tuple"),
    fixed(True, [], (), ["a"] * 33, ["a"] * 1_000_000, 0),
    lambda random: _with(random, ["title"] * random.randrange(4), text(512)(random)),
    lambda random: _with(
        random, ["title"], random.choice(["a..b", ".a", "a[", "a[x]", "a]", "[0]", "a[-1]", "a[1", "\\"])
    ),
)
SCORE = some(no("int", "float", "none"), fixed(math.nan, math.inf, -math.inf, HUGE, 1e300, -1e39))
VECTOR = some(
    no("none", "list", "tuple", "iterator"),
    fixed([], [1.0], [1.0] * 255, [1.0] * 257, itertools.repeat(1.0), range(3), DEEP, EXPLODING, LOOP),
    lambda random: _with(
        random, [1.0] * 255, random.choice([math.nan, math.inf, 1e300, HUGE, "1", None, True, b"1", [1.0], Hostile()])
    ),
)
QUERY = some(no("str", "none"), fixed("", " ", "\n\t", SURROGATE, LONG))
RATE = some(no("int", "float", "none"), fixed(0, -1, 0.0, 0.5, 5e-324, math.nan, math.inf, -math.inf, -HUGE))
FUNCTION = no("function", "none")
ORDER = some(
    no("str"),
    fixed("", "-", "--a", "$key", "$nothing", "year", "-year", "a..b", "a[*]", SURROGATE, LONG, "$updated_at "),
)
