"""`fetch` against a server that sends what no server should: a line in our words, no traceback, and nothing is left."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from aigp_lightning.fetching import download

GOOD = b"HTTP/1.1 200 OK\r\nConnection: close\r\n"
CHUNKED = GOOD + b"Transfer-Encoding: chunked\r\n"
PART = b"HTTP/1.1 206 Partial\r\nContent-Range: bytes 9-12/13\r\n\r\n"
CODE = b"cos\nsystem\n(S'touch ran'\ntR."
"""A pickle that runs a command."""


def found(location: bytes, code: bytes = b"302 Found") -> bytes:
    return b"HTTP/1.1 " + code + b"\r\nContent-Length: 0\r\nLocation: " + location + b"\r\n\r\n"


@contextmanager
def serving(answer: bytes, endless: bytes = b"") -> Iterator[tuple[str, list[bytes]]]:
    """Send the same bytes to every request, and `endless` until the other side has had enough; yields the address."""
    asked: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.05)
    over = threading.Event()

    def serve() -> None:
        while not over.is_set():
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            with connection:
                connection.settimeout(5)
                try:
                    asked.append(connection.recv(65536))
                    connection.sendall(answer)
                    while endless and not over.is_set():
                        connection.sendall(endless)
                    connection.shutdown(socket.SHUT_WR)
                    while connection.recv(65536):
                        pass
                except OSError:
                    pass

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/yolo11n.pt", asked
    finally:
        over.set()
        thread.join(10)
        listener.close()


@pytest.fixture(autouse=True)
def online(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("AIGP_OFFLINE", "YOLO_OFFLINE", "HF_HUB_OFFLINE", "http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


ANSWERS = {
    "no digit": (GOOD + "Content-Length: ²\r\n\r\nbody".encode("latin-1"), 2, "what came is no weights file"),
    "5000 digits": (GOOD + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\nbody", 2, "what came is no weights file"),
    "4000 digits": (GOOD + b"Content-Length: " + b"9" * 4000 + b"\r\n\r\nbody", 2, "what came is no weights file"),
    "19 digits": (GOOD + b"Content-Length: " + b"9" * 19 + b"\r\n\r\nbody", 2, "no file of weights is so large"),
    "negative": (GOOD + b"Content-Length: -7\r\n\r\nbody", 2, "what came is no weights file"),
    "empty": (GOOD + b"Content-Length: 0\r\n\r\n", 2, "127.0.0.1 sent an empty file"),
    "empty unsaid": (GOOD + b"\r\n", 2, "127.0.0.1 sent an empty file"),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", 2, "127.0.0.1 sent an empty file"),
    "chunked": (
        GOOD + b"Transfer-Encoding: chunked\r\nContent-Length: 99\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
        2,
        "no weights",
    ),
    "half chunk": (CHUNKED + b"\r\n40\r\nbody", 1, "the connection ended before the file"),
    "no chunk": (CHUNKED + b"\r\nzz\r\n", 1, "the connection ended before the file"),
    "short": (GOOD + b"Content-Length: 2\r\n\r\nbody", 2, "what came is no weights file"),
    "long": (GOOD + b"Content-Length: 9\r\n\r\nbody", 1, "0.0 of 0.0 MB came"),
    "code": (GOOD + b"\r\n" + CODE, 2, "or it carries code beyond"),
    "page": (GOOD + b"Content-Type: text/html; charset=utf-8\r\n\r\nlog in", 2, "answered with a web page"),
    "gzip": (GOOD + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nbody", 2, "in another encoding (gzip)"),
    "garbage": (b"\x1b[31m\x00garbage\r\n\r\n", 1, "what answers there is no web server"),
    "silence": (b"", 1, "the connection was closed"),
    "reason": (b"HTTP/1.1 500 \x1b[31m" + b"x" * 5000 + b"\r\n\r\n", 1, "answers 500"),
    "file": (found(b"file:///etc/passwd"), 2, "is redirected to file:///etc/passwd: a file is fetched by https only"),
    "ftp": (found(b"ftp://127.0.0.1/a.pt"), 2, "is redirected to ftp://127.0.0.1/a.pt: a file is"),
    "data": (found(b"data:," + b"x" * 9000), 2, "x…: a file is fetched by https only"),
    "http": (found(b"http://example.com/a.pt"), 2, "is redirected to http://example.com/a.pt: a file is"),
    "no address": (found(b"http://[bad/a.pt"), 2, "this is no address"),
    "no port": (found(b"http://127.0.0.1:port/a.pt"), 2, "this is no address"),
    "a user": (found(b"http://me:secret@127.0.0.1/a.pt"), 2, "with a user's name"),
    "control": (found(b"file:///\x1b[31m"), 2, "is redirected to file:///%1B[31m"),
    "nowhere": (b"HTTP/1.1 302 Found\r\n\r\n", 2, "is redirected without saying where to (302)"),
    "circle": (found(b"/yolo11n.pt"), 1, "127.0.0.1 redirects without end: "),
    "circle 308": (found(b"/yolo11n.pt", b"308 Permanent Redirect"), 1, "127.0.0.1 redirects without end: "),
    "another part": (
        b"HTTP/1.1 206 Partial\r\nContent-Range: bytes 9-12/13\r\n\r\nbody",
        2,
        "another part of the file",
    ),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_is_told_in_a_line(
    name: str, run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    answer, status, said = ANSWERS[name]
    with serving(answer) as (url, _):
        assert run_cli("fetch", "yolo11n.pt", "--url", url) == status
    told = capsys.readouterr().err
    assert said in told and told.count("\n") == 1 and "secret" not in told and "\x1b" not in told and len(told) < 500
    assert [path.name for path in Path().rglob("*")] == ["weights"]


@pytest.mark.parametrize("head", [GOOD + b"\r\n", found(b"/a.pt", b"302 Found").replace(b"Content-Length: 0\r\n", b"")])
def test_a_body_without_end_is_cut(
    head: bytes, run_cli: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(download, "LARGEST", 4 << 20)
    with serving(head, endless=b"x" * (1 << 16)) as (url, _):
        assert run_cli("fetch", "yolo11n.pt", "--url", url) in (1, 2)
    told = capsys.readouterr().err
    assert ("no file of weights is so large" in told or "redirects without end" in told) and told.count("\n") == 1
    assert [path.name for path in Path("weights").rglob("*")] == []


def test_a_password_goes_to_its_server_alone_and_is_not_shown(
    run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    with (
        serving(GOOD + b"Content-Length: 4\r\n\r\nbody") as (other, second),
        serving(found(other.encode())) as (url, first),
    ):
        named = url.replace("http://", "http://me:s%40cret@")
        assert run_cli("fetch", "yolo11n.pt", "--url", named) == 2
    shown = capsys.readouterr()
    assert "what came is no weights file" in shown.err and "cret" not in shown.out + shown.err
    assert b"Authorization: Basic bWU6c0BjcmV0\r\n" in first[0] and b"Authorization" not in second[0]


@pytest.mark.parametrize(
    "words, said",
    [
        (["n" * 300 + ".pt"], "a file's name has at most 200 bytes"),
        (["a.pt", "--url", "https://me:secret@[bad/a.pt"], "this is no address"),
        (["a.pt", "--url", "https://me:secret@exämple.com/a.pt"], "written as %-escapes"),
        (["a.pt", "--url", "http://127.0.0.1/a b.pt"], "written as %-escapes"),
        (["a.pt", "--url", "https://example.com:99999/a.pt"], "this is no address"),
        (["a.pt", "--url", "data:,secret"], "by https only"),
        (["a.pt", "--url", "http://127.0.0.1:9/a.pt", "--out", "file"], "--out file: file is a file, and no folder"),
        (["a.pt", "--url", "http://127.0.0.1:9/a.pt", "--out", "file/b"], "file is a file, and no folder"),
        (["a.pt", "--url", "http://127.0.0.1:9/a.pt", "--out", "x" * 300], "File name too long"),
        (["b.pt"], "b.pt is in the way, and no file"),
    ],
)
def test_what_cannot_be_fetched_is_told_in_a_line(
    words: list[str], said: str, run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("file").touch()
    Path("weights/b.pt").mkdir(parents=True)
    assert run_cli("fetch", *words) == 2
    told = capsys.readouterr().err
    assert said in told and told.count("\n") == 1 and "secret@" not in told and len(told) < 500


@pytest.mark.parametrize(
    "text, said",
    [
        (b"{", "is no JSON any more"),
        (b"[" * 100_000, "is no JSON any more"),
        (b"\xff", "is no JSON any more"),
        (b"[]", "is no list of weights"),
        (b'{"a.pt": 1}', "the entry of a.pt is damaged"),
        (b'{"a.pt": {"url": "", "size": 1, "sha256": 5, "fetched": ""}}', "the entry of a.pt is damaged"),
        (None, "Is a directory"),
    ],
)
def test_a_damaged_list_is_told_in_a_line_before_the_download(
    text: bytes | None, said: str, run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("weights").mkdir()
    place = Path("weights/weights.json")
    place.mkdir() if text is None else place.write_bytes(text)
    with serving(GOOD + b"\r\nbody") as (url, asked):
        assert run_cli("fetch", "a.pt", "--url", url) == 2
    told = capsys.readouterr().err
    assert said in told and told.count("\n") == 1 and asked == []
