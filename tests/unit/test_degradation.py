"""While the index or the embedder is away: documents wait and lose no attempt, nobody else waits."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace

import pytest

from scylla_store.embedders import HashingEmbedder, guarded
from scylla_store.errors import EmbedderBusy, EmbedderUnavailable, IndexThrottled, IndexUnavailable, TransientError
from scylla_store.search import Terms
from scylla_store.settings.options import BreakerSettings, EmbedderSettings
from scylla_store.testing import FailingEmbedder, HangingEmbedder
from tests.unit.core import ITEM, SETTINGS, Core, raises

OPENS_AT = 2
QUICKLY = replace(SETTINGS, breaker=BreakerSettings(failures=OPENS_AT, reset=60.0))


def away(core: Core, error: Exception) -> None:
    """The index answers nothing but this from now on."""
    core.index.points_of = lambda items, tokens=True: raises(error)  # type: ignore[method-assign, assignment, func-returns-value]


def work_often(core: Core, times: int) -> None:
    """What the drain and a worker do with the one document, a minute later each time."""
    for _ in range(times):
        core.parts.drain.run()
        tasks, core.dispatcher.sent = core.dispatcher.sent, []
        for refs in tasks:
            core.work(*refs)
        core.clock.advance(25)


def test_an_open_circuit_costs_no_attempts_and_buries_nothing_however_long_it_lasts() -> None:
    # Given an index that is away, and a document whose attempts would be used up after three
    core = Core(settings=QUICKLY)
    receipt = core.put()
    core.clock.advance(60)
    away(core, IndexUnavailable("connection refused"))
    # When workers come back to it for an hour
    work_often(core, 150)
    # Then hardly anybody asked the index, and the document is as good as new
    assert core.parts.index_breaker.circuit.state == "open"
    assert core.ix.calls.count("points_of") <= OPENS_AT + 150 * 25 / 60
    entry = core.database.outbox.get([receipt.intent])[receipt.intent]
    assert (entry.attempts, entry.first_failed_at) == (0, None)
    assert "connection refused" in str(entry.error)
    assert core.database.letters(after=None, limit=10) == []
    # And when the index is back, the document is indexed
    del core.index.points_of
    core.clock.advance(60)
    work_often(core, 3)
    assert len(core.points()) == 1
    assert core.refs() == []


def test_an_embedder_that_is_away_is_not_asked_for_every_document() -> None:
    embedder = FailingEmbedder(error=EmbedderUnavailable("away"), inner=HashingEmbedder(8))
    core = Core(settings=QUICKLY, embedder=embedder)
    for number in range(10):
        core.put(item=ITEM._replace(key=str(number)))

    for ref in core.refs():
        core.work(ref)

    assert len(embedder.calls) == OPENS_AT
    entries = core.database.outbox.get([ref.intent.key for ref in core.refs()])
    assert [entry.attempts for entry in entries.values()] == 10 * [0]


def test_throttling_delays_documents_and_leaves_searches_alone() -> None:
    # Given an index that has answered 429 to writes again and again
    core = Core(settings=QUICKLY)
    core.sync(core.ref(core.put("tea")))
    away(core, IndexThrottled("slow down"))
    core.put("more tea")
    core.clock.advance(60)
    work_often(core, 20)
    # When somebody searches, then the index is asked
    hits = core.parts.searcher.search((), "tea", None, Terms(limit=1))
    assert [hit.item.key for hit in hits] == [ITEM.key]
    assert core.database.letters(after=None, limit=10) == []


@pytest.mark.parametrize("broken", ["index", "embedder"])
def test_a_put_asks_neither_of_them(broken: str) -> None:
    embedder = FailingEmbedder(error=EmbedderUnavailable("away"), inner=HashingEmbedder(8))
    core = Core(settings=QUICKLY, embedder=embedder)
    asked = len(core.ix.calls)

    core.put(parts=core.parts)

    assert core.ix.calls[asked:] == []
    assert embedder.calls == []


def test_searches_beside_an_embedder_that_hangs_all_end_and_say_so_until_it_answers() -> None:
    # Given an embedder that answers nobody, and that may be waited for a twentieth of a second
    embedder = HangingEmbedder(inner=HashingEmbedder(8))
    core = Core(settings=replace(QUICKLY, embedder=EmbedderSettings(timeout=0.05)), embedder=embedder)

    def search(_: int) -> BaseException | None:
        try:
            core.parts.searcher.search((), "tea", None, Terms(limit=1))
        except TransientError as exc:
            return exc
        return None

    # When some search at the same time: one of them makes the call, the others wait for their turn
    try:
        with ThreadPoolExecutor(4) as pool:
            ends = list(pool.map(search, range(8)))
    finally:
        embedder.release.set()
    # Then all of them have ended, with an error that says when to try again, after one call in all
    assert [type(end) for end in ends if not isinstance(end, EmbedderUnavailable)] == []
    assert embedder.calls == [["tea"]]


def test_a_burst_of_searches_opens_no_circuit_of_an_embedder_that_works(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given an embedder at work, and a clock by which whoever waits for a turn has waited too long at the second look
    embedder = HangingEmbedder(hang_on=lambda text: text == "slow", inner=HashingEmbedder(8))
    core = Core(settings=QUICKLY, embedder=embedder)

    def search(text: str) -> None:
        core.parts.searcher.search((), text, None, Terms(limit=1))

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(search, "slow")
        assert embedder.hanging.wait(30)
        with monkeypatch.context() as patched:
            patched.setattr(guarded, "time", SimpleNamespace(monotonic=itertools.count(0, 3600).__next__))
            # When more searches get no turn than outages would open the circuit
            for _ in range(OPENS_AT + 3):
                with pytest.raises(EmbedderBusy):
                    search("tea")
        embedder.release.set()
        first.result(30)
    # Then it is closed, and the next search is answered
    assert core.parts.embedder_breaker.circuit.state == "closed"
    search("tea")
