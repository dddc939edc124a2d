"""Values as they may be shown: secrets and the passwords inside URLs are left out."""

from __future__ import annotations

import re
import reprlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scylla_store.settings.catalogue import Option

HIDDEN = "**"
_SCHEME = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*://)(.*)$", re.DOTALL)
_SECRET_PARAMETER = re.compile(r"([?&][^=&#]*(?:pass|secret|token|key)[^=&#]*=)[^&#]*", re.IGNORECASE)

_short = reprlib.Repr()
_short.maxstring = _short.maxother = 100
_short.maxtuple = _short.maxlist = 10


def masked(url: str) -> str:
    """The URL, or several of them with semicolons between, without passwords.

    Everything up to the last `@` is taken for credentials, so that a password which should have been quoted (`p/w`, `p@w`)
    does not show either.
    """
    return ";".join(_masked(part) for part in _parts(url))


def _parts(url: str) -> list[str]:
    """Splits before each scheme only: a password may hold a semicolon."""
    return re.split(r";(?=[A-Za-z][A-Za-z0-9+.-]*://)", url)


def _masked(url: str) -> str:
    match = _SCHEME.match(url)
    if match is None:
        return url
    scheme, rest = match.groups()
    credentials, at, place = rest.rpartition("@")
    user, colon, _ = credentials.partition(":")
    place = _SECRET_PARAMETER.sub(rf"\g<1>{HIDDEN}", place)
    return f"{scheme}{user}{colon}{HIDDEN if colon else ''}{at}{place}"


def shown(option: Option, value: Any) -> str:
    """The value of an option for messages and for `scylla-store settings`."""
    if value is None:
        return "none"
    if option.secret and not (option.is_url and isinstance(value, str) and "://" in value):
        return repr(HIDDEN)
    if isinstance(value, str) and "://" in value:
        value = masked(value)
    if callable(value):
        return f"{getattr(value, '__module__', '?')}:{getattr(value, '__qualname__', type(value).__qualname__)}"
    return _short.repr(value)
