"""A real Chromium without a network: every name but 127.0.0.1 is unresolvable."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]

PATIENCE = 180_000
"""Milliseconds that a page has for anything: no figure of speed, only an end to waiting."""


def chromium() -> str | None:
    """Path of a Chromium: CHROMIUM, or one on the PATH."""
    named = os.environ.get("CHROMIUM")
    if named:
        return named if Path(named).exists() else None
    return next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )


@pytest.fixture(scope="session")
def browser():
    path = chromium()
    if path is None:
        pytest.skip("no Chromium: put one on the PATH or name it in CHROMIUM")
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(
            executable_path=path, headless=True, args=ARGUMENTS, timeout=PATIENCE
        )
        yield opened
        opened.close()


@pytest.fixture
def page(browser):
    """A page that fails its test on any script error, console error or failed request."""
    context, opened = open_page(browser)
    yield opened
    context.close()
    assert not opened.problems, opened.problems


@pytest.fixture(scope="module")
def lasting(browser):
    """The same for a whole module: its tests share one page and run in order."""
    context, opened = open_page(browser)
    yield opened
    context.close()
    assert not opened.problems, opened.problems


def open_page(browser, **options):
    """A context and its page, which notes every problem in ``page.problems``."""
    options = {"viewport": {"width": 1440, "height": 900}, "reduced_motion": "reduce"} | options
    context = browser.new_context(**options)
    context.set_default_timeout(PATIENCE)
    opened = context.new_page()
    problems = opened.problems = []
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.on("requestfailed", lambda request: problems.append(f"failed: {request.url}"))
    opened.on("console", lambda m: problems.append(m.text) if m.type == "error" else None)
    return context, opened


def strike(page, *expected):
    """Wait until the page has told each of these problems, and strike them off its list."""
    while not all(any(words in told for told in page.problems) for words in expected):
        page.wait_for_event("console")
    page.problems[:] = [p for p in page.problems if not any(words in p for words in expected)]
