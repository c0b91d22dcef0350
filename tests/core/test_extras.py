"""What `pip install limbeck` leaves out is asked for by the name of its extra."""

import sys

import pytest

from limbeck.collections.near_duplicates import KnownTexts
from limbeck.core.errors import MissingError
from limbeck.report import require_packages
from limbeck.teachers.llm import Address


@pytest.mark.parametrize(
    ("package", "extra", "use"),
    [
        ("httpx2", "teach", lambda: Address("http://127.0.0.1:9/v1")),
        ("datasketch", "leaks", lambda: KnownTexts(["a"])),
        ("vl_convert", "report", require_packages),
        ("matplotlib", "report", require_packages),
    ],
)
def test_a_package_that_is_not_installed_is_named_with_its_extra(monkeypatch, package, extra, use):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingError, match=rf"needs the package {package}: pip install 'limbeck\[{extra}\]'"):
        use()
