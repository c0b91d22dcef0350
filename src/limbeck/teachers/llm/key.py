"""The key of an endpoint: it stands in the environment, and goes nowhere but into the header of a call."""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from limbeck.errors import UsageError

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
