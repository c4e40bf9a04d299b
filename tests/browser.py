"""Open pages from disk in the system's Chromium, without a screen, and read what the browser logs of them."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
OPTIONS = (
    *("--headless=new", "--no-first-run", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-default-apps", "--disable-sync"),
    *("--force-color-profile=srgb", "--force-device-scale-factor=1"),
)
LOCAL = ("file:", "data:", "blob:", "about:", "chrome:", "devtools:")
"""Beginnings of addresses that leave nobody's machine."""


def missing_browser() -> str:
    """Say what is missing to open a page; empty where nothing is."""
    if not any(map(shutil.which, BROWSERS)):
        return f"no Chromium: none of {', '.join(BROWSERS)} is installed"
    return "" if shutil.which("chromedriver") else "no chromedriver is installed"


@contextmanager
def browser(folder: Path, width: int = 1400, height: int = 900, dark: bool = False) -> Iterator[Any]:
    """Start a Chromium that keeps its profile in a folder; it ends with the context.

    Args:
        folder: for the profile and the downloads.
        width: of the window.
        height: of the window.
        dark: prefer dark pages.
    """
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = next(found for name in BROWSERS if (found := shutil.which(name)))
    for option in (*OPTIONS, f"--window-size={width},{height}", f"--user-data-dir={folder / 'profile'}"):
        options.add_argument(option)
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        options.add_argument("--no-sandbox")
    if dark:
        options.add_argument("--force-dark-mode")
        options.add_argument("--blink-settings=preferredColorScheme=0")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(executable_path=shutil.which("chromedriver")))
    try:
        driver.execute_cdp_cmd("Network.enable", {})
        yield driver
    finally:
        driver.quit()


def open_page(driver: Any, page: Path) -> float:
    """Open a page from disk, wait until all of it is read, drawn and painted, and return the seconds that it took.

    A report is drawn while its pictures are still read: `drawn_after` says when.
    """
    driver.get(page.resolve().as_uri())
    ready = driver.execute_async_script(
        """const done = arguments[0];
        const look = () => document.documentElement.dataset.ready
            ? requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now()))) : setTimeout(look, 5);
        look();"""
    )
    return float(ready) / 1000


def drawn_after(driver: Any) -> float:
    """Return the seconds after which the open report had drawn itself and could be used."""
    return float(driver.execute_script("return document.documentElement.dataset.ready")) / 1000


def requested(driver: Any) -> list[str]:
    """Return the addresses that pages asked for since the last call."""
    found = []
    for line in driver.get_log("performance"):
        message = json.loads(line["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            found.append(message["params"]["request"]["url"])
        elif message["method"] == "Network.webSocketCreated":
            found.append(message["params"]["url"])
    return found


def from_elsewhere(driver: Any) -> list[str]:
    """Return the addresses of `requested` that would leave the machine."""
    return [url for url in requested(driver) if not url.startswith(LOCAL)]


def complaints(driver: Any) -> list[str]:
    """Return the console's errors and warnings since the last call."""
    return [line["message"] for line in driver.get_log("browser") if line["level"] in ("SEVERE", "WARNING")]
