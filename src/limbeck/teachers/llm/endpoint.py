"""Chat completions over HTTP, from any server with OpenAI's interface. What comes back is taken for hostile.

And the key to it, which is recorded and shown nowhere.
"""

import json
import os
import random
import re
import threading
import time
import unicodedata
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from html import unescape
from typing import Any
from urllib.parse import quote, unquote

from limbeck.core.errors import MissingError, UsageError, one_line
from limbeck.teachers.llm.engine import MOST_TOKENS, Answer, Call, CallFailed, Usage
from limbeck.teachers.llm.transport import Address, Lost, Reply, Transport, Unreachable, back_off, retry_after

PASSING = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529})
"""HTTP statuses that a second attempt may not meet again."""
GATEWAY_TIMEOUTS = frozenset({504, 524})
"""Those of them behind which the answer may have been made, and charged, all the same."""
LONGEST_WAIT = 300.0  # seconds; a server that asks for more is not waited for
SHOWN = 300  # characters of what a server says for itself


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
    _transport: Transport = field(init=False, repr=False)

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
        # A proxy has no business within this machine.
        transport = Transport(self.timeout, self.connections, use_proxy=not self.address.is_loopback)
        object.__setattr__(self, "_transport", transport)

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
                reply = self._transport.post(f"{self.address.url}/chat/completions", content, self._headers)
                if reply.status == 200:
                    return self._without_key(_answer(reply.content, time.monotonic() - began, tries, lost))
            except Unreachable as error:
                reason = str(error)
            except (Lost, ValueError) as error:
                lost += 1
                reason = self._shown(str(error) if isinstance(error, Lost) else f"its answer cannot be read ({error})")
            else:
                reason = self._refusal(reply)
                if reply.status not in PASSING:
                    raise CallFailed(reason, lost, refused=True)
                lost += reply.status in GATEWAY_TIMEOUTS
                wait = retry_after(reply.headers.get("retry-after"))
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
        self._transport.close()

    @property
    def _key(self) -> "Key":
        return Key(self.key_variable)

    @property
    def _headers(self) -> dict[str, str]:
        return {"Content-Type": "application/json", **self._key.headers}

    def _without_key(self, answer: Answer) -> Answer:
        """The answer as it may be kept: some servers repeat what they were sent."""
        hide = self._key.hide
        reason = answer.finish_reason and hide(answer.finish_reason)
        return replace(answer, text=hide(answer.text), finish_reason=reason, served_by=hide(answer.served_by))

    def _shown(self, text: str) -> str:
        # Hidden before it is cut, for a part of the key not to be left.
        return one_line(self._key.hide(text), SHOWN)

    def _refusal(self, reply: Reply) -> str:
        """What the endpoint says, raised where it would say so to every call."""
        text = f"{reply.headers.get('location', '')} {reply.content.decode(errors='replace')}"
        reason = f"HTTP {reply.status}: {self._shown(text)}"
        place = f"endpoint {self.address.url}"
        if reply.status in (401, 403):
            known = "the key in it is refused" if self._key else "it is not set"
            raise UsageError(f"{place}: {reason}; the key is read from {self.key_variable}: {known}")
        if reply.status == 404:
            raise MissingError(f"{place}: {reason}; is there a model {self.model!r}, and does the address end in /v1?")
        if 300 <= reply.status < 400:
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
        raise ValueError(f"no chat completion: {type(error).__name__}") from None
    return Answer(
        str(text), one_line(str(reason), SHOWN) if reason else None, usage, one_line(served_by, SHOWN),
        round(seconds, 3), tries, lost,
    )  # fmt: skip


def _usage(found: Any) -> Usage | None:
    """The tokens that a chat completion says it took; None where it does not say both numbers, or not credibly."""
    try:
        counts = int(found["prompt_tokens"]), int(found["completion_tokens"])
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    # Fewer than none would give back what others have spent of the budget; too many would spend all of it for good.
    return Usage(*counts) if all(0 <= count <= MOST_TOKENS for count in counts) else None


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
