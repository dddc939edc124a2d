"""What texts must look like, and how that is said."""

from __future__ import annotations

import re
from dataclasses import dataclass

_DOTTED = r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*"
_HOST = r"[^\s:/@\[\],;]+"
_PORT = r"(:(?P<port>\d{1,5}))?"
_REPLICAS = r"[1-9][0-9]?"
_CENTRE = r"[A-Za-z0-9_.-]+"


@dataclass(frozen=True)
class Shape:
    """A pattern that the whole text must match, and what a message says that the text must be."""

    pattern: str
    meaning: str

    def fits(self, text: str) -> bool:
        """Whether the text has this shape; a port in it must be between 1 and 65535."""
        match = re.fullmatch(self.pattern, text)
        if match is None:
            return False
        port = match.groupdict().get("port")
        return port is None or 1 <= int(port) <= 65535


TEXT = Shape(r"(?s).*\S.*", "a text that is not empty")
KEYSPACE = Shape(r"[A-Za-z][A-Za-z0-9_]{0,47}", "a letter and then letters, digits and underscores, 48 at most")
COLLECTION = Shape(r"[A-Za-z0-9_-]{1,255}", "letters, digits, underscores and dashes, 255 at most")
QUEUE = Shape(r"[^\s,]{1,200}", "a name without spaces and commas, 200 characters at most")
HOST = Shape(rf"{_HOST}|[0-9A-Fa-f:.]+", "a host name or an address")
CONTACT_POINT = Shape(
    rf"({_HOST}|\[[0-9A-Fa-f:.]+\]){_PORT}|[0-9A-Fa-f]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*",
    "hosts, each 'host' or 'host:port' with a port from 1 to 65535",
)
REPLICATION = Shape(
    rf"\s*{_REPLICAS}\s*|\s*{_CENTRE}:{_REPLICAS}\s*(,\s*{_CENTRE}:{_REPLICAS}\s*)*",
    "a number from 1 to 99, or one for each data centre: 'dc1:3,dc2:3'",
)
HTTP_URL = Shape(
    rf"https?://({_HOST}|\[[0-9A-Fa-f:.]+\]){_PORT}(/[^\s?#]*)?",
    "a URL such as http://localhost:6333, without user and password (index.api_key is for that)",
)
URL = Shape(r"[A-Za-z][A-Za-z0-9+.-]*://\S*", "a URL such as redis://localhost:6379/0")
DSN = Shape(
    rf"https?://[^\s@/]+@({_HOST}|\[[0-9A-Fa-f:.]+\]){_PORT}(/[^\s?#]*)?/[0-9]+",
    "a DSN such as https://key@host/1, with the number of its project at the end",
)
DOTTED_PATH = Shape(_DOTTED, "a dotted path such as 'package.module:function'")
EMBEDDER = Shape(
    rf"wordllama|hashing|{_DOTTED}", "'wordllama', 'hashing' or a dotted path such as 'package.module:attribute'"
)
