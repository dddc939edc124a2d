"""What the client of the server is made of."""

from __future__ import annotations

import http.server
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from scylla_store.errors import ConfigurationError, IndexUnavailable
from scylla_store.index.base import Match, Question
from scylla_store.index.server import QdrantServer
from scylla_store.settings.options import IndexSettings, TlsSettings

_COLLECTION = {
    "result": {
        "status": "green",
        "optimizer_status": "ok",
        "segments_count": 1,
        "config": {
            "params": {},
            "hnsw_config": {"m": 16, "ef_construct": 100, "full_scan_threshold": 10_000},
            "optimizer_config": {"default_segment_number": 0, "flush_interval_sec": 5},
        },
        "payload_schema": {},
    }
}


@contextmanager
def server_of_version(
    version: str, encodings: list[str | None] | None = None, answer: object = None, collection: object = _COLLECTION
) -> Iterator[str]:
    """URL of a server that only says its version, `collection` to who asks for one, and `answer` to what is posted; it notes
    which encodings it was asked for."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if encodings is not None:
                encodings.append(self.headers["Accept-Encoding"])
            if self.path.startswith("/collections/"):
                return self.say(collection)
            self.say({"title": "qdrant - vector search engine", "version": version})

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.say(answer)

        def say(self, what: object) -> None:
            body = json.dumps(what).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("version", ["1.15.5", "1.9.0", "0.11.7"])
def test_a_server_without_conditional_upserts_is_refused(version: str) -> None:
    with server_of_version(version) as url:
        index = QdrantServer(IndexSettings(url=url))
        with pytest.raises(ConfigurationError, match=rf"Qdrant {version}; 1\.16 or newer"):
            index.connect()
        index.close()


def test_answers_are_asked_for_uncompressed_because_others_come_in_pieces_that_wait_for_each_other() -> None:
    encodings: list[str | None] = []
    with server_of_version("1.18.3", encodings) as url:
        index = QdrantServer(IndexSettings(url=url))
        index.connect()
        index.close()

    assert encodings == ["identity"]


_POINT = {"id": "00000000-0000-0000-0000-000000000001", "score": 0.5, "payload": {}}


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [],
        {},
        {"result": None},
        {"result": 5},
        {"result": []},
        {"result": [{"points": []}, {"points": []}]},
        {"result": [{"hits": []}]},
        {"result": [{"points": [{**_POINT, "score": "near"}]}]},
        {"result": [{"points": [{**_POINT, "score": None}]}]},
        {"result": [{"points": [{**_POINT, "payload": "text"}]}]},
        {"result": [{"points": [{"score": 0.5}]}]},
    ],
    ids=str,
)
def test_an_answer_that_no_qdrant_gives_is_an_outage(answer: object) -> None:
    with server_of_version("1.18.3", answer=answer) as url:
        index = QdrantServer(IndexSettings(url=url))
        with pytest.raises(IndexUnavailable, match="not the answer of a Qdrant server"):
            index.query([Question([1.0], None, 0, 1)])
        index.close()


@pytest.mark.parametrize("collection", [None, {}, {"result": None}, {"result": 5}], ids=str)
def test_a_collection_that_no_qdrant_describes_is_an_outage(collection: object) -> None:
    with server_of_version("1.18.3", collection=collection) as url:
        index = QdrantServer(IndexSettings(url=url))
        with pytest.raises(IndexUnavailable, match=r"Qdrant server|ValidationError"):
            index.query([Question([1.0], None, 0, 1)])
        index.close()


def test_what_a_query_finds_is_taken_as_the_server_says_it() -> None:
    answer = {"result": [{"points": [_POINT, {**_POINT, "score": 1, "payload": None}]}]}
    with server_of_version("1.18.3", answer=answer) as url:
        index = QdrantServer(IndexSettings(url=url))
        assert index.query([Question([1.0], None, 0, 1)]) == [
            [Match(_POINT["id"], 0.5, {}), Match(_POINT["id"], 1.0, {})]
        ]
        index.close()


@pytest.mark.parametrize("version", ["1.16.0", "1.18.3", "2.0.0", "1.20.0-dev"])
def test_a_newer_server_is_taken(version: str) -> None:
    with server_of_version(version) as url:
        index = QdrantServer(IndexSettings(url=url))
        index.connect()
        index.close()


@pytest.mark.parametrize("prefer_grpc", [False, True])
def test_a_tls_file_that_is_missing_is_named(tmp_path: Path, prefer_grpc: bool) -> None:
    missing = str(tmp_path / "ca.pem")
    settings = IndexSettings(url="https://localhost:1", prefer_grpc=prefer_grpc, tls=TlsSettings(ca_file=missing))
    with pytest.raises(ConfigurationError, match=r"index\.tls"):
        QdrantServer(settings).connect()


def test_grpc_cannot_leave_certificates_unchecked() -> None:
    settings = IndexSettings(url="http://localhost:1", prefer_grpc=True, tls=TlsSettings(enabled=True, verify=False))
    with pytest.raises(ConfigurationError, match=r"index\.tls\.verify"):
        QdrantServer(settings).connect()


def test_the_client_is_loaded_when_a_process_connects() -> None:
    program = """
import sys
from scylla_store.index.server import QdrantServer
from scylla_store.settings.options import IndexSettings
QdrantServer(IndexSettings(url="http://localhost:1")).close()
print(sorted({"qdrant_client", "httpx", "grpc"} & set(sys.modules)))
"""
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout == "[]\n"
