"""A stand-in for whoever publishes weights, on this machine."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Answer:
    """What is sent for a path: a status, headers, a body, of which only the first `sent` bytes go out."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    sent: int | None = None
    length: int | None = None
    ranges: bool = True


@dataclass
class Standin:
    """The server's address, its answers by path, and the requests it got: path and `Range`."""

    url: str
    answers: dict[str, Answer]
    asked: list[tuple[str, str | None]]


@contextmanager
def weights_server() -> Iterator[Standin]:
    """Serve until the end of the block."""
    answers: dict[str, Answer] = {}
    asked: list[tuple[str, str | None]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, self.headers.get("Range")))
            answer = answers.get(self.path.partition("?")[0], Answer(b"no such file", 404))
            body, status, headers = answer.body, answer.status, dict(answer.headers)
            begin = self.headers.get("Range")
            if begin and answer.ranges and self.headers.get("If-Range") == headers.get("ETag"):
                start = int(begin.removeprefix("bytes=").rstrip("-"))
                headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
                body, status = body[start:], 206
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body) if answer.length is None else answer.length))
            self.end_headers()
            self.wfile.write(body[: answer.sent])

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield Standin(f"http://127.0.0.1:{server.server_port}", answers, asked)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
