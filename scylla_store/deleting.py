"""Deleting everything under a prefix: one delete after the other, so that a second call goes on where one stopped."""

from __future__ import annotations

from collections.abc import Callable

from scylla_store.arguments import check_function
from scylla_store.database.base import Database
from scylla_store.errors import DamagedRow, TombstoneLimit
from scylla_store.identity import Namespace
from scylla_store.reads import Reader
from scylla_store.rows import Cells, Head
from scylla_store.walks import pages
from scylla_store.writes import Change, Writer

_NAMED = 5
"""Namespaces that an error names."""


def delete_namespace(
    database: Database,
    reader: Reader,
    writer: Writer,
    prefix: Namespace,
    on_progress: Callable[[int], None] | None = None,
) -> int:
    """Deletes every document under the prefix; returns how many there were.

    Each is deleted as by `delete`, with its intent, and what is deleted already is passed over: stopped anywhere, a second
    call does the rest. Rows that are expired or cannot be decoded are deleted too, and do not count.

    Args:
        on_progress: called after each page, with the documents deleted so far.

    Raises:
        PartialFailure: some deletes failed.
        TombstoneLimit: at the end, when the database gave up at some namespaces; all others are deleted.
    """
    check_function(on_progress, "on_progress")
    deleted = 0
    unread: list[TombstoneLimit] = []
    for page in pages(database, reader, prefix, passes=unread.append):
        changes = [Change(row.id, None) for row in page if not _is_deleted(row)]
        if changes:
            deleted += sum(receipt.existed for receipt in writer.write(changes))
        if on_progress is not None:
            on_progress(deleted)
    if unread:
        raise _unread(unread, deleted)
    return deleted


def _is_deleted(row: Cells) -> bool:
    try:
        return row.head is not None and Head.decode(row.head, row.id).deleted
    except DamagedRow:
        return False


def _unread(errors: list[TombstoneLimit], deleted: int) -> TombstoneLimit:
    names = ", ".join(str(list(error.namespace)) for error in errors[:_NAMED])
    more = f" and {len(errors) - _NAMED} more" if len(errors) > _NAMED else ""
    error = TombstoneLimit(
        f"{deleted} documents are deleted, but the database could not read all of {len(errors)} namespaces: {names}{more}. "
        f"Call again later. The first reason: {errors[0]}"
    )
    error.namespace = errors[0].namespace
    return error
