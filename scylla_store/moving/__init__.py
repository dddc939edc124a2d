"""Documents on their way from one store to another: the lines of an export, its file, and both ends."""

from scylla_store.moving.exporting import Export
from scylla_store.moving.files import ExportFile, read_lines
from scylla_store.moving.lines import Header, Stored, footer_count, from_line
from scylla_store.moving.restoring import Restorer

__all__ = ["Export", "ExportFile", "Header", "Restorer", "Stored", "footer_count", "from_line", "read_lines"]
