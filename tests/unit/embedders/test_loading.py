"""From a name, a dotted path or an object to an embedder."""

from __future__ import annotations

import functools

import pytest

from scylla_store.embedders import GuardedEmbedder, HashingEmbedder, as_embedder, load_embedder
from scylla_store.embedders.wordllama import WordLlamaEmbedder
from scylla_store.errors import ConfigurationError, EmbedderUnavailable
from scylla_store.settings.options import EmbedderSettings
from tests.unit.embedders import samples

HERE = "tests.unit.embedders.samples"


def load(name: str) -> object:
    return load_embedder(EmbedderSettings(name=name))


@pytest.mark.parametrize(("name", "kind"), [("wordllama", WordLlamaEmbedder), ("hashing", HashingEmbedder)])
def test_two_embedders_have_names(name: str, kind: type) -> None:
    assert type(load(name)) is kind


@pytest.mark.parametrize("attribute", ["Named", "factory", "instance"])
def test_a_dotted_path_names_a_class_a_factory_or_an_embedder(attribute: str) -> None:
    assert type(load(f"{HERE}:{attribute}")) is samples.Named


@pytest.mark.parametrize("attribute", ["function", "wrapped", "empty", "instance.embed"])
def test_a_dotted_path_names_a_function_of_texts(attribute: str) -> None:
    embedder = GuardedEmbedder(load_embedder(EmbedderSettings(name=f"{HERE}:{attribute}")), EmbedderSettings())

    assert len(embedder.embed(["a", "b"])) == 2


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("wordlama", "must be 'wordllama', 'hashing' or 'package.module:attribute'"),
        ("no_such_module:x", "cannot be loaded: No module named 'no_such_module'"),
        (f"{HERE}:nothing", "cannot be loaded: module 'tests.unit.embedders.samples' has no attribute 'nothing'"),
        (":x", "cannot be loaded: Empty module name"),
        (f"{HERE}:number", "must be an embedder, a class or factory of one that needs no argument, or a function"),
        (f"{HERE}:NeedsAKey", "not NeedsAKey"),
        (f"{HERE}:factory_of_nothing", "not NoneType"),
        (f"{HERE}:broken_factory", "cannot be made: RuntimeError"),
    ],
)
def test_what_is_no_embedder_is_refused_with_the_setting_and_its_value(name: str, reason: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(name)

    assert str(caught.value).startswith(f"embedder.name = {name!r} ")
    assert reason in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_an_outage_while_an_embedder_is_made_stays_one() -> None:
    with pytest.raises(EmbedderUnavailable, match="not now"):
        load(f"{HERE}:factory_in_an_outage")


def test_an_embedder_is_taken_as_it_is_even_when_it_is_false() -> None:
    assert as_embedder(samples.empty) is samples.empty
    assert as_embedder(samples.instance) is samples.instance


@pytest.mark.parametrize(
    ("given", "name"),
    [
        (samples.function, f"{HERE}:function"),
        (samples.empty, f"{HERE}:Callable_"),
        (functools.partial(samples.wrapped), "functools:partial"),
        (samples.instance.embed, "scylla_store.embedders.hashing:HashingEmbedder.embed"),
        (samples.instance, "named"),
        (samples.Named, "named"),
    ],
)
def test_a_function_is_named_by_where_it_is_defined(given: object, name: str) -> None:
    assert GuardedEmbedder(given, EmbedderSettings()).name == name  # type: ignore[arg-type]
