"""`fetch` against a stand-in server: what arrives whole and as expected gets its name, and nothing else does."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from weights_server import Answer, Standin, weights_server

from aigp_lightning.fetching.address import check_address, offline_switch, proxy_of
from aigp_lightning.modules.families import FILES

Fetch = Callable[..., int]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A `.pt` as Ultralytics writes one."""
    from aigp_lightning.modules.detector import DetectorModule

    module = DetectorModule("yolo11n")
    module.set_network(module.build_network({0: "gate"}))
    path = tmp_path_factory.mktemp("trained") / "yolo11n.pt"
    module.deployment.write_portable(path)
    return path.read_bytes()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Standin]:
    monkeypatch.chdir(tmp_path)
    for name in ("AIGP_OFFLINE", "YOLO_OFFLINE", "HF_HUB_OFFLINE", "http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with weights_server() as standin:
        yield standin


@pytest.fixture
def fetch(server: Standin, run_cli: Callable[..., int]) -> Fetch:
    """`fetch yolo11n.pt` from the stand-in."""
    return lambda *words, path="/yolo11n.pt": run_cli("fetch", "yolo11n.pt", "--url", server.url + path, *words)


def left() -> list[str]:
    """What lies in `weights/`."""
    return sorted(path.name for path in Path("weights").iterdir()) if Path("weights").exists() else []


def test_a_file_arrives_is_recorded_and_not_fetched_twice(
    server: Standin, fetch: Fetch, trained: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answers["/yolo11n.pt"] = Answer(trained)
    digest = hashlib.sha256(trained).hexdigest()
    assert fetch("--sha256", digest.upper()) == 0
    told = capsys.readouterr().out
    assert "from 127.0.0.1\n" in told and f"{server.url}/yolo11n.pt" in told and f"{len(trained) / 1e6:.1f} MB" in told
    assert f"sha256 {digest}" in told and "--model.weights yolo11n.pt" in told
    assert Path("weights/yolo11n.pt").read_bytes() == trained and left() == ["weights.json", "yolo11n.pt"]
    record = json.loads(Path("weights/weights.json").read_text(encoding="utf-8"))["yolo11n.pt"]
    assert (record["url"], record["size"], record["sha256"]) == (f"{server.url}/yolo11n.pt", len(trained), digest)
    assert record["fetched"].endswith("+00:00")

    assert fetch() == 0 and len(server.asked) == 1
    assert "is there already; nothing was fetched" in capsys.readouterr().out
    Path("weights/yolo11n.pt").write_bytes(trained + b"x")
    assert fetch() == 2 and len(server.asked) == 1
    assert "not the file recorded in" in capsys.readouterr().err


def test_a_cut_download_goes_on_where_it_ended(
    server: Standin, fetch: Fetch, trained: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answers["/yolo11n.pt"] = Answer(trained, headers={"ETag": '"one"'}, sent=1_000_000)
    assert fetch() == 1
    told = capsys.readouterr().err
    assert told.startswith("error: 127.0.0.1: 1.0 of ") and "1.0 MB are kept: the same command goes on" in told
    assert "yolo11n.pt" not in left()
    server.answers["/yolo11n.pt"] = Answer(trained, headers={"ETag": '"one"'})
    assert fetch("--sha256", hashlib.sha256(trained).hexdigest()) == 0
    assert server.asked == [("/yolo11n.pt", None), ("/yolo11n.pt", "bytes=1000000-")]
    assert "of which 1.0 MB are here from last time" in capsys.readouterr().out
    assert Path("weights/yolo11n.pt").read_bytes() == trained and left() == ["weights.json", "yolo11n.pt"]


@pytest.mark.parametrize("tag, ranges", [('"two"', True), ('"one"', False)])
def test_a_cut_download_begins_again_where_it_cannot_go_on(
    tag: str, ranges: bool, server: Standin, fetch: Fetch, trained: bytes
) -> None:
    """Because the file has changed, or the server sends no parts."""
    server.answers["/yolo11n.pt"] = Answer(b"old" * 100_000, headers={"ETag": '"one"'}, sent=200_000)
    assert fetch() == 1
    server.answers["/yolo11n.pt"] = Answer(trained, headers={"ETag": tag}, ranges=ranges)
    assert fetch() == 0
    assert Path("weights/yolo11n.pt").read_bytes() == trained


def test_a_cut_download_without_a_tag_leaves_nothing(
    server: Standin, fetch: Fetch, trained: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answers["/yolo11n.pt"] = Answer(trained, length=len(trained) + 10)
    assert fetch() == 1
    assert "The same command tries again from the beginning." in capsys.readouterr().err
    assert left() == []


WRONG = {
    "another hash": (Answer, ("--sha256", "0" * 64), 2, "is not the file given by --sha256"),
    "a page": (lambda good: Answer(b"<html>", headers={"Content-Type": "text/html"}), (), 2, "with a web page"),
    "a page unsaid": (lambda good: Answer(b"<html>log in</html>" * 99), (), 2, "what came is no weights file"),
    "half": (lambda good: Answer(good[: len(good) // 2]), (), 2, "what came is no weights file"),
    "none": (lambda good: Answer(status=404), (), 2, "has no such file (404)"),
    "error": (lambda good: Answer(status=503), (), 1, "answers 503"),
    "elsewhere": (
        lambda good: Answer(status=302, headers={"Location": "http://example.com/x.pt"}), (), 2, "by https only"
    ),
    "a disk": (lambda good: Answer(status=302, headers={"Location": "file:///etc/passwd"}), (), 2, "redirected to file:///etc"),
    "too large": (lambda good: Answer(length=5 << 30, sent=0), (), 2, "has 5.4 GB; no file of weights is so large"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_one_line_and_leaves_no_file(
    name: str, server: Standin, fetch: Fetch, trained: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    answer, words, status, said = WRONG[name]
    server.answers["/yolo11n.pt"] = answer(trained)
    assert fetch(*words) == status
    told = capsys.readouterr().err
    assert said in told and told.count("\n") == 1
    assert left() == []


def test_a_file_that_has_changed_since_is_refused(
    server: Standin, fetch: Fetch, trained: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answers["/yolo11n.pt"] = Answer(trained)
    assert fetch() == 0
    Path("weights/yolo11n.pt").unlink()
    record = json.loads(Path("weights/weights.json").read_text(encoding="utf-8"))
    record["yolo11n.pt"]["sha256"] = "1" * 64
    Path("weights/weights.json").write_text(json.dumps(record), encoding="utf-8")
    assert fetch() == 2
    digest = hashlib.sha256(trained).hexdigest()
    assert f"If the change is meant: --sha256 {digest}" in capsys.readouterr().err and left() == ["weights.json"]
    assert fetch("--sha256", digest) == 0


def test_a_redirect_is_followed_and_told(
    server: Standin, fetch: Fetch, trained: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    with weights_server() as other:
        other.answers["/real.pt"] = Answer(trained)
        server.answers["/yolo11n.pt"] = Answer(status=302, headers={"Location": f"{other.url}/real.pt?key=secret"})
        assert fetch() == 0
        told = capsys.readouterr().out
        assert f"redirected to {other.url}/real.pt\n" in told and "secret" not in told


@pytest.mark.parametrize("switch", ["AIGP_OFFLINE", "YOLO_OFFLINE", "HF_HUB_OFFLINE"])
def test_a_machine_that_is_to_stay_offline_stays_so(
    switch: str, server: Standin, fetch: Fetch, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(switch, "1")
    monkeypatch.delenv("AIGP_HAS_SET", raising=False)
    assert fetch() == 2
    assert f"{switch}=1 says that this machine stays offline" in capsys.readouterr().err and server.asked == []


def test_our_own_switch_is_not_the_users() -> None:
    """The package sets YOLO_OFFLINE for the libraries, in processes that it starts too."""
    code = "import aigp_lightning, subprocess, sys; from aigp_lightning.fetching.address import offline_switch as o;"
    code += "print(o()); sys.argv[1:] or subprocess.run([sys.executable, '-c', sys.orig_argv[2], 'inner'])"
    clean = {name: value for name, value in os.environ.items() if name not in ("YOLO_OFFLINE", "AIGP_HAS_SET")}
    for variables, told in ((clean, "None"), ({**clean, "YOLO_OFFLINE": "true"}, "YOLO_OFFLINE=true")):
        shown = subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True, check=True)
        assert shown.stdout.split() == [told, told]
    assert offline_switch({"AIGP_OFFLINE": "0", "WANDB_MODE": "offline"}) is None


def test_published_files_have_their_makers_addresses(
    server: Standin, run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_cli("fetch", "yolo11n.pt", "--dry-run") == 0
    told = capsys.readouterr().out
    assert "from github.com\n" in told and "https://github.com/ultralytics/assets/releases/download/v8." in told
    assert "no connection was opened" in told and left() == []
    assert run_cli("fetch", "yolo11nn.pt", "--dry-run") == 2
    assert "Did you mean yolo11n.pt" in capsys.readouterr().err


def test_rfdetrs_files_have_the_packages_addresses_and_hashes() -> None:
    pytest.importorskip("rfdetr")
    found = FILES[".pth"].published("rf-detr-nano.pth")
    assert found is not None and found.url.startswith("https://storage.googleapis.com/") and len(found.md5 or "") == 32
    assert FILES[".pth"].published("none.pth") is None and "rf-detr-small.pth" in FILES[".pth"].published_names()


@pytest.mark.parametrize(
    "words, said",
    [
        (["https://example.com/a.pt"], "fetch NAME --url https://example.com/a.pt"),
        (["a/b.pt"], "name a file that ends in .pt or .pth"),
        (["best.onnx"], "name a file that ends in .pt or .pth"),
        (["a.pt", "--sha256", "12"], "a SHA-256 has 64 hexadecimal digits"),
        (["a.pt", "--url", "http://example.com/a.pt"], "by https only"),
        (["a.pt", "--url", "ftp://127.0.0.1/a.pt"], "by https only"),
        (["a.pt", "--url", "http://127.0.0.1.example.com/a.pt"], "by https only"),
    ],
)
def test_what_cannot_be_fetched_is_refused(
    words: list[str], said: str, server: Standin, run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_cli("fetch", *words) == 2
    told = capsys.readouterr().err
    assert said in told and told.count("\n") == 1 and server.asked == []


def test_a_public_address_is_not_redirected_to_this_machine() -> None:
    with pytest.raises(Exception, match=r"is redirected to http://127\.0\.0\.1/a\.pt"):
        check_address("http://127.0.0.1/a.pt", before="https://example.com/a.pt")


def test_the_proxy_is_named_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://me:secret@proxy.lan:3128/")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert proxy_of("https://example.com/a.pt") == "proxy.lan:3128"
    monkeypatch.setenv("no_proxy", "example.com")
    assert proxy_of("https://example.com/a.pt") is None
