"""An endpoint's address: checked before anything is sent to it."""

import ipaddress
from dataclasses import dataclass

import httpx2

from limbeck.errors import UsageError


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
        return httpx2.URL(self.url).host

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
        return not self.is_loopback and httpx2.URL(self.url).scheme == "http"
