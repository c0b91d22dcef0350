"""An endpoint's address: checked before anything is sent to it."""

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

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
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(f"endpoint {self.url!r}: expected a URL such as http://127.0.0.1:8000/v1")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise UsageError(
                f"endpoint at {parts.hostname}: expected a URL without name, password, ? or #; a key belongs into the "
                "environment"
            )
        object.__setattr__(self, "url", self.url.rstrip("/"))

    @property
    def host(self) -> str:
        """The host's name or number."""
        return urlsplit(self.url).hostname or ""

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
        return not self.is_loopback and urlsplit(self.url).scheme == "http"
