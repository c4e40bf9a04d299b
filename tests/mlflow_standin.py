"""An MLflow server on 127.0.0.1 that answers what a training run asks and keeps everything it is sent.

The answers are the smallest ones that `mlflow-skinny` 3.17 takes; what it cannot answer is kept in `unknown`, so that a
test of a newer MLflow says what has to be added here.
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from uuid import uuid4

API = "/api/2.0/mlflow/"
PROXY = "/api/2.0/mlflow-artifacts/artifacts/"


class MLflowStandin:
    """The server, and what it got.

    Attributes:
        artifacts: bytes by path, below the run's artifact folder.
        metrics: name, value and step of every value that came, in order.
        params, tags: of the last run.
        runs: ids, in the order in which they were begun.
        requests: method, path, headers and body of everything, as it came.
        unknown: paths without an answer.
        refuse: status with which every request is turned away; None serves.
        root: artifact address of new runs.
    """

    def __init__(self, root: str = "mlflow-artifacts:/7") -> None:
        self.artifacts: dict[str, bytes] = {}
        self.metrics: list[tuple[str, float, int]] = []
        self.params: dict[str, str] = {}
        self.tags: dict[str, str] = {}
        self.runs: dict[str, dict[str, Any]] = {}
        self.experiments: list[str] = []
        self.requests: list[tuple[str, str, str, bytes]] = []
        self.unknown: list[str] = []
        self.refuse: int | None = None
        self.root = root
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def url(self) -> str:
        """For `tracking_uri`."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def stop(self) -> None:
        """Vanish."""
        self._server.shutdown()
        self._server.server_close()

    def texts(self) -> bytes:
        """Everything received in one piece, headers included, to look for secrets in."""
        return b"\n".join(
            f"{method} {unquote(path)}\n{head}\n".encode() + body for method, path, head, body in self.requests
        )

    def take(self, method: str, path: str, head: str, body: bytes) -> tuple[int, Any]:
        """Keep a request and answer it: status, and what becomes the JSON body."""
        self.requests.append((method, path, head, body))
        if self.refuse is not None:
            return self.refuse, {"error_code": "INTERNAL_ERROR", "message": "turned away"}
        parts = urlsplit(path)
        if parts.path.startswith(PROXY) and method == "PUT":
            self.artifacts[unquote(parts.path[len(PROXY) :]).partition("/artifacts/")[2]] = body
            return 200, {}
        name = parts.path.removeprefix(API)
        given = json.loads(body) if body else {key: values[0] for key, values in parse_qs(parts.query).items()}
        answer = self._answer(name, given) if parts.path.startswith(API) else None
        if answer is None:
            self.unknown.append(f"{method} {path}")
            return 404, {"error_code": "ENDPOINT_NOT_FOUND", "message": path}
        return answer

    def _answer(self, name: str, given: dict[str, Any]) -> tuple[int, Any] | None:  # noqa: PLR0911
        gone = 404, {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "there is none"}
        run_id = given.get("run_id", "")
        if name == "experiments/get-by-name":
            known = given["experiment_name"] in self.experiments
            experiment = {"experiment_id": "7", "name": given["experiment_name"], "artifact_location": self.root}
            return (200, {"experiment": {**experiment, "lifecycle_stage": "active"}}) if known else gone
        if name == "experiments/create":
            self.experiments.append(given["name"])
            return 200, {"experiment_id": "7"}
        if name == "runs/create":
            run_id = uuid4().hex  # the client keeps places of artifacts by it, whichever server it is
            self.params, self.tags = {}, {row["key"]: row["value"] for row in given.get("tags", [])}
            address = f"{self.root}/{run_id}/artifacts"
            info = {
                "run_id": run_id,
                "run_uuid": run_id,
                "experiment_id": "7",
                "status": "RUNNING",
                "artifact_uri": address,
            }
            self.runs[run_id] = {**info, "lifecycle_stage": "active", "run_name": given.get("run_name", "")}
            return 200, self._run(run_id)
        if run_id not in self.runs:
            return gone
        if name == "runs/get":
            return 200, self._run(run_id)
        if name == "runs/update":
            self.runs[run_id]["status"] = given.get("status")
            return 200, {"run_info": self.runs[run_id]}
        if name == "runs/log-batch":
            self.metrics += [(row["key"], row["value"], int(row.get("step", 0))) for row in given.get("metrics", [])]
            self.params |= {row["key"]: row["value"] for row in given.get("params", [])}
            self.tags |= {row["key"]: row["value"] for row in given.get("tags", [])}
            return 200, {}
        if name == "runs/set-tag":
            self.tags[given["key"]] = given["value"]
            return 200, {}
        if name == "metrics/get-history":
            rows = [(value, step) for key, value, step in self.metrics if key == given["metric_key"]]
            return 200, {
                "metrics": [{"key": given["metric_key"], "value": x, "step": y, "timestamp": 1} for x, y in rows]
            }
        return None

    def _run(self, run_id: str) -> dict[str, Any]:
        last = [{"key": key, "value": value, "step": step, "timestamp": 1} for key, value, step in self.metrics]
        data = {"metrics": list({row["key"]: row for row in last}.values())}
        data["params"] = [{"key": key, "value": value} for key, value in self.params.items()]
        return {"run": {"info": self.runs[run_id], "data": data}}


def _handler(standin: MLflowStandin) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            if self.headers.get("Transfer-Encoding") == "chunked":
                body = b"".join(iter(self._chunk, b""))
            else:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, content = standin.take(self.command, self.path, str(self.headers), body)
            data = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def _chunk(self) -> bytes:
            data = self.rfile.read(int(self.rfile.readline().strip() or b"0", 16))
            self.rfile.readline()
            return data

        do_GET = do_POST = do_PUT = do_PATCH = _answer

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    return Handler
