"""When to send a call again, and after how long."""

import random
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

PASSING = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529})
"""HTTP statuses that a second attempt may not meet again."""
GATEWAY_TIMEOUTS = frozenset({504, 524})
"""Those of them behind which the answer may have been made, and charged, all the same."""
LONGEST_WAIT = 300.0  # seconds; a server that asks for more is not waited for


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
