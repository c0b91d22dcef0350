"""The Chromium of this machine, and pages opened in it."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typed_results import typed

from limbeck.report import to_html

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

HANG = 300_000  # milliseconds after which what is waited for does not come
DRAWN = "() => [...document.querySelectorAll('figure[data-chart]')].every(one => one.dataset.state === 'drawn')"


@pytest.fixture(scope="session")
def browser() -> Iterator["Browser"]:
    """The Chromium of this machine; tests that need it are skipped where there is none."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="the package playwright is not installed")
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        pytest.skip("no Chromium is installed")
    with sync_api.sync_playwright() as driver:
        # Without a sandbox, as root in a container; pages are those that these tests write.
        started = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"], timeout=HANG)
        yield started
        started.close()


@pytest.fixture
def open_page(browser: "Browser", tmp_path: Path) -> Iterator[Callable[..., "Page"]]:
    """Open a page from disk. Afterwards it must have said nothing to the console and asked for nothing but itself."""
    said: list[str] = []
    asked: list[str] = []
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(HANG)

    def show(results: dict[str, Any], queries: dict[str, Any] | None = None, **media: Any) -> "Page":
        path = tmp_path / "report.html"
        path.write_text(to_html(typed(results), queries), encoding="utf-8")
        page = context.new_page()
        page.emulate_media(**media)
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: (said.append(f"dialog {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(path.as_uri())
        page.wait_for_function("() => document.documentElement.dataset.ready")
        page.wait_for_function(DRAWN)
        return page

    yield show
    context.close()
    assert said == []
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    assert len([url for url in asked if url.startswith("file:")]) == 1
