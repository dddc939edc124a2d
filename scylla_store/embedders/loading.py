"""From a name, a dotted path or whatever was passed in to an embedder."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from typing import Any, Union

from scylla_store.embedders.base import Embedder, EmbedFunction
from scylla_store.errors import ConfigurationError, StoreError
from scylla_store.settings.options import EmbedderSettings

Given = Union[Embedder, EmbedFunction, Callable[[], Any]]
"""An embedder, its class or factory, or a function from texts to vectors."""


def load_embedder(settings: EmbedderSettings) -> Embedder | EmbedFunction:
    """The embedder that the settings name; a model is loaded at its first call, not here. Raises ConfigurationError."""
    if settings.name == "wordllama":
        from scylla_store.embedders.wordllama import WordLlamaEmbedder

        return WordLlamaEmbedder()
    if settings.name == "hashing":
        from scylla_store.embedders.hashing import HashingEmbedder

        return HashingEmbedder()
    option = f"embedder.name = {settings.name!r}"
    return as_embedder(_attribute(settings.name, option), option)


def as_embedder(given: Given, option: str = "embedder") -> Embedder | EmbedFunction:
    """An embedder as it is; what a class or a factory (a callable without arguments) makes; a function of texts as it is.

    Raises:
        ConfigurationError: it is none of these; `option` says where it came from.
    """
    made: Any = given
    if _is_factory(made):
        try:
            made = made()
        except StoreError:
            raise
        except Exception as exc:
            raise ConfigurationError(f"{option} cannot be made: {type(exc).__name__}") from exc
    if not isinstance(made, type) and callable(getattr(made, "embed", made)):
        embedder: Embedder | EmbedFunction = made
        return embedder
    raise ConfigurationError(
        f"{option} must be an embedder, a class or factory of one that needs no argument, or a function from a list of "
        f"texts to vectors, not {made.__name__ if isinstance(made, type) else type(made).__name__}"
    )


def _attribute(path: str, option: str) -> Any:
    module, _, attributes = path.partition(":")
    if not attributes:
        raise ConfigurationError(f"{option} must be 'wordllama', 'hashing' or 'package.module:attribute'")
    try:
        found: Any = importlib.import_module(module)
        for attribute in attributes.split("."):
            found = getattr(found, attribute)
    except (ImportError, AttributeError, ValueError) as exc:
        raise ConfigurationError(f"{option} cannot be loaded: {exc}") from exc
    return found


def _is_factory(given: Any) -> bool:
    """Whether it is to be called without arguments. What takes any arguments (`*args`) takes texts."""
    if not callable(given) or (hasattr(given, "embed") and not isinstance(given, type)):
        return False
    try:
        signature = inspect.signature(given)
        signature.bind()
    except (TypeError, ValueError):
        return False
    kinds = {parameter.kind for parameter in signature.parameters.values()}
    return isinstance(given, type) or inspect.Parameter.VAR_POSITIONAL not in kinds
