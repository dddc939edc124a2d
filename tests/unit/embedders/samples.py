"""What settings may name: embedders in all their forms, and what is none."""

from __future__ import annotations

from scylla_store.embedders import HashingEmbedder
from scylla_store.errors import EmbedderUnavailable


class Named(HashingEmbedder):
    """A class without arguments."""

    def __init__(self) -> None:
        super().__init__(4)
        self.name = "named"


class NeedsAKey:
    """A class that cannot be made without arguments."""

    def __init__(self, key: str) -> None:
        self.key = key

    def embed(self, texts: list[str]) -> list[list[float]]:
        return [[1.0] for _ in texts]


class Callable_:
    """An object that is a function, and empty: it is false."""

    def __len__(self) -> int:
        return 0

    def __call__(self, texts: list[str]) -> list[list[float]]:
        return [[1.0, 0.0] for _ in texts]


instance = Named()
empty = Callable_()
number = 5


def factory() -> Named:
    return Named()


def function(texts: list[str]) -> list[list[float]]:
    return [[1.0, 0.0, 0.0] for _ in texts]


def wrapped(*texts: list[str]) -> list[list[float]]:
    return function(*texts)


def broken_factory() -> Named:
    raise RuntimeError("password=hunter2")


def factory_in_an_outage() -> Named:
    raise EmbedderUnavailable("not now")


def factory_of_nothing() -> None:
    return None
