"""Redirects of a download: to https alone, told, and refused in our own words."""

from __future__ import annotations

import string
from collections.abc import Callable
from http.client import HTTPMessage, HTTPResponse
from typing import IO
from urllib.parse import quote, urljoin, urlsplit
from urllib.request import HTTPRedirectHandler, Request

from aigp_lightning.errors import WeightsError
from aigp_lightning.fetching.address import check_address, public

CODES = (301, 302, 303, 307, 308)
"""Answers by which a server names another address."""


class Redirects(HTTPRedirectHandler):
    """Follows a few redirects to https alone, and tells each to another host.

    Args:
        tell: told them.
    """

    max_redirections = 5

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell

    def http_error_302(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage
    ) -> HTTPResponse | None:
        """Follow one redirect.

        Raises:
            WeightsError: it leads nowhere, or to what a file is not fetched from.
        """
        fp.close()  # the library would read its page to the end, which need not come
        named = headers.get("Location", "").strip()
        if not named:
            raise WeightsError(f"{public(req.full_url)} is redirected without saying where to ({code}).")
        named = quote(named, encoding="iso-8859-1", safe=string.punctuation)
        try:
            address = urljoin(req.full_url, named)
        except ValueError:
            address = named
        check_address(address, before=req.full_url)
        answer: HTTPResponse | None = super().http_error_302(req, fp, code, msg, headers)
        return answer

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        """Return the request to the other address, and tell it where another host has it."""
        check_address(newurl, before=req.full_url)
        if urlsplit(newurl).netloc != urlsplit(req.full_url).netloc:
            self._tell(f"redirected to {public(newurl)}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)
