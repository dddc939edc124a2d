"""What is stored and logged of a failure."""

from __future__ import annotations

from scylla_store.errors import BadVector, IndexUnavailable
from scylla_store.failures import Failure


def test_a_foreign_error_is_told_with_its_message() -> None:
    failure = Failure.of(RuntimeError("quota of the model is used up"), ["the text of a document"])

    assert Failure("RuntimeError", "RuntimeError: quota of the model is used up", False) == failure


def test_a_foreign_error_that_quotes_the_document_is_told_by_its_class_alone() -> None:
    failure = Failure.of(
        ValueError("cannot embed 'patient 4711 has a secret illness'"), ["patient 4711 has a secret illness"]
    )

    assert "ValueError" == failure.reason
    assert "patient" not in failure.message


def test_a_short_document_is_not_quoted_either() -> None:
    assert "pin 1234" not in Failure.of(ValueError("bad text: pin 1234"), ["pin 1234"]).message


def test_an_error_of_ours_keeps_its_message_and_says_whether_it_is_permanent() -> None:
    assert Failure.of(BadVector("wordllama returned NaN")).is_permanent
    assert not Failure.of(IndexUnavailable("no answer")).is_permanent


def test_long_messages_are_cut() -> None:
    assert len(Failure.of(RuntimeError("x" * 10_000)).message) < 400


def test_what_a_database_cannot_store_is_told_by_its_escape() -> None:
    # Given an error that quotes the name of a file as Python reads it
    failure = Failure.of(ValueError("no such file: '\udcff'"))

    assert "ValueError: no such file: '\\udcff'" == failure.message
    assert len(Failure.of(RuntimeError("\udcff" * 10_000)).message) < 400
