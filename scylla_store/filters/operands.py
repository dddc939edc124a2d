"""What stands beside an operator: checked, and turned into what it is compared as."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import datetime, timedelta

from scylla_store.clock import EPOCH
from scylla_store.errors import ValidationError
from scylla_store.filters.nodes import TIMES, Field, System
from scylla_store.index.base import Json
from scylla_store.inspection import Encoder
from scylla_store.values import encode_json

MAX_BYTES = 65_536
"""All operands and paths of one filter, in JSON."""

MAX_VALUES = 1000
"""Values of one list."""

_MAX_DEPTH = 150
_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)", re.ASCII)
_A_TIME = "must be a datetime with a time zone, or text such as '2026-01-31T12:00:00Z'"


class Operands:
    """Checks the operands of one filter; they share a bound.

    Args:
        encoder: what turns values that JSON cannot hold into those it can, in documents and so in what they are compared with.
    """

    def __init__(self, encoder: Encoder | None) -> None:
        self._encoder = encoder
        self._bytes = 0

    def count(self, size: int, at: str) -> None:
        """Adds to what the filter takes; raises ValidationError when that is too much."""
        if self._bytes + size > MAX_BYTES:
            raise ValidationError(f"{at} makes the filter longer than the {MAX_BYTES} bytes that are allowed")
        self._bytes += size

    def value(self, field: Field, operand: object, at: str) -> Json:
        """What a value of the field may be equal to."""
        return self._json(operand, at) if isinstance(field, tuple) else self._of_system(field, operand, at)

    def values(self, field: Field, operand: object, at: str) -> tuple[Json, ...]:
        """Each of a list; it may be empty."""
        if not isinstance(operand, (list, tuple)):
            raise ValidationError(f"{at} must be a list of values, not {_name(operand)}")
        if len(operand) > MAX_VALUES:
            raise ValidationError(f"{at} has {len(operand)} values; at most {MAX_VALUES} are allowed")
        if field in TIMES:
            return tuple(self.value(field, one, f"{at}[{position}]") for position, one in enumerate(operand))
        found = self._each_of(operand, at)
        if not isinstance(field, tuple):
            for position, one in enumerate(found):
                _check_suits(field, one, f"{at}[{position}]")
        return tuple(found)

    def bound(self, field: Field, operand: object, at: str) -> int | float | str:
        """What a value of the field may be less or greater than."""
        found = self.value(field, operand, at)
        if isinstance(found, bool) or not isinstance(found, (int, float, str)):
            raise ValidationError(f"{at} must be a number or a string, not {_name(found)}")
        return found

    def text(self, operand: object, at: str) -> str:
        """A string."""
        found = self._json(operand, at)
        if not isinstance(found, str):
            raise ValidationError(f"{at} must be a string, not {_name(found)}")
        return found

    def flag(self, operand: object, at: str) -> bool:
        """True or False."""
        if not isinstance(operand, bool):
            raise ValidationError(f"{at} must be true or false, not {_name(operand)}")
        return operand

    def _of_system(self, field: System, operand: object, at: str) -> Json:
        if field in TIMES:
            self.count(_SIZE_OF_TIME, at)
            return _microseconds(operand, at)
        found = self._json(operand, at)
        _check_suits(field, found, at)
        return found

    def _each_of(self, operand: Sequence[object], at: str) -> list[Json]:
        """As `_json`, for each value of a list: all at once, and one by one only to find the place of what is wrong.

        Many small values are few bytes, and a call for each of them takes long.
        """
        try:
            # An object, because that is looked at without Python; with its own brackets it is two levels deeper.
            body = encode_json(
                {"": operand}, encoder=self._encoder, max_bytes=2 * MAX_BYTES, max_depth=_MAX_DEPTH + 2, argument=at
            )
            found: list[Json] = json.loads(body, object_pairs_hook=_by_name)[""]
            self.count(len(body) - len('{"":[]}') - max(0, len(found) - 1), at)
        except ValidationError:
            return [self._json(one, f"{at}[{position}]") for position, one in enumerate(operand)]
        return found

    def _json(self, operand: object, at: str) -> Json:
        """The operand as a document would hold it, so that the same values are refused and the same converted."""
        body = encode_json(operand, encoder=self._encoder, max_bytes=MAX_BYTES, max_depth=_MAX_DEPTH, argument=at)
        self.count(len(body), at)
        found: Json = json.loads(body, object_pairs_hook=_by_name)
        return found


def _by_name(entries: list[tuple[str, Json]]) -> dict[str, Json]:
    """An object, so that the order in which its names were written makes no other filter."""
    return dict(sorted(entries, key=lambda entry: entry[0]))


_SIZE_OF_TIME = 32


def _check_suits(field: System, found: Json, at: str) -> None:
    """Raises ValidationError when no key, or version, is such a value."""
    if field is System.KEY and not isinstance(found, str):
        raise ValidationError(f"{at} must be a string, as keys are, not {_name(found)}")
    if field is System.VERSION and (isinstance(found, bool) or not isinstance(found, (int, float))):
        raise ValidationError(f"{at} must be a number, as versions are, not {_name(found)}")


def _microseconds(operand: object, at: str) -> int:
    """Microseconds since the epoch of an aware datetime, or of a text that says the zone too.

    `datetime.fromisoformat` reads more and more with each Python; the pattern is what all of them read.
    """
    moment = operand
    if isinstance(operand, str) and _TIME.fullmatch(operand):
        try:
            moment = datetime.fromisoformat(_padded(operand))
        except ValueError as exc:
            raise ValidationError(f"{at} {_A_TIME}: {exc}") from None
    if not isinstance(moment, datetime):
        raise ValidationError(f"{at} {_A_TIME}, not {_name(operand)}")
    if moment.utcoffset() is None:
        raise ValidationError(f"{at} {_A_TIME}; it has no time zone")
    return (moment - EPOCH) // timedelta(microseconds=1)


def _padded(text: str) -> str:
    """Python 3.10 wants +00:00 for Z, and three or six digits of a second."""
    text = text.replace("Z", "+00:00")
    return re.sub(r"\.(\d+)", lambda digits: "." + digits[1].ljust(6, "0"), text)


def _name(operand: object) -> str:
    return "null" if operand is None else f"{type(operand).__name__}"
