"""Locks of open files between processes, and between two openings in one. They end with their owner, however that happens."""

from __future__ import annotations

import os
import sys

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_FAR = 1 << 20
"""Where Windows locks: a locked byte cannot be read there by others."""


def lock(file: int) -> None:
    """Takes the lock of an open file until it is closed; raises OSError when it is taken. On Windows it moves the position."""
    if sys.platform == "win32":
        os.lseek(file, _FAR, os.SEEK_SET)
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
    else:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
