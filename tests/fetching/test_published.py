"""Addresses of published weights: read from the packages' sources, and `fetch` answers before torch is imported."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from aigp_lightning.modules.rfdetr import published as rfdetr
from aigp_lightning.modules.yolo import published as yolo


def test_ultralytics_source_says_what_its_import_says() -> None:
    read = yolo.read_assets()
    assert read == yolo.import_assets() and "yolo11n.pt" in read[2] and len(read[2]) > 50


def test_rfdetrs_source_says_what_its_import_says() -> None:
    pytest.importorskip("rfdetr")
    read = rfdetr.read_assets()
    assert read == rfdetr.import_assets() and read["rf-detr-nano.pth"].md5


@pytest.mark.parametrize(
    "words, variables, status, said",
    [
        (["yolo11n.pt"], {"AIGP_OFFLINE": "1"}, 2, "AIGP_OFFLINE=1 says that this machine stays offline"),
        (["yolo11nn.pt"], {}, 2, "Did you mean yolo11n.pt"),
        (["yolo11n.pt", "--dry-run"], {}, 0, "from github.com"),
        (["a.pt", "--url", "http://127.0.0.1:9/a.pt"], {}, 1, "fetching a.pt (an Ultralytics file) from 127.0.0.1"),
        (["rf-detr-nano.pth", "--dry-run"], {}, 0, "from storage.googleapis.com"),
    ],
)
def test_it_answers_without_torch(
    words: list[str], variables: dict[str, str], status: int, said: str, tmp_path: Path
) -> None:
    if words[0].endswith(".pth") and find_spec("rfdetr") is None:
        pytest.skip("rfdetr is not installed")
    code = "import sys; from aigp_lightning.cli.main import main; status = main(sys.argv[1:]);"
    code += "print(status, {'torch', 'lightning', 'ultralytics', 'rfdetr'} & set(sys.modules))"
    switches = ("AIGP_OFFLINE", "YOLO_OFFLINE", "HF_HUB_OFFLINE", "http_proxy", "AIGP_HAS_SET")
    clean = {name: value for name, value in os.environ.items() if name not in switches}
    done = subprocess.run(
        [sys.executable, "-c", code, "fetch", *words],
        env={**clean, **variables}, cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert said in done.stdout + done.stderr and done.stdout.splitlines()[-1] == f"{status} set()"
