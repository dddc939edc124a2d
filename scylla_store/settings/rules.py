"""What must hold between options, beside what each may be by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scylla_store.errors import ValidationError
from scylla_store.paths import ANY, parse
from scylla_store.settings.brokers import is_broker
from scylla_store.ttls import broken_defaults

Values = Mapping[str, Any]

MAX_RANGES = 16
"""Range fields; each takes four indexed numbers in a point."""


@dataclass(frozen=True)
class Rule:
    """A condition on several options, and the message with their values in it when it does not hold.

    Attributes:
        names: the options; the condition gets their values in this order.
        message: with "{}" for each value. Secrets have none.
    """

    names: tuple[str, ...]
    holds: Callable[..., bool]
    message: str


RULES = (
    Rule(
        ("chunking.overlap", "chunking.size"),
        lambda overlap, size: overlap < size / 2,
        "chunking.overlap = {} must be less than half of chunking.size = {}",
    ),
    Rule(
        # A hanging task ends at 1.5 times the limit; a retried one is held a few seconds more.
        ("celery.visibility_timeout", "sync.time_limit"),
        lambda visibility, limit: visibility >= 2 * limit,
        "celery.visibility_timeout = {} must be at least twice sync.time_limit = {}, or Redis gives a task to a second "
        "worker while the first is at it",
    ),
    Rule(
        # Past the limit no requests are sent, and the next dispatch must not meet the last one.
        ("index.timeout", "sync.time_limit"),
        lambda timeout, limit: timeout < limit,
        "index.timeout = {} must be less than sync.time_limit = {}",
    ),
    Rule(
        # Or a call that ends in time would have its vectors thrown away, each time.
        ("embedder.timeout", "sync.time_limit"),
        lambda timeout, limit: timeout < limit,
        "embedder.timeout = {} must be less than sync.time_limit = {}",
    ),
    Rule(
        # A writer's clock may be that much behind a worker's; its intents would never be young. SQLite has one clock.
        ("sync.margin", "clock.max_clock_skew", "database.contact_points"),
        lambda margin, skew, points: margin >= 2 * skew or not points,
        "sync.margin = {} must be at least twice clock.max_clock_skew = {} on a cluster, where two clocks may differ by that",
    ),
    Rule(
        ("sync.backoff", "sync.backoff_most"),
        lambda base, most: base <= most,
        "sync.backoff = {} must not be above sync.backoff_most = {}",
    ),
    Rule(
        ("clock.max_node_clock_difference", "clock.max_clock_skew"),
        lambda nodes, skew: nodes <= skew,
        "clock.max_node_clock_difference = {} must not be above clock.max_clock_skew = {}",
    ),
    Rule(
        ("publisher.batch_size", "publisher.queue_size"),
        lambda batch, queue: batch <= queue,
        "publisher.batch_size = {} must not be above publisher.queue_size = {}",
    ),
    Rule(
        ("database.local_datacenter", "database.replication"),
        lambda centre, replication: centre is None or ":" not in replication or centre in _centres(replication),
        "database.local_datacenter = {!r} must be one of the data centres of database.replication = {!r}",
    ),
    Rule(
        ("database.password", "database.username"),
        lambda password, username: password is None or username is not None,
        "database.password needs database.username",
    ),
    Rule(
        ("index.tls.enabled", "index.url"),
        lambda enabled, url: not enabled or url is None or url.startswith("https://"),
        "index.url must begin with https:// when index.tls.enabled is true",
    ),
    Rule(
        # gRPC's library cannot leave the check out.
        ("index.tls.verify", "index.prefer_grpc"),
        lambda verify, grpc: verify or not grpc,
        "index.tls.verify must be true when index.prefer_grpc is",
    ),
    Rule(
        ("celery.broker_url",),
        is_broker,
        "celery.broker_url must be the URL of a broker that Celery knows (redis, rediss, sentinel, amqp, …), with a port "
        "from 1 to 65535",
    ),
    Rule(
        # Celery's Redis backend refuses such a URL when it is first used.
        ("celery.result_backend", "celery.tls.enabled"),
        lambda url, enabled: enabled or url is None or not url.startswith("rediss://") or "ssl_cert_reqs=" in url,
        "celery.result_backend needs celery.tls.enabled when it is a rediss:// URL",
    ),
)


def broken_rules(values: Values) -> Iterator[str]:
    """A message for each rule that does not hold. Rules about options without a (right) value are left out."""
    for rule in RULES:
        if all(name in values for name in rule.names):
            chosen = [values[name] for name in rule.names]
            if not rule.holds(*chosen):
                yield rule.message.format(*chosen)
    yield from _broken_paths("index.fields", values.get("index.fields", ()))
    yield from _broken_ranges(values.get("index.range_fields", ()))
    yield from (f"ttl.defaults: {problem}" for problem in broken_defaults(values.get("ttl.defaults", ())))
    for section in ("database.tls", "index.tls", "celery.tls"):
        yield from _broken_tls(section, values)


def _broken_paths(name: str, paths: Iterable[str]) -> Iterator[str]:
    for path in paths:
        try:
            parse(path)
        except ValidationError as exc:
            yield f"{name}: {exc}"


def _broken_ranges(paths: Sequence[str]) -> Iterator[str]:
    """A range field has one value, so that a point has one place in its order."""
    broken = list(_broken_paths("index.range_fields", paths))
    yield from broken
    if len(paths) > MAX_RANGES:
        yield f"index.range_fields has {len(paths)} paths; at most {MAX_RANGES} are allowed"
    if broken:
        return
    steps = [parse(path) for path in paths]
    yield from (
        f"index.range_fields: {path!r} cannot be compared: it must lead to one value"
        for path, found in zip(paths, steps, strict=True)
        if not found or ANY in found
    )
    if len(set(steps)) < len(steps):
        yield "index.range_fields has a path twice"


def _broken_tls(section: str, values: Values) -> Iterator[str]:
    files = {name: values.get(f"{section}.{name}") for name in ("ca_file", "cert_file", "key_file")}
    for one, other in (("cert_file", "key_file"), ("key_file", "cert_file")):
        if files[one] is not None and files[other] is None and f"{section}.{other}" in values:
            yield f"{section}.{one} needs {section}.{other}"
    chosen = {name: file for name, file in files.items() if file is not None}
    for name, file in chosen.items():
        if not _is_file(file):
            yield f"{section}.{name} = {file!r} must be a file that exists"
    if chosen and values.get(f"{section}.enabled") is False:
        yield f"{section}.{next(iter(chosen))} is set, so {section}.enabled must be true: without it nothing is encrypted"


def _centres(replication: str) -> set[str]:
    return {part.partition(":")[0].strip() for part in replication.split(",")}


def _is_file(path: str) -> bool:
    try:
        return Path(path).is_file()
    except (OSError, ValueError):  # a name that is too long, or has a NUL in it
        return False
