"""Looks for what a designer would reject in what the page shows, which the browser computes.

That is text that is cut off or faint, faint borders of fields, and controls that are covered, small or
without a name.
"""

from pathlib import Path

from playwright.sync_api import Page

_FAULTS = Path(__file__).with_suffix(".js").read_text()


def faults(page: Page) -> list[str]:
    """Return what is wrong with what the page shows now."""
    found: list[str] = page.evaluate(_FAULTS)
    return found
