import sys

import pytest

from limbeck.core.devices import keep_freed_memory


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc alone")
def test_glibc_takes_the_settings() -> None:
    keep_freed_memory.cache_clear()
    assert keep_freed_memory()


def test_nothing_happens_on_other_systems(monkeypatch: pytest.MonkeyPatch) -> None:
    keep_freed_memory.cache_clear()
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not keep_freed_memory()
    keep_freed_memory.cache_clear()
