"""The filter language: what a caller asks of a document, checked once and evaluated exactly."""

from scylla_store.filters.evaluation import Subject
from scylla_store.filters.filter import Filter
from scylla_store.filters.parsing import parse_filter
from scylla_store.filters.translation import condition_of

__all__ = ["Filter", "Subject", "condition_of", "parse_filter"]
