"""Logs as JSON lines, for programs that collect them. Off unless `monitoring.log_format` says json."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable

_FIELDS = "{asctime}{levelname}{name}{process}{message}"
_NAMES = {"asctime": "time", "levelname": "level", "name": "logger"}


def use_json(handlers: Iterable[logging.Handler], *filters: logging.Filter) -> None:
    """Makes these handlers write one JSON object a line: time, level, logger, process, message, and what a filter adds."""
    for handler in handlers:
        handler.setFormatter(json_formatter())
        for one in filters:
            handler.addFilter(one)


def json_formatter() -> logging.Formatter:
    """Times are ISO 8601 in UTC. A traceback is the field exc_info."""
    from pythonjsonlogger.json import JsonFormatter

    formatter = JsonFormatter(_FIELDS, style="{", rename_fields=_NAMES, json_ensure_ascii=False)
    formatter.converter = time.gmtime
    formatter.default_time_format, formatter.default_msec_format = "%Y-%m-%dT%H:%M:%S", "%s.%03dZ"
    return formatter
