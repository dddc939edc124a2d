"""What a write may hold: JSON, exactly, or an error that names the place and the rule."""

from __future__ import annotations

import enum
import json
import math
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterator
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from scylla_store.errors import ValidationError
from scylla_store.values import MAX_DIGITS, MAX_PATHS, checked_index, checked_ttl, encode_value

NOW = 1_700_000_000_000_000
SECOND = 1_000_000
LAST_MOMENT = 253_402_300_799_999_999


def encode(
    value: object,
    encoder: Callable[[Any], Any] | None = None,
    max_bytes: int = 1_048_576,
    max_depth: int = 100,
    argument: str = "value",
) -> bytes:
    return encode_value(value, encoder=encoder, max_bytes=max_bytes, max_depth=max_depth, argument=argument)


def refusal(value: object, **options: Any) -> str:
    """The message of the ValidationError."""
    with pytest.raises(ValidationError) as caught:
        encode(value, **options)
    return str(caught.value)


def nested(levels: int, make: Callable[[Any], Any] = lambda below: {"a": below}) -> Any:
    """Something of so many levels."""
    value: Any = {}
    for _ in range(levels - 1):
        value = make(value)
    return value


TEXT = some.text(some.characters(exclude_categories=["Cs"]))
JSON = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda below: some.lists(below, max_size=5) | some.dictionaries(TEXT, below, max_size=5),
)


@settings(deadline=None)
@given(some.dictionaries(TEXT, JSON, max_size=5))
def test_a_json_object_comes_back_as_it_was(value: dict[str, Any]) -> None:
    assert json.loads(encode(value)) == value


def test_the_json_is_compact_utf8_in_the_order_of_the_dictionary() -> None:
    assert encode({"b": [1, 2.5, None, True], "a": "é漢😀\0"}) == '{"b":[1,2.5,null,true],"a":"é漢😀\\u0000"}'.encode()


@pytest.mark.parametrize("value", [None, [], "text", 1, b"{}", object()], ids=lambda value: type(value).__name__)
def test_a_document_that_is_no_dictionary_is_refused(value: object) -> None:
    message = refusal(value, argument="puts[3].value")

    assert message == f"puts[3].value must be a dictionary (a JSON object), not {type(value).__name__}"


@pytest.mark.parametrize(
    "leaf",
    [
        datetime(2026, 1, 1, tzinfo=timezone.utc),
        date(2026, 1, 1),
        Decimal("1.5"),
        UUID(int=1),
        b"bytes",
        bytearray(b"bytes"),
        {1, 2},
        1j,
        object(),
    ],
    ids=lambda leaf: type(leaf).__name__,
)
def test_what_json_cannot_hold_is_refused_with_its_place_and_the_setting_that_helps(leaf: object) -> None:
    message = refusal({"x": 1, "a": [0, 1, 2, {"b": leaf}]})

    kind = type(leaf).__name__
    assert message == (
        f"value.a[3].b is a {kind}, which JSON cannot hold; the setting `encoder` names a function that converts it"
    )


@pytest.mark.parametrize(
    ("value", "message"),
    [
        pytest.param({"a": {"b": math.nan}}, "value.a.b is nan, which JSON cannot hold", id="NaN"),
        pytest.param({"a": [math.inf]}, "value.a[0] is inf, which JSON cannot hold", id="infinity"),
        pytest.param({"a": (1, -math.inf)}, "value.a[1] is -inf, which JSON cannot hold", id="-infinity in a tuple"),
        pytest.param(
            {"a": "\ud800"}, "value.a holds a lone surrogate, which UTF-8 cannot store", id="surrogate in a string"
        ),
        pytest.param(
            {"a": {"b\udfff": 1}},
            r"value.a has a key with a lone surrogate, which UTF-8 cannot store: 'b\udfff'",
            id="surrogate in a key",
        ),
        pytest.param(
            {"a": [{1: "x"}]},
            "value.a[0] has a key that is no string but int; JSON has only strings as keys",
            id="key that is a number",
        ),
        pytest.param(
            {None: 1}, "value has a key that is no string but NoneType; JSON has only strings as keys", id="None as key"
        ),
        pytest.param(
            {"a": {("b", "c"): 1}},
            "value.a has a key that is no string but tuple; JSON has only strings as keys",
            id="tuple as key",
        ),
        pytest.param(
            {"a": {True: 1}},
            "value.a has a key that is no string but bool; JSON has only strings as keys",
            id="bool as key",
        ),
    ],
)
def test_what_json_has_no_form_for_is_refused_with_its_place(value: dict[Any, Any], message: str) -> None:
    assert refusal(value) == message


def test_a_key_that_is_no_plain_name_stands_in_quotes_in_the_place() -> None:
    assert refusal({"a b": {"c.d": {"é": math.nan}}}).startswith("value['a b']['c.d'].é is nan")


def test_a_long_place_is_cut_in_the_message() -> None:
    assert len(refusal({"x" * 60: {"y" * 60: {"z" * 60: {"w" * 60: math.nan}}}})) < 260


def test_a_dictionary_that_contains_itself_is_refused() -> None:
    value: dict[str, Any] = {"a": {"b": [1]}}
    value["a"]["b"].append(value["a"])

    assert refusal(value) == "value.a.b[1] contains itself"


def test_a_dictionary_that_contains_itself_many_times_is_refused_as_soon() -> None:
    value: dict[str, Any] = {}
    for name in "abcdefgh":
        value[name] = [value, value]

    assert refusal(value) == "value.a[0] contains itself"


def test_the_same_object_twice_is_no_circle() -> None:
    shared = {"x": [1]}

    assert encode({"a": shared, "b": [shared, shared]}) == b'{"a":{"x":[1]},"b":[{"x":[1]},{"x":[1]}]}'


@pytest.mark.parametrize("make", [lambda below: {"a": below}, lambda below: [below]], ids=["objects", "lists"])
def test_a_document_may_be_as_deep_as_the_limit_and_no_deeper(make: Callable[[Any], Any]) -> None:
    assert json.loads(encode({"x": nested(99, make)}))
    assert refusal({"x": nested(100, make)}).endswith("is nested deeper than the 100 levels that are allowed")


@pytest.mark.parametrize("levels", [200, 5_000, 200_000])
def test_deep_nesting_never_ends_in_a_recursion_error(levels: int) -> None:
    assert refusal(nested(levels)).endswith("is nested deeper than the 100 levels that are allowed")


def test_a_document_above_the_limit_is_refused_with_both_sizes() -> None:
    assert len(encode({"text": "x" * 89}, max_bytes=100)) == 100
    assert refusal({"text": "x" * 90}, max_bytes=100) == "value has 101 bytes in JSON; at most 100 are allowed"


def test_the_size_is_that_of_utf8() -> None:
    assert refusal({"text": "漢" * 30}, max_bytes=100) == "value has 101 bytes in JSON; at most 100 are allowed"


@pytest.mark.parametrize(
    "number", [2**64, -(2**200), 10**MAX_DIGITS - 1, -(10**MAX_DIGITS) + 1], ids=lambda _: "number"
)
def test_integers_are_kept_exactly(number: int) -> None:
    assert json.loads(encode({"n": number})) == {"n": number}


LONGER = f"value.a[0] is an integer of more than {MAX_DIGITS} digits, which Python does not read back; store a string"


@pytest.fixture
def digits() -> Iterator[Callable[[int], None]]:
    """Sets this interpreter's own limit of digits."""
    before = sys.get_int_max_str_digits()
    yield sys.set_int_max_str_digits
    sys.set_int_max_str_digits(before)


@pytest.mark.parametrize("limit", [MAX_DIGITS, 0, 10_000])
def test_a_longer_integer_is_refused_whatever_this_interpreter_could_write(
    digits: Callable[[int], None], limit: int
) -> None:
    # Given an interpreter with another limit than the one that will read the document
    digits(limit)

    # Then it is refused all the same
    assert refusal({"a": [10**MAX_DIGITS]}) == LONGER


def test_an_integer_that_this_interpreter_may_not_write_is_refused(digits: Callable[[int], None]) -> None:
    digits(640)

    assert refusal({"a": 10**640}).startswith("value.a is an integer of more than 640 digits")


def test_long_digits_in_a_string_are_no_integer(digits: Callable[[int], None]) -> None:
    digits(0)
    value = {"a": "1" * (MAX_DIGITS + 1)}

    assert json.loads(encode(value)) == value


class Level(enum.IntEnum):
    HIGH = 3


class Name(str, enum.Enum):
    ALICE = "alice"


class Sub(dict):  # type: ignore[type-arg]
    pass


def test_subclasses_are_stored_as_what_they_extend() -> None:
    value = {"level": Level.HIGH, "name": Name.ALICE, Name.ALICE: OrderedDict(b=1), "sub": Sub(x=(1, Sub()))}

    assert encode(value) == b'{"level":3,"name":"alice","alice":{"b":1},"sub":{"x":[1,{}]}}'


def test_a_subclass_does_not_hide_what_is_wrong_in_it() -> None:
    assert refusal({"a": Sub({1: 2})}).startswith("value.a has a key that is no string")


# -- the encoder


def iso(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError


def test_the_encoder_converts_what_json_cannot_hold() -> None:
    assert encode({"at": [datetime(2026, 1, 2, tzinfo=timezone.utc)]}, iso) == b'{"at":["2026-01-02T00:00:00+00:00"]}'


def test_the_encoder_is_asked_once_for_each_value_and_never_for_plain_ones() -> None:
    asked = []
    value = UUID(int=7)

    def encoder(converted: object) -> str:
        asked.append(converted)
        return str(converted)

    encode({"a": value, "b": [value, 1, None, "x"]}, encoder)

    assert asked == [value]


def test_an_encoder_may_return_what_it_converts_in_turn() -> None:
    def encoder(value: Any) -> Any:
        return sorted(value) if isinstance(value, set) else {str(value)}

    assert encode({"a": Decimal(2)}, encoder) == b'{"a":["2"]}'


@pytest.mark.parametrize(
    ("result", "message"),
    [
        pytest.param(math.nan, "value.a is nan", id="NaN"),
        pytest.param({1: 2}, "value.a has a key that is no string but int", id="a key that is a number"),
        pytest.param("\ud800", "value.a holds a lone surrogate", id="a lone surrogate"),
        pytest.param(nested(100), "value.a.a", id="deep nesting"),
        pytest.param(nested(200), "value.a.a", id="deeper nesting"),
    ],
)
def test_what_the_encoder_returns_is_held_to_the_same_rules(result: object, message: str) -> None:
    assert refusal({"a": UUID(int=1)}, encoder=lambda _: result).startswith(message)


def test_an_encoder_that_never_comes_to_an_end_is_refused() -> None:
    message = refusal({"a": object()}, encoder=lambda _: object())

    assert message == "value.a is turned by `encoder` into values that JSON cannot hold, again and again"


def test_an_encoder_that_nests_without_end_is_refused() -> None:
    assert refusal({"a": object()}, encoder=lambda _: [object()]).endswith("levels that are allowed")


@pytest.mark.parametrize("error", [TypeError, ValueError, KeyError, RuntimeError])
def test_an_encoder_that_raises_is_named_with_the_place_but_not_with_its_words(error: type[Exception]) -> None:
    def encoder(_: object) -> Any:
        raise error("secret of the document")

    message = refusal({"a": [UUID(int=1)]}, encoder=encoder)

    assert message == (
        f"value.a[0] is a UUID, which JSON cannot hold and `encoder` did not convert: it raised {error.__name__}"
    )


# -- TTL


@pytest.mark.parametrize(
    ("ttl", "expires_at"),
    [
        (None, None),
        (1, NOW + SECOND),
        (0.5, NOW + SECOND // 2),
        (3600.0, NOW + 3600 * SECOND),
        (1e-9, NOW + 1),
        (5e-324, NOW + 1),
        ((LAST_MOMENT - NOW) // SECOND, NOW + (LAST_MOMENT - NOW) // SECOND * SECOND),
    ],
)
def test_a_ttl_ends_so_many_seconds_from_now(ttl: float | None, expires_at: int | None) -> None:
    assert checked_ttl(ttl, NOW) == expires_at


@pytest.mark.parametrize(
    ("ttl", "rule"),
    [
        (0, "must be a number of seconds greater than 0; it is 0"),
        (-0.0, "must be a number of seconds greater than 0; it is 0"),
        (-1.5, "must be a number of seconds greater than 0; it is negative"),
        (-(10**5000), "must be a number of seconds greater than 0; it is negative"),
        (math.nan, "must be a number of seconds greater than 0; it is NaN"),
        (True, "must be a number of seconds or None, not bool"),
        ("60", "must be a number of seconds or None, not str"),
        (Decimal(1), "must be a number of seconds or None, not Decimal"),
        (math.inf, "ends after the year 9999; None means: never"),
        (10**5000, "ends after the year 9999; None means: never"),
        ((LAST_MOMENT - NOW) // SECOND + 1, "ends after the year 9999; None means: never"),
    ],
    ids=lambda value: str(value)[:20] if isinstance(value, (str, float)) else type(value).__name__,
)
def test_a_wrong_ttl_is_refused_with_its_argument_and_the_rule(ttl: object, rule: str) -> None:
    with pytest.raises(ValidationError) as caught:
        checked_ttl(ttl, NOW, argument="puts[2].ttl")

    assert str(caught.value) == f"puts[2].ttl {rule}"


# -- index


@pytest.mark.parametrize(
    ("index", "spec"),
    [
        (None, None),
        (False, False),
        (["title"], ("title",)),
        (("author.name", "sections[*].text"), ("author.name", "sections[*].text")),
        (["a", "b", "a"], ("a", "b")),
    ],
)
def test_an_index_spec_is_none_false_or_paths(index: object, spec: object) -> None:
    assert checked_index(index) == spec


@pytest.mark.parametrize(
    ("index", "message"),
    [
        pytest.param(True, "index cannot be True: None means the configured fields, a list of paths these", id="True"),
        pytest.param("title", "index must be a list of paths, not a string: ['title']", id="a string"),
        pytest.param({"a"}, "index must be None, False or a list of paths, not set", id="a set"),
        pytest.param(0, "index must be None, False or a list of paths, not int", id="0"),
        pytest.param([], "index has 0 paths; 1 to 32 are allowed, and False means: not searchable", id="no path"),
        pytest.param(
            ["a"] * (MAX_PATHS + 1),
            "index has 33 paths; 1 to 32 are allowed, and False means: not searchable",
            id="too many paths",
        ),
        pytest.param(["a", 1], "index[1] must be a string, not int", id="a path that is no string"),
        pytest.param(["x" * 513], "index[0] has 513 bytes; 1 to 512 are allowed", id="a long path"),
        pytest.param(["\ud800"], "index[0] holds a lone surrogate, which UTF-8 cannot store", id="a lone surrogate"),
        pytest.param(
            ["a..b"], "index[0]: 'a..b' is wrong at character 3: a name is missing", id="a path that is wrong"
        ),
    ],
)
def test_a_wrong_index_spec_is_refused_with_its_place_and_the_rule(index: object, message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        checked_index(index)

    assert str(caught.value) == message
