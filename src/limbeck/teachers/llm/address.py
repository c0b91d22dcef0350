"""Where an endpoint is, and the key to it, which is recorded and shown nowhere."""

import ipaddress
import json
import os
import re
import unicodedata
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from html import unescape
from typing import Any
from urllib.parse import quote, unquote

from limbeck.core.errors import UsageError
from limbeck.teachers.llm.transport import http_client


@dataclass(frozen=True)
class Address:
    """The base of an OpenAI-compatible interface, such as `http://127.0.0.1:8000/v1`.

    There is no default and no environment variable for it: queries and passages go nowhere but to a host that was
    named. UsageError for anything but http(s), and for a name, a password or a query in it: they may be secret, and the
    address is recorded.
    """

    url: str

    def __post_init__(self) -> None:
        # Read as the client will read it: what two readers take for the host may differ.
        httpx2 = http_client()
        try:
            url = httpx2.URL(self.url)
        except httpx2.InvalidURL:
            url = httpx2.URL()
        if url.scheme not in ("http", "https") or not url.host or (url.port or 0) > 65_535:
            raise UsageError("endpoint: expected a URL such as http://127.0.0.1:8000/v1")
        if url.userinfo or "?" in self.url or "#" in self.url:
            raise UsageError(
                f"endpoint at {url.host}: expected a URL without name, password, ? or #; a key belongs into the "
                "environment"
            )
        object.__setattr__(self, "url", self.url.rstrip("/"))

    @property
    def host(self) -> str:
        """The host's name or number."""
        return str(http_client().URL(self.url).host)

    @property
    def is_loopback(self) -> bool:
        """Whether it is this machine."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def is_readable_on_the_way(self) -> bool:
        """Whether others on the network can read what is sent."""
        return not self.is_loopback and self.url.lower().startswith("http:")


SHORTEST = 8
"""Characters of the shortest key that is taken for a secret. Servers of one's own are given words such as EMPTY, which
an answer may hold by chance."""

CREDENTIALS = frozenset(
    {"apikey", "auth", "authorization", "bearer", "extraheaders", "headers", "key", "password", "secret", "token"}
)
"""Names, as small letters alone, of what is no sampling parameter, and may be secret."""


@dataclass(frozen=True)
class Key:
    """What the environment variable `variable` holds; it may be unset, where an endpoint wants no key.

    UsageError for a name that may be the key itself, and for a key that no header can hold.
    """

    variable: str

    def __post_init__(self) -> None:
        if not re.fullmatch("[A-Z_][A-Z0-9_]*", self.variable):
            raise UsageError(
                "key variable: expected the name of an environment variable in capitals, such as LIMBECK_API_KEY; the "
                "key itself belongs into the environment alone"
            )
        if not (self.value.isascii() and self.value.isprintable()):
            raise UsageError(
                f"{self.variable}: holds a line's end, or a character beyond ASCII, as no key does; set it anew"
            )

    def __bool__(self) -> bool:
        return bool(self.value)

    @property
    def value(self) -> str:
        """The key; empty where the variable is unset."""
        return os.environ.get(self.variable, "").strip()

    @property
    def headers(self) -> dict[str, str]:
        """The header that carries it, as bearer token."""
        return {"Authorization": f"Bearer {self.value}"} if self else {}

    def is_in(self, text: str) -> bool:
        """Whether a text holds the key, in whatever encoding."""
        return self.hide(text) != text

    def hide(self, text: str) -> str:
        """A text of the endpoint's, which may repeat the key, without it.

        Where it stands in an encoding that is not one of a few spellings (base64, say), nothing of the text is left.
        """
        value = self.value
        if len(value) < SHORTEST:
            return text
        hidden = text
        for spelling in (value, json.dumps(value)[1:-1], value.replace("/", r"\/"), quote(value, safe="")):
            hidden = hidden.replace(spelling, "(key)")
        if any(value.lower() in reading.lower() for reading in _readings(hidden)):
            return "(withheld: it repeats the key in another encoding)"
        return hidden


_BASE64 = re.compile(r"[\w+/-]{11,}={0,2}", re.ASCII)  # of eight characters and more
_HEX = re.compile(r"(?:[0-9a-f]{2}[\s:]?){8,}", re.IGNORECASE)
_ESCAPED = re.compile(r"\\(?:x([0-9a-f]{2})|u\{?([0-9a-f]{4})\}?)", re.IGNORECASE)


def _readings(text: str) -> set[str]:
    """What a text says to one who decodes it, also twice: escapes, letters in other forms, base64, hexadecimal."""
    once = _decoded(text)
    return once.union(*map(_decoded, once - {text}))


def _decoded(text: str) -> set[str]:
    if not text:
        return set()
    plain = "".join(unicodedata.normalize("NFKC", text).split())
    escaped = _ESCAPED.sub(lambda match: chr(int(match[1] or match[2], 16)), text)
    found = {plain, plain[::-1], unquote(text), unescape(text), escaped}
    found.add(" ".join(_latin(bytes.fromhex(re.sub(r"[\s:]", "", digits))) for digits in _HEX.findall(text)))
    words = [word.rstrip("=").replace("-", "+").replace("_", "/") for word in _BASE64.findall(text)]
    for start in range(4):  # letters before it may belong to it or not
        parts = [word[start:] for word in words]
        found.add(" ".join(_latin(b64decode(part[: len(part) - (len(part) % 4 == 1)] + "==")) for part in parts))
    return found


def _latin(content: bytes) -> str:
    return content.decode("latin-1")


def check_parameters(parameters: Mapping[str, Any]) -> None:
    """UsageError for one by whose name it may be a key: parameters are recorded with every call."""
    for name in parameters:
        if re.sub("[^a-z]", "", name.lower()) in CREDENTIALS:
            raise UsageError(
                f"parameter {name}: is recorded with every call, and may be secret; put the key into the environment "
                "variable that the key variable names, LIMBECK_API_KEY by default"
            )
