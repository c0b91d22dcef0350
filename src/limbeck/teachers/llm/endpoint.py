"""An OpenAI-compatible endpoint as engine: vLLM, SGLang, llama.cpp, Ollama, or a hosted one."""

import json
import random
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import httpx2

from limbeck.errors import MissingError, UsageError
from limbeck.teachers.llm.address import Address
from limbeck.teachers.llm.call import Answer, Call, CallFailed, Usage
from limbeck.teachers.llm.key import Key
from limbeck.teachers.llm.retry import GATEWAY_TIMEOUTS, LONGEST_WAIT, PASSING, back_off, retry_after


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
