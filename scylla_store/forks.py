"""What a child process has to make anew after a fork: a lock that a thread of the parent held would stay held in it for ever."""

from __future__ import annotations

import logging
import os
import weakref
from typing import Protocol

log = logging.getLogger(__name__)


class Forked(Protocol):
    """Something that threads share."""

    def after_fork(self) -> None:
        """Called in a child process, before anything else runs there: makes locks anew, and forgets what is the parent's."""


_followed: weakref.WeakSet[Forked] = weakref.WeakSet()


def follow(something: Forked) -> None:
    """Lets it know of every fork, as long as it lives."""
    _followed.add(something)


def _after_in_child() -> None:
    for something in list(_followed):
        try:
            something.after_fork()
        except Exception:  # the locks of all others have to be made anew nevertheless
            log.exception("%s may not work in this child process", type(something).__name__)


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_after_in_child)
