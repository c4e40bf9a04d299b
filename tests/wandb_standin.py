"""A W&B server on 127.0.0.1 that answers what a training run asks and keeps everything it is sent.

The answers are the smallest ones that `wandb` 0.31 takes; the queries of an unknown name are kept in `unknown`, so that
a test of a newer wandb says what has to be added here.
"""

from __future__ import annotations

import gzip
import json
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import unquote

import pytest

KEY = "0123456789abcdef0123456789abcdef01234567"
"""An API key of the right form; any is taken."""


class Request(NamedTuple):
    """One HTTP request: `body` is decompressed, `operation` is the name of a GraphQL query, `headers` are lines."""

    method: str
    path: str
    body: bytes
    operation: str = ""
    headers: str = ""


class WandbStandin:
    """The server, and what it got.

    Attributes:
        files: the run's files and artifacts' files by name; the last upload wins.
        versions: every upload of every file.
        history: the rows of `run.log`, in the order of their lines in the stream.
        events: system metrics.
        console: lines of the console.
        requests: everything, as it came.
        unknown: GraphQL queries without an answer.
        refuse: status with which every request is turned away; None serves.
        viewer: the account's own flags, as the real server sends them.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.versions: list[tuple[str, bytes]] = []
        self.streams: dict[tuple[str, str], dict[int, str]] = {}
        self.variables: list[dict[str, Any]] = []
        self.requests: list[Request] = []
        self.unknown: list[str] = []
        self.runs: dict[str, dict[str, Any]] = {}
        self.refuse: int | None = None
        self.viewer: dict[str, Any] = {"code_saving_enabled": True}
        self._lock = threading.Lock()
        self._server: ThreadingHTTPServer | None = None
        self._connections: set[Any] = set()
        self.port = 0
        self.start()

    # ---- life --------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Serve; a second time on the same port."""
        self._server = _Server(("127.0.0.1", self.port), _handler(self))
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self) -> None:
        """Vanish, open connections included."""
        if self._server is None:
            return
        self._server.shutdown()
        self._server.server_close()
        self._server = None
        for connection in list(self._connections):
            with suppress(OSError):
                connection.shutdown(2)

    @property
    def url(self) -> str:
        """For `WANDB_BASE_URL`."""
        return f"http://127.0.0.1:{self.port}"

    # ---- what came ---------------------------------------------------------------------------------------------------

    def rows(self, run: str, stream: str = "wandb-history.jsonl") -> list[dict[str, Any]]:
        """A run's rows, in order."""
        lines = self.streams.get((run, stream), {})
        return [json.loads(lines[number]) for number in sorted(lines)]

    @property
    def history(self) -> list[dict[str, Any]]:
        """Rows of all runs."""
        return [row for run, stream in list(self.streams) if "history" in stream for row in self.rows(run)]

    @property
    def events(self) -> list[dict[str, Any]]:
        """System metrics of all runs."""
        return [row for run, name in list(self.streams) if "events" in name for row in self.rows(run, name)]

    @property
    def console(self) -> str:
        """The console of all runs."""
        found = [lines for (_, name), lines in self.streams.items() if name == "output.log"]
        return "".join(lines[number] for lines in found for number in sorted(lines))

    @property
    def config(self) -> dict[str, Any]:
        """The last configuration that a query brought, by key; W&B's own part under `_wandb`."""
        found = [json.loads(given["config"]) for given in self.variables if given.get("config")]
        return {key: item.get("value") for key, item in found[-1].items()} if found else {}

    def operations(self) -> list[str]:
        """Names of the GraphQL queries, in order."""
        return [request.operation for request in self.requests if request.operation]

    def texts(self) -> bytes:
        """Everything received in one piece, headers included, to look for secrets in."""
        pieces = [
            f"{request.method} {unquote(request.path)}\n{request.headers}\n".encode() + request.body
            for request in self.requests
        ]
        return b"\n".join(pieces)

    # ---- answers -----------------------------------------------------------------------------------------------------

    def take(self, request: Request, address: str) -> tuple[int, Any]:
        """Keep a request and answer it: status, and what becomes the JSON body."""
        with self._lock:
            self.requests.append(request)
            if self.refuse is not None:
                return self.refuse, {"error": "turned away", "errors": [{"message": "turned away"}]}
            if request.path.startswith("/graphql"):
                return 200, self._graphql(json.loads(request.body), address)
            if request.path.startswith("/storage/"):
                name = unquote(request.path.removeprefix("/storage/"))
                self.files[name] = request.body
                self.versions.append((name, request.body))
                return 200, {}
            if "file_stream" in request.path:
                return 200, self._stream(request.path, json.loads(request.body))
            return 200, {}

    def _stream(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        run = path.split("/")[-2]
        for name, chunk in (body.get("files") or {}).items():
            lines = self.streams.setdefault((run, name), {})
            for number, line in enumerate(chunk.get("content") or []):
                lines[chunk.get("offset", 0) + number] = line
        return {"exitcode": None, "limits": {}}

    def _graphql(self, body: dict[str, Any], address: str) -> dict[str, Any]:
        given: dict[str, Any] = body.get("variables") or {}
        self.variables.append(given)
        match = re.search(r"\b(?:query|mutation)\s+(\w+)", body.get("query", ""))
        name = body.get("operationName") or (match[1] if match else "")
        answer: Callable[[dict[str, Any], str], Any] | None = getattr(self, f"_answer_{name}", None)
        if answer is None:
            self.unknown.append(name)
            return {"data": {}}
        return {"data": answer(given, address)}

    def _answer_Viewer(self, given: dict[str, Any], address: str) -> Any:
        flags = json.dumps(self.viewer)
        teams: dict[str, Any] = {"edges": []}
        account = {"id": "VXNlcjox", "entity": "racer", "username": "racer", "email": "racer@example.com"}
        return {"viewer": {**account, "flags": flags, "teams": teams, "admin": False}}

    def _run(self, run: str) -> dict[str, Any]:
        project = {"id": "UHJvamVjdDox", "name": "project", "entity": {"id": "RW50aXR5OjE=", "name": "racer"}}
        return {
            **{"id": f"storage-{run}", "name": run, "displayName": run, "sweepName": None, "stopped": False},
            **{"project": project, "historyLineCount": len(self.streams.get((run, "wandb-history.jsonl"), {}))},
        }

    def _answer_RunResumeStatus(self, given: dict[str, Any], address: str) -> Any:
        run = str(given.get("name"))
        if run not in self.runs:
            return {"model": {"id": "UHJvamVjdDox", "name": "project", "entity": None, "bucket": None}}
        rows, config = self.rows(run), self.runs[run].get("config") or "{}"
        events = self.streams.get((run, "wandb-events.jsonl"), {})
        last = rows[-1] if rows else {}
        bucket = {
            **self._run(run),
            **{"summaryMetrics": json.dumps(last), "config": config, "eventsLineCount": len(events)},
            **{"logLineCount": 0, "historyTail": json.dumps([json.dumps(row) for row in rows[-1:]])},
            **{"eventsTail": "[]", "wandbConfig": '{"t": 1}', "tags": [], "createdAt": "2026-01-01T00:00:00"},
        }
        entity = {"id": "RW50aXR5OjE=", "name": "racer"}
        return {"model": {"id": "UHJvamVjdDox", "name": "project", "entity": entity, "bucket": bucket}}

    def _answer_UpsertBucket(self, given: dict[str, Any], address: str) -> Any:
        run = str(given.get("name") or str(given.get("id")).removeprefix("storage-"))
        inserted = run not in self.runs
        self.runs.setdefault(run, {}).update({key: value for key, value in given.items() if value is not None})
        return {"upsertBucket": {"bucket": self._run(run), "inserted": inserted}}

    def _answer_CreateRunFiles(self, given: dict[str, Any], address: str) -> Any:
        files = [{"name": name, "uploadUrl": f"{address}/storage/{name}"} for name in given["files"]]
        run = {"id": "cnVu", "name": given.get("run"), "runID": "cnVu", "uploadHeaders": [], "files": files}
        return {"createRunFiles": {**run, "storagePath": ""}}

    # artifacts: one file each is enough for weights

    def _answer_ArtifactType(self, given: dict[str, Any], address: str) -> Any:
        return {"project": {"artifact": None}}

    def _answer_ServerFeaturesQuery(self, given: dict[str, Any], address: str) -> Any:
        return {"serverInfo": {"features": []}}

    def _answer_CreateArtifact(self, given: dict[str, Any], address: str) -> Any:
        artifact = {"id": "YXJ0", "state": "PENDING", "artifactSequence": {"latestArtifact": None}}
        return {"createArtifact": {"artifact": artifact}}

    def _answer_CreateArtifactManifest(self, given: dict[str, Any], address: str) -> Any:
        return {"createArtifactManifest": {"artifactManifest": {"id": "bWFu", "file": self._slot("manifest", address)}}}

    def _answer_UpdateArtifactManifest(self, given: dict[str, Any], address: str) -> Any:
        return {"updateArtifactManifest": {"artifactManifest": {"id": "bWFu", "file": self._slot("manifest", address)}}}

    def _answer_CreateArtifactFiles(self, given: dict[str, Any], address: str) -> Any:
        wanted = given.get("input", given).get("artifactFiles") or given.get("artifactFiles") or []
        edges = [{"node": self._slot(file["name"], address)} for file in wanted]
        return {"createArtifactFiles": {"files": {"edges": edges}}}

    def _answer_CommitArtifact(self, given: dict[str, Any], address: str) -> Any:
        return {"commitArtifact": {"artifact": {"id": "YXJ0", "digest": "0"}}}

    def _slot(self, name: str, address: str) -> dict[str, Any]:
        url = f"{address}/storage/artifact/{name}"
        slot = {"id": "ZmlsZQ==", "name": name, "displayName": name, "uploadUrl": url, "uploadHeaders": []}
        return {**slot, "storagePath": f"artifact/{name}", "uploadMultipartUrls": None, "artifact": {"id": "YXJ0"}}


def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[WandbStandin]:
    """For a fixture: `yield from serve(monkeypatch)`. To wandb it is the server, and it is logged in there."""
    forget()
    server = WandbStandin()
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.setenv("WANDB_BASE_URL", server.url)
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    yield server
    forget()
    server.stop()


def forget() -> None:
    """Close wandb's run and its process; it keeps the environment that it met first."""
    wandb = sys.modules.get("wandb")
    if wandb is None:  # nobody imported it, or a test plays that it isn't there
        return
    if wandb.run is not None:
        wandb.run.finish()
    wandb.teardown()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, *_: object) -> None:
        """Clients go without a word; that is no news."""


def _handler(standin: WandbStandin) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            standin._connections.add(self.connection)

        def finish(self) -> None:
            standin._connections.discard(self.connection)
            super().finish()

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            operation = ""
            if self.path.startswith("/graphql") and body:
                query = json.loads(body)
                match = re.search(r"\b(?:query|mutation)\s+(\w+)", query.get("query", ""))
                operation = query.get("operationName") or (match[1] if match else "?")
            status, answer = standin.take(
                Request(self.command, self.path, body, operation, str(self.headers)), standin.url
            )
            data = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = _serve

        def log_message(self, *_: object) -> None:
            pass

    return Handler
