"""The filter language: what a caller asks of a document, checked once and evaluated exactly."""

from scylla_store.filters.evaluation import Subject
from scylla_store.filters.filter import Filter
from scylla_store.filters.parsing import parse_filter

__all__ = ["Filter", "Subject", "parse_filter"]
