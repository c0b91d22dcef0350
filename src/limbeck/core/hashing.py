"""One content key: what it stands for is equal exactly when the key is."""

import hashlib
import json
from typing import Any


def key_of(description: Any, digits: int = 12) -> str:
    """The first hex `digits` of SHA-256 over plain JSON values, whatever the order of a mapping's keys.

    The text that is hashed is JSON in UTF-8 with sorted keys and no spaces; lone surrogates, which JSON files may hold,
    are taken as they are. 12 digits tell some thousand descriptions of one study apart (a collision among a million has
    odds of 1 in 500); whatever is kept in a store that many studies share takes 16, and a paid answer 32.

    >>> key_of({"b": 1, "a": 2}) == key_of({"a": 2, "b": 1})
    True
    """
    text = json.dumps(description, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:digits]
