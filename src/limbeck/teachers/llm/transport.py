"""Where an endpoint is, and one HTTP request to it whose answer is bounded.

In bytes, packed or not, and in time, up to its last byte.
"""

import asyncio
import ipaddress
import random
import ssl
import threading
import zlib
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from limbeck.core.errors import UsageError, from_extra

if TYPE_CHECKING:
    import httpx2

MOST_BYTES = 1 << 20
"""Of an answer, packed and unpacked: some thousand times what an order, a grade or a query takes."""
MOST_OF_A_REFUSAL = 64 << 10
"""Bytes that are read of an answer with another status than 200, to be shown in part."""
PATIENCE = 5
"""A try is given up after so many times the seconds that may pass without a byte, however its bytes come."""


class Unreachable(Exception):
    """Nothing was sent. The text says why."""


class Lost(Exception):
    """The request may have been answered, and charged for, but the answer did not arrive whole. The text says why."""


@dataclass(frozen=True)
class Reply:
    """What came back: status, headers by their names in small letters, and the unpacked body."""

    status: int
    headers: Mapping[str, str]
    content: bytes


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


class Transport:
    """Connections to one host, kept open between requests. Safe for threads, which may send at once.

    Redirects are not followed: they could lead to a host that nobody named.

    Args:
        timeout: seconds without a byte until a request is given up; `PATIENCE` times as many for all of it.
        connections: requests under way at most.
        use_proxy: whether the environment's proxies are used.

    MissingError where the HTTP client is not installed.
    """

    def __init__(self, timeout: float, connections: int, use_proxy: bool) -> None:
        httpx2 = http_client()
        self._timeout = timeout
        self._make_client = partial(
            httpx2.AsyncClient,
            timeout=timeout,
            limits=httpx2.Limits(max_connections=connections),
            follow_redirects=False,
            trust_env=use_proxy,
            verify=_certificates(use_proxy),
        )
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._client: Any = None

    def post(self, url: str, content: bytes, headers: Mapping[str, str]) -> Reply:
        """Send a body. Raises Unreachable and Lost."""
        httpx2 = http_client()
        try:
            return self._submit(url, content, headers).result()
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
            raise Unreachable(f"cannot be reached ({str(error) or type(error).__name__})") from None
        except httpx2.RequestError as error:
            raise Lost(f"{type(error).__name__} after {self._timeout:g} s at most") from None
        except TimeoutError:
            raise Lost(f"its answer was not complete after {PATIENCE * self._timeout:g} s") from None

    def close(self) -> None:
        """Close the connections. No request may be under way."""
        with self._lock:
            loop, client, self._loop, self._client = self._loop, self._client, None, None
        if loop is not None and client is not None:
            asyncio.run_coroutine_threadsafe(client.aclose(), loop).result()
            loop.call_soon_threadsafe(loop.stop)

    def _submit(self, url: str, content: bytes, headers: Mapping[str, str]) -> "Future[Reply]":
        # The deadline must hold within headers, packing and connecting too. Only a task can be stopped anywhere, so the
        # requests of all threads are tasks of one loop.
        with self._lock:
            if self._loop is None or self._client is None:
                self._loop, self._client = asyncio.new_event_loop(), self._make_client()
                threading.Thread(target=_run, args=(self._loop,), name="limbeck-http", daemon=True).start()
            return asyncio.run_coroutine_threadsafe(self._post(self._client, url, content, headers), self._loop)

    async def _post(self, client: "httpx2.AsyncClient", url: str, content: bytes, headers: Mapping[str, str]) -> Reply:
        async with (
            asyncio.timeout(PATIENCE * self._timeout),
            client.stream("POST", url, content=content, headers={**headers, "Accept-Encoding": "gzip"}) as response,
        ):
            body = await _body(response)
        return Reply(response.status_code, {name.lower(): value for name, value in response.headers.items()}, body)


def _run(loop: asyncio.AbstractEventLoop) -> None:
    loop.run_forever()
    loop.close()


async def _body(response: "httpx2.Response") -> bytes:
    """The unpacked body. Of one that is no completion the beginning is enough; else Lost for one that is too long."""
    packing = response.headers.get("content-encoding", "identity").strip().lower()
    if packing not in ("identity", "gzip", "x-gzip", ""):
        raise Lost(f"its answer is packed as {packing[:40]!r}, which was not asked for")
    unpack = zlib.decompressobj(zlib.MAX_WBITS | 16) if "gzip" in packing else None
    most = MOST_BYTES if response.status_code == 200 else MOST_OF_A_REFUSAL
    body, received = bytearray(), 0
    async for chunk in response.aiter_raw():
        room = most + 1 - len(body)
        received += len(chunk)
        try:
            body += unpack.decompress(chunk, room) if unpack else chunk[:room]
        except zlib.error as error:
            raise Lost(f"its answer does not unpack ({error})") from None
        if max(len(body), received) > most:
            if response.status_code == 200:
                raise Lost(f"its answer is longer than {most:,} bytes")
            return bytes(body[:most])
    if unpack and not unpack.eof and response.status_code == 200:
        raise Lost("its answer does not unpack (it ends too early)")
    return bytes(body)


def http_client() -> Any:
    """The HTTP client's module. MissingError names the extra that brings it."""
    return from_extra("httpx2", "teach", "an LLM at an endpoint")


@cache
def _certificates(trust_env: bool) -> ssl.SSLContext:
    """What hosts are checked against: read once for all clients, as it takes 50 ms."""
    context: ssl.SSLContext = http_client().create_ssl_context(trust_env=trust_env)
    return context


def back_off(tries: int, first: float, draw: random.Random) -> float:
    """Seconds to wait after so many failed tries: twice as long each time, at most a minute, and a random half less."""
    return float(min(60.0, first * 2 ** (tries - 1)) * (0.5 + draw.random() / 2))


def retry_after(header: str | None, now: datetime | None = None) -> float | None:
    """Seconds that a `Retry-After` header asks for (RFC 9110, section 10.2.3); None for none or one that is no time.

    >>> retry_after("3")
    3.0
    """
    if header is None:
        return None
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        then = parsedate_to_datetime(header)
    except (ValueError, OverflowError):
        return None
    then = then if then.tzinfo else then.replace(tzinfo=UTC)
    return max(0.0, (then - (now or datetime.now(UTC))).total_seconds())
