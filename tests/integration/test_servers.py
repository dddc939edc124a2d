"""The fixtures that start real servers do what they say."""

from __future__ import annotations

import urllib.request

import pytest
import redis

from tests.servers import Missing, Redis


def test_redis_comes_back_with_its_data_after_a_kill_and_empty_when_asked(redis_server: str) -> None:
    with Redis() as server:
        redis.Redis.from_url(server.url).set("a", "1")

        server.kill()
        server.start()
        assert redis.Redis.from_url(server.url).get("a") == b"1"

        server.kill()
        server.start(empty=True)
        assert redis.Redis.from_url(server.url).get("a") is None


def test_a_paused_server_does_not_answer_until_it_is_resumed(redis_server: str) -> None:
    with Redis() as server:
        client = redis.Redis.from_url(server.url, socket_timeout=0.2, retry=None)
        server.pause()
        with pytest.raises(redis.TimeoutError):
            client.ping()
        server.resume()
        assert redis.Redis.from_url(server.url).ping()


def test_qdrant_answers(qdrant: str, qdrant_grpc_port: int) -> None:
    with urllib.request.urlopen(f"{qdrant}/collections", timeout=5) as answer:
        assert answer.status == 200
    assert qdrant_grpc_port > 0


def test_a_machine_without_the_program_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(Missing, match="apt-get install redis-server"):
        Redis().start()
