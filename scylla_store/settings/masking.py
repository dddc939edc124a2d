"""Values as they may be shown: secrets and the passwords inside URLs are left out."""

from __future__ import annotations

import re
import reprlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scylla_store.settings.catalogue import Option

HIDDEN = "**"
_SCHEME = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*://)(.*)$", re.DOTALL)
_SECRET_PARAMETER = re.compile(r"([?&][^=&#]*(?:pass|pwd|secret|token|key|auth|sig)[^=&#]*=)[^&#]*", re.IGNORECASE)

_short = reprlib.Repr()
_short.maxstring = _short.maxother = 100
_short.maxtuple = _short.maxlist = 10


def masked(url: str) -> str:
    """The URL, or several of them with semicolons between, without passwords.

    Everything up to the last `@` is taken for credentials, so that a password which should have been quoted (`p/w`, `p@w`)
    does not show either; a user without password may be a token, and does not show.
    """
    parts = _parts(url)
    with_credentials = [number for number, part in enumerate(parts) if "@" in part]
    last = max(with_credentials, default=-1)
    return ";".join(_masked(part, may_be_cut=number < last) for number, part in enumerate(parts))


def _parts(url: str) -> list[str]:
    """Splits before each scheme only: a password may hold a semicolon."""
    return re.split(r";(?=[A-Za-z][A-Za-z0-9+.-]*://)", url)


def _masked(url: str, *, may_be_cut: bool) -> str:
    """`may_be_cut`: what has no `@` may be the beginning of a password with a URL in it."""
    match = _SCHEME.match(url)
    scheme, rest = match.groups() if match else ("", url)
    credentials, at, place = rest.rpartition("@")
    if not at and may_be_cut:
        return f"{scheme}{HIDDEN}"
    user, colon, _ = credentials.partition(":")
    if at and (not colon or not match or any(mark in user for mark in "/?#")):
        return f"{scheme}{HIDDEN}@{_place(place)}"
    return f"{scheme}{user}{colon}{HIDDEN if colon else ''}{at}{_place(place)}"


def _place(place: str) -> str:
    return _SECRET_PARAMETER.sub(rf"\g<1>{HIDDEN}", place)


def shown(option: Option, value: Any) -> str:
    """The value of an option for messages and for `scylla-store settings`."""
    if value is None:
        return "none"
    if option.secret and not (option.is_url and isinstance(value, str) and _SCHEME.match(value)):
        return repr(HIDDEN)
    if callable(value):
        return f"{getattr(value, '__module__', '?')}:{getattr(value, '__qualname__', type(value).__qualname__)}"
    return _short.repr(_without_passwords(option, value))


def _without_passwords(option: Option, value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        shown_items = [_without_passwords(option, item) for item in value]
        return shown_items if isinstance(value, list) else tuple(shown_items)
    if isinstance(value, str) and ("://" in value or option.is_address):
        return masked(value)
    return value
