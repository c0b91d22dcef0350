"""A call to an LLM, its answer, and what may become of it instead of one."""

import ipaddress
import json
import os
import random
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Any, Protocol
from urllib.parse import quote

import httpx2

from limbeck.core.errors import MissingError, UsageError
from limbeck.core.hashing import key_of
from limbeck.teachers.llm.prompts import Message

PASSING = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529})
"""HTTP statuses that a second attempt may not meet again."""
GATEWAY_TIMEOUTS = frozenset({504, 524})
"""Those of them behind which the answer may have been made, and charged, all the same."""
LONGEST_WAIT = 300.0  # seconds; a server that asks for more is not waited for


@dataclass(frozen=True)
class Call:
    """One prompt as an engine gets it.

    model, revision  what is to answer, as its engine names it
    parameters       every sampling parameter, as sent
    messages         the chat
    attempt          0, or how often the same was asked for in vain before
    about            what it is for (query, window, …); no part of the key
    """

    model: str
    revision: str
    parameters: Mapping[str, Any]
    messages: tuple[Message, ...]
    attempt: int
    about: Mapping[str, Any]

    @cached_property
    def key(self) -> str:
        """32 hex digits of SHA-256 over all that can change the answer."""
        content = [self.model, self.revision, dict(self.parameters), list(self.messages), self.attempt]
        return key_of(content, 32)

    @cached_property
    def token_bound(self) -> int:
        """Tokens that it may cost at most: no tokeniser in use makes more tokens than bytes of a text."""
        prompt = sum(len(message["content"].encode()) + 16 for message in self.messages)
        return 256 + prompt + self.output_bound

    @property
    def output_bound(self) -> int:
        """Tokens that its answer may have. UsageError where no parameter bounds them."""
        named = [self.parameters.get(name) for name in ("max_tokens", "max_completion_tokens")]
        bounds = [bound for bound in named if isinstance(bound, int) and bound > 0]
        if not bounds:
            raise UsageError(
                "parameters: no bound of an answer's tokens, expected max_tokens or max_completion_tokens; without one "
                "nobody knows what a call may cost"
            )
        return max(bounds)


@dataclass(frozen=True)
class Usage:
    """Tokens that a call was charged for."""

    prompt_tokens: int
    completion_tokens: int

    @property
    def total(self) -> int:
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True)
class Answer:
    """What an engine answered.

    usage       None where the engine does not say
    served_by   what the engine says of itself: the model's exact name, its fingerprint
    tries       how often it was sent until it was answered
    lost_tries  how many of these may have been answered, and charged, without the answer arriving
    """

    text: str
    finish_reason: str | None
    usage: Usage | None
    served_by: str = ""
    seconds: float = 0.0
    tries: int = 1
    lost_tries: int = 0


class CallFailed(Exception):
    """An engine gave no answer to one call; others may go better. The text says why.

    `lost_tries`: how many tries may have been charged all the same. `refused`: the engine is there, and refuses
    what is asked: it is too long, say, or a filter holds it back.
    """

    def __init__(self, text: str, lost_tries: int = 0, refused: bool = False) -> None:
        super().__init__(text)
        self.lost_tries = lost_tries
        self.refused = refused


class Stopped(Exception):
    """No further call is to be made: the budget is spent, or nothing answers. The text says which."""


class Engine(Protocol):
    """What answers calls."""

    @property
    def model(self) -> str:
        """The model's name."""

    @property
    def revision(self) -> str:
        """What tells its weights from others of that name; empty where nobody says."""

    @property
    def place(self) -> str:
        """Where it runs: an endpoint's address, or "in process"."""

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Every sampling parameter."""

    @property
    def markers(self) -> frozenset[str]:
        """Special tokens of its prompts, as far as they are known."""

    def answer(self, call: Call) -> Answer:
        """Answer a call. Raises CallFailed, or a LimbeckError where no call could be answered."""


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
        """Whether a text holds the key."""
        return len(self.value) >= SHORTEST and any(spelling in text for spelling in self._spellings)

    def hide(self, text: str) -> str:
        """A text of the endpoint's, which may repeat the key, without it."""
        if self.is_in(text):
            for spelling in self._spellings:
                text = text.replace(spelling, "(key)")
        return text

    @property
    def _spellings(self) -> list[str]:
        """As it is, in JSON, and in an address."""
        value = self.value
        return [value, json.dumps(value)[1:-1], value.replace("/", r"\/"), quote(value, safe="")]


def check_parameters(parameters: Mapping[str, Any]) -> None:
    """UsageError for one by whose name it may be a key: parameters are recorded with every call."""
    for name in parameters:
        if re.sub("[^a-z]", "", name.lower()) in CREDENTIALS:
            raise UsageError(
                f"parameter {name}: is recorded with every call, and may be secret; put the key into the environment "
                "variable that the key variable names, LIMBECK_API_KEY by default"
            )


@dataclass(frozen=True)
class Endpoint:
    """Chat completions over HTTP. Safe for threads.

    address       where it is
    model         the model's name there
    parameters    what is sent beside model and messages; every sampling parameter
    key_variable  environment variable that holds the key; the key is sent as bearer token, and kept nowhere
    revision      the user's word for the version that answers; an endpoint has no reliable one of its own
    timeout       seconds without a byte until a try is given up
    retries       how often a call is sent again when the failure may pass
    back_off      seconds before the first of them
    connections   calls under way at most
    stopping      ends waiting for another try once it is set

    UsageError where a key would go over the network unencrypted, or stands in what is recorded; and see `Key`.
    """

    address: Address
    model: str
    parameters: Mapping[str, Any]
    key_variable: str
    revision: str = ""
    timeout: float = 120.0
    retries: int = 5
    back_off: float = 1.0
    connections: int = 8
    stopping: threading.Event = field(default_factory=threading.Event)
    _client: httpx2.Client = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self._key and self.address.is_readable_on_the_way:
            raise UsageError(
                f"endpoint {self.address.url}: the key in {self.key_variable} would go over the network unencrypted; "
                f"use https, or unset {self.key_variable}"
            )
        if self._key.is_in(f"{self.address.url} {self.model} {self.revision} {json.dumps(dict(self.parameters))}"):
            raise UsageError(
                f"the key in {self.key_variable} stands in the address, the model's name, the revision or a parameter, "
                "which are recorded; leave it out there, it is sent by itself"
            )
        client = httpx2.Client(
            timeout=self.timeout,
            limits=httpx2.Limits(max_connections=self.connections),
            # A redirect could lead to a host that nobody named; a proxy has no business within this machine.
            follow_redirects=False,
            trust_env=not self.address.is_loopback,
        )
        object.__setattr__(self, "_client", client)

    @property
    def place(self) -> str:
        """The address."""
        return self.address.url

    @property
    def markers(self) -> frozenset[str]:
        """None: an endpoint does not tell them."""
        return frozenset()

    def answer(self, call: Call) -> Answer:
        """Answer a call, sending it again as long as the failure may pass.

        Raises:
            CallFailed: no answer to this call.
            MissingError, UsageError: the endpoint refuses every call: no such model, no right to it, not there.
        """
        body = {"model": self.model, "messages": list(call.messages), "stream": False, **call.parameters}
        content = json.dumps({name: value for name, value in body.items() if value is not None}).encode()
        draw, began, lost = random.Random(call.key), time.monotonic(), 0
        for tries in range(1, self.retries + 2):
            wait = None
            try:
                response = self._client.post(
                    f"{self.address.url}/chat/completions", content=content, headers=self._headers
                )
            except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
                reason = f"cannot be reached ({str(error) or type(error).__name__})"
            except httpx2.RequestError as error:
                # It may have been answered, and charged, without our hearing of it.
                lost += 1
                reason = f"{type(error).__name__} after {self.timeout:g} s at most"
            else:
                if response.status_code == 200:
                    try:
                        return self._without_key(_answer(response.content, time.monotonic() - began, tries, lost))
                    except ValueError as error:
                        lost += 1
                        reason = f"its answer cannot be read ({error})"
                else:
                    reason = self._refusal(response)
                    if response.status_code not in PASSING:
                        raise CallFailed(reason, lost, refused=True)
                    lost += response.status_code in GATEWAY_TIMEOUTS
                    wait = retry_after(response.headers.get("retry-after"))
            if tries > self.retries:
                raise CallFailed(f"{reason}; given up after try {tries}", lost)
            if wait is not None and wait > LONGEST_WAIT:
                raise CallFailed(f"{reason}; it asks to wait {wait:.0f} s", lost)
            if self.stopping.wait(back_off(tries, self.back_off, draw) if wait is None else wait):
                raise CallFailed(f"{reason}; interrupted", lost)
        raise AssertionError("a call is answered or fails")

    def close(self) -> None:
        """Close the connections, and end waiting."""
        self.stopping.set()
        self._client.close()

    @property
    def _key(self) -> Key:
        return Key(self.key_variable)

    @property
    def _headers(self) -> dict[str, str]:
        return {"Content-Type": "application/json", **self._key.headers}

    def _without_key(self, answer: Answer) -> Answer:
        """The answer as it may be kept: some servers repeat what they were sent."""
        hide = self._key.hide
        reason = answer.finish_reason and hide(answer.finish_reason)
        return replace(answer, text=hide(answer.text), finish_reason=reason, served_by=hide(answer.served_by))

    def _refusal(self, response: httpx2.Response) -> str:
        """What the endpoint says, raised where it would say so to every call."""
        text = f"{response.headers.get('location', '')} {response.text}"
        # Hidden before it is cut, for a part of the key not to be left.
        reason = f"HTTP {response.status_code}: {' '.join(self._key.hide(text)[:300].split())}"
        place = f"endpoint {self.address.url}"
        if response.status_code in (401, 403):
            known = "the key in it is refused" if self._key else "it is not set"
            raise UsageError(f"{place}: {reason}; the key is read from {self.key_variable}: {known}")
        if response.status_code == 404:
            raise MissingError(f"{place}: {reason}; is there a model {self.model!r}, and does the address end in /v1?")
        if 300 <= response.status_code < 400:
            raise UsageError(f"{place}: {reason}; it sends calls elsewhere, name that address if you trust it")
        return reason


def _answer(content: bytes, seconds: float, tries: int, lost: int) -> Answer:
    """What a chat completion holds. ValueError for anything else, such as the first half of one."""
    try:
        found = json.loads(content)
        choice = found["choices"][0]
        message = choice["message"]
        usage = _usage(found.get("usage"))
        served_by = " ".join(str(found[name]) for name in ("model", "system_fingerprint") if found.get(name))
        text = message.get("content") or message.get("refusal") or ""
        reason = choice.get("finish_reason")
    except (KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"no chat completion: {error!r}") from None
    return Answer(str(text), reason and str(reason), usage, served_by, round(seconds, 3), tries, lost)


def _usage(found: Any) -> Usage | None:
    """The tokens that a chat completion says it took; None where it does not say both numbers."""
    try:
        usage = Usage(int(found["prompt_tokens"]), int(found["completion_tokens"]))
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    # Fewer than none would give back what others have spent of the budget.
    return usage if min(usage.prompt_tokens, usage.completion_tokens) >= 0 else None


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
