"""A real browser: the system's Chromium, run by Playwright without a window."""

import shutil

import pytest

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
NEEDS_CHROMIUM = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium is installed: apt-get install chromium"
)


def launch(playwright):
    """Start it. As root its sandbox can't be made, and the pages are the tests' own."""
    return playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])


def open_page(browser, path, width, scheme="light", height=900):
    """A page from disk, with what its console said and what it asked for."""
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
    page, said, asked = context.new_page(), [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: said.append(dialog.message) or dialog.dismiss())
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    return page, said, [one for one in asked if one != path.as_uri() and one[:5] != "data:"]
