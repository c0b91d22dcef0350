"""Lists of several sources as one, for one stage of training to draw from."""

from collections.abc import Mapping

from limbeck.core.errors import DataError
from limbeck.lists.lists import Lists, joined_metadata
from limbeck.lists.ragged import joined
from limbeck.lists.signals import only_signals


def mix(parts: Mapping[str, Lists]) -> Lists:
    """All lists of all parts, by their names, in order. A query may have lists in several parts.

    Signals that a part lacks are left out of all; metadata counts each part's lists (`lists_of`) and names the signals
    (`signals_left_out`). What else differs in the metadata is joined with ` + `.

    DataError where the parts have no signal in common: an objective reads one signal of every list.
    """
    shared = frozenset.intersection(*(part.signals for part in parts.values()))
    if not shared:
        found = "; ".join(f"{name}: {', '.join(sorted(part.signals)) or 'none'}" for name, part in parts.items())
        raise DataError(f"the lists have no signal in common ({found}); expected one, such as labels, that all have")
    left_out = frozenset.union(*(part.signals for part in parts.values())) - shared
    kept = [only_signals(part, shared) for part in parts.values()]
    columns = {name: joined([getattr(part, name) for part in kept]) for name in ("query_ids", "passage_ids", *shared)}
    metadata = {
        **joined_metadata([part.metadata for part in kept]),
        "lists_of": " + ".join(f"{name}: {len(part)}" for name, part in parts.items()),
        "signals_left_out": ", ".join(sorted(left_out)) or "none",
    }
    return Lists(**columns, metadata=metadata)
