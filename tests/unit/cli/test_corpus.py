"""Python's own documentation as a corpus."""

from scylla_store.cli.corpus import ROOT, corpus
from scylla_store.identity import checked_key, checked_namespace


def test_it_has_thousands_of_documents_and_is_the_same_every_time():
    first = corpus()

    assert len(first) > 3000
    assert corpus() == first


def test_every_document_has_text_and_a_name_of_its_own():
    puts = corpus()

    assert all(put.value["text"].strip() and put.namespace[0] == ROOT for put in puts)
    assert len({(tuple(put.namespace), put.key) for put in puts}) == len(puts)
    for put in puts:
        checked_namespace(put.namespace)
        checked_key(put.key)


def test_nothing_of_the_library_is_imported_for_it(capsys):
    import sys

    before = set(sys.modules)
    corpus()

    assert not {"this", "antigravity", "idlelib", "turtle", "tkinter"} & (set(sys.modules) - before)
    assert capsys.readouterr() == ("", "")
