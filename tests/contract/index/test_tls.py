"""TLS towards the server: the authorities, the client's certificate, and what is refused without them."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from scylla_store.errors import IndexUnavailable
from scylla_store.index.server import QdrantServer
from scylla_store.settings.options import IndexSettings, TlsSettings
from tests.contract.index.points import NOW, SPECIFICATION, keys, point
from tests.contract.index.qdrant import started
from tests.servers import Qdrant

_OPENSSL = shutil.which("openssl")

pytestmark = pytest.mark.skipif(_OPENSSL is None, reason="no openssl on the PATH (apt-get install openssl)")


class TlsQdrant(Qdrant):
    """A server that speaks TLS and wants a certificate of its clients."""

    def __init__(self, certificates: Path) -> None:
        files = {name: str(certificates / f"{name}.pem") for name in ("ca", "server", "server-key")}
        super().__init__(
            options={
                "QDRANT__SERVICE__ENABLE_TLS": "true",
                "QDRANT__SERVICE__VERIFY_HTTPS_CLIENT_CERTIFICATE": "true",
                "QDRANT__TLS__CERT": files["server"],
                "QDRANT__TLS__KEY": files["server-key"],
                "QDRANT__TLS__CA_CERT": files["ca"],
            }
        )
        self._context = ssl.create_default_context(cafile=files["ca"])
        self._context.load_cert_chain(certificates / "client.pem", certificates / "client-key.pem")

    def is_ready(self) -> bool:
        with urllib.request.urlopen(f"https://{self.address}/readyz", timeout=1, context=self._context) as answer:
            return bool(answer.status == 200)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an authority, and certificates that it made for a server and a client."""
    folder = tmp_path_factory.mktemp("certificates")
    authority = ["-keyout", "ca-key.pem", "-out", "ca.pem", "-subj", "/CN=tests", "-days", "2"]
    # Python 3.13 asks for what RFC 5280 asks for: the key's identifiers and its usage.
    _openssl(folder, "req", "-x509", *authority, "-addext", "keyUsage=critical,keyCertSign,cRLSign")
    names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
    (folder / "names").write_text(f"{names}\nauthorityKeyIdentifier=keyid\nsubjectKeyIdentifier=hash\n")
    for name in ("server", "client"):
        _openssl(folder, "req", "-keyout", f"{name}-key.pem", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        made = ["-in", f"{name}.csr", "-out", f"{name}.pem", "-CA", "ca.pem", "-CAkey", "ca-key.pem", "-CAcreateserial"]
        _openssl(folder, "x509", "-req", *made, "-days", "2", "-extfile", "names")
    return folder


def _openssl(folder: Path, command: str, *options: str) -> None:
    fresh_key = ["-newkey", "rsa:2048", "-nodes"] if command == "req" else []
    subprocess.run([str(_OPENSSL), command, *fresh_key, *options], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def settings(certificates: Path) -> Iterator[IndexSettings]:
    """Settings that the server accepts."""
    tls = TlsSettings(
        enabled=True,
        ca_file=str(certificates / "ca.pem"),
        cert_file=str(certificates / "client.pem"),
        key_file=str(certificates / "client-key.pem"),
    )
    with started(TlsQdrant(certificates)) as server:
        yield IndexSettings(url=f"http://localhost:{server.port}", grpc_port=server.grpc_port, timeout=20.0, tls=tls)


@pytest.mark.parametrize("prefer_grpc", [False, True], ids=["REST", "gRPC"])
def test_a_trusted_server_is_used_over_tls(settings: IndexSettings, prefer_grpc: bool) -> None:
    index = QdrantServer(replace(settings, prefer_grpc=prefer_grpc))
    index.setup(SPECIFICATION)

    index.upsert([point()], at_most=NOW)

    assert keys(index) == ["k"]
    index.close()


@pytest.mark.parametrize(
    ("prefer_grpc", "lacking"),
    [
        (False, {"ca_file": None}),
        (True, {"ca_file": None}),
        (False, {"cert_file": None, "key_file": None}),  # by gRPC the server asks for none
    ],
    ids=["authority by REST", "authority by gRPC", "certificate"],
)
def test_without_its_authority_or_our_certificate_there_is_no_connection(
    settings: IndexSettings, prefer_grpc: bool, lacking: dict[str, None]
) -> None:
    index = QdrantServer(replace(settings, prefer_grpc=prefer_grpc, tls=replace(settings.tls, **lacking)))

    with pytest.raises(IndexUnavailable):
        index.connect()

    index.close()


def test_certificates_are_not_checked_when_the_settings_say_so(settings: IndexSettings) -> None:
    index = QdrantServer(replace(settings, tls=replace(settings.tls, ca_file=None, verify=False)))

    index.connect()

    index.close()


def test_a_url_that_says_https_needs_no_other_setting(settings: IndexSettings) -> None:
    url = str(settings.url).replace("http:", "https:")
    index = QdrantServer(replace(settings, url=url, tls=replace(settings.tls, enabled=False)))

    index.connect()

    index.close()
