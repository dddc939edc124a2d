"""Who an item is: namespace and key, their limits, their order, and the digests that stand for them in the index.

Every encoding here is injective, so no label can imitate another (NUL, dots and slashes included).
"""

from __future__ import annotations

import functools
import hashlib
import uuid
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from scylla_store.arguments import checked_list
from scylla_store.errors import ValidationError

MAX_LABELS = 32
MAX_LABEL_BYTES = 512
MAX_NAMESPACE_BYTES = 8 * 1024
MAX_KEY_BYTES = 1024
SLICES = 4096

_POINTS = uuid.UUID("6c0f2c2e-6f0c-5d6e-9c57-6b1d2b6d6a11")

Namespace = tuple[str, ...]


class ItemId(NamedTuple):
    """Namespace and key of one item."""

    namespace: Namespace
    key: str


def checked_namespace(namespace: object, *, argument: str = "namespace", prefix: bool = False) -> Namespace:
    """Returns the namespace as a tuple of labels.

    Args:
        namespace: a tuple or list of non-empty strings, at most 32 labels of at most 512 UTF-8 bytes, 8 KiB in all.
        argument: how the caller calls it, for the message.
        prefix: whether the empty tuple is allowed, which stands for "everything".

    Raises:
        ValidationError: names the argument and the rule.
    """
    if not isinstance(namespace, (tuple, list)):
        raise ValidationError(f"{argument} must be a tuple of labels, not {type(namespace).__name__}")
    if not namespace and not prefix:
        raise ValidationError(f"{argument} must have at least one label")
    if len(namespace) > MAX_LABELS:
        raise ValidationError(f"{argument} has {len(namespace)} labels; at most {MAX_LABELS} are allowed")
    total = 0
    for position, label in enumerate(namespace):
        total += checked_text(label, f"{argument}[{position}]", MAX_LABEL_BYTES)
    if total > MAX_NAMESPACE_BYTES:
        raise ValidationError(f"{argument} has {total} bytes; at most {MAX_NAMESPACE_BYTES} are allowed")
    return tuple(map(plain, namespace))


def checked_key(key: object, *, argument: str = "key") -> str:
    """Returns the key: a string of 1 to 1,024 UTF-8 bytes; raises ValidationError otherwise."""
    checked_text(key, argument, MAX_KEY_BYTES)
    return plain(key)


def checked_ids(keys: object, *, argument: str = "keys") -> list[ItemId]:
    """Ids of the pairs (namespace, key), in their order; raises ValidationError that names the pair and the rule."""
    ids: list[ItemId] = []
    last: object = None
    checked: Namespace = ()
    for position, pair in enumerate(checked_list(keys, argument, "pairs (namespace, key)")):
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise ValidationError(f"{argument}[{position}] must be a pair (namespace, key), not {type(pair).__name__}")
        namespace, key = pair
        try:
            # A namespace that comes again, as the same object, is not checked again.
            if namespace is not last or not checked:
                checked, last = checked_namespace(namespace), namespace
            ids.append(ItemId(checked, checked_key(key)))
        except ValidationError as exc:
            raise ValidationError(f"{argument}[{position}].{exc}") from None
    return ids


def plain(text: Any) -> str:
    """The string itself: `str()` of the member of an enum of strings is its name."""
    return str.__str__(text)


def checked_text(text: object, argument: str, most: int) -> int:
    """Returns how many UTF-8 bytes `text` has; raises ValidationError unless it is a string of 1 to `most` of them."""
    if not isinstance(text, str):
        raise ValidationError(f"{argument} must be a string, not {type(text).__name__}")
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise ValidationError(f"{argument} holds a lone surrogate, which UTF-8 cannot store") from None
    if not 1 <= size <= most:
        raise ValidationError(f"{argument} has {size} bytes; 1 to {most} are allowed")
    return size


def sort_key(namespace: Sequence[str]) -> bytes:
    """Bytes that sort as Cassandra sorts `frozen<list<text>>`: label by label, by UTF-8 bytes, shorter first.

    All namespaces under a prefix p are those in [sort_key(p), sort_key(p) + b"\\xff"), because UTF-8 has no byte 0xFF.
    """
    return b"".join(label.encode().replace(b"\0", b"\0\xff") + b"\0" for label in namespace)


def prefix_range(prefix: Sequence[str]) -> tuple[bytes, bytes]:
    """The half-open range of sort keys of all namespaces that start with exactly the labels of `prefix`."""
    start = sort_key(prefix)
    return start, start + b"\xff"


def _encode(parts: Iterable[str]) -> bytes:
    encoded = [part.encode() for part in parts]
    return b"".join(len(part).to_bytes(4, "big") + part for part in encoded)


def namespace_digest(namespace: Sequence[str]) -> str:
    """Digest of a namespace or prefix: 32 hexadecimal digits."""
    return _namespace_digest(tuple(namespace))


@functools.lru_cache(maxsize=4096)
def _namespace_digest(namespace: Namespace) -> str:
    return hashlib.blake2b(_encode(namespace), digest_size=16, person=b"namespace").hexdigest()


def prefix_digests(namespace: Sequence[str]) -> list[str]:
    """Digests of every prefix of a namespace, from its first label to all of it."""
    return list(_prefix_digests(tuple(namespace)))


@functools.lru_cache(maxsize=4096)
def _prefix_digests(namespace: Namespace) -> tuple[str, ...]:
    return tuple(namespace_digest(namespace[: depth + 1]) for depth in range(len(namespace)))


def item_digest(item: ItemId) -> str:
    """Digest of an item's identity: 32 hexadecimal digits."""
    key = item.key.encode()
    encoded = _with_depth(item.namespace) + len(key).to_bytes(4, "big") + key
    return hashlib.blake2b(encoded, digest_size=16, person=b"item").hexdigest()


@functools.lru_cache(maxsize=4096)
def _with_depth(namespace: Namespace) -> bytes:
    return len(namespace).to_bytes(1, "big") + _encode(namespace)


def item_slice(digest: str) -> int:
    """The slice (0 to 4,095) of an item digest: the reconciler's way from points to rows."""
    return int(digest[:3], 16)


def point_id(digest: str, ordinal: int) -> str:
    """Point id (UUIDv5) of one chunk of an item."""
    return str(uuid.uuid5(_POINTS, f"{digest}/{ordinal}"))
