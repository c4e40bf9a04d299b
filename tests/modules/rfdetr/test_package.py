"""The package is imported when it is needed, changes nothing for anybody, and asks nobody on the network."""

from __future__ import annotations

import subprocess
import sys

import pytest

from aigp_lightning.errors import ConfigError
from aigp_lightning.modules.rfdetr import package
from aigp_lightning.modules.rfdetr.module import RFDETRModule
from aigp_lightning.modules.rfdetr.variants import VARIANTS

STATE = """
import logging, os, signal, socket, sys, warnings
import torch
from lightning_utilities.core import rank_zero
import aigp_lightning
from aigp_lightning.modules.rfdetr import RFDETRModule
assert not {"rfdetr", "supervision"} & set(sys.modules), "imported before it was needed"

def state():
    return {
        "matrix products": torch.get_float32_matmul_precision(),
        "default type": torch.get_default_dtype(),
        "finders": [repr(finder) for finder in sys.meta_path],
        "environment": dict(os.environ),
        "filters": [str(each) for each in warnings.filters],
        "root logger": (logging.root.level, [type(each).__name__ for each in logging.root.handlers]),
        "signals": {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)},
        "hook": sys.excepthook,
        "threads": torch.get_num_threads(),
        "messages": rank_zero.log.name,
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "working directory": os.listdir("."),
    }

def refuse(self, *args):
    if self.family != socket.AF_UNIX:
        raise SystemExit(f"a connection to {args}")
socket.socket.connect = refuse
socket.getaddrinfo = lambda *args, **kwargs: refuse(socket.socket(), *args)

before = state()
module = RFDETRModule("nano", groups=1, queries=5, decoder_layers=1)
module.imgsz = 64
module.set_network(module.build_network({0: "gate"}))
after = state()
assert "rfdetr" in sys.modules
assert len(logging.getLogger("rf-detr").handlers) < 3
for name, value in before.items():
    assert after[name] == value, (name, value, after[name])
print("unchanged", sum(p.numel() for p in module.parameters()))
"""


def test_building_a_network_changes_nothing_else() -> None:
    done = subprocess.run([sys.executable, "-c", STATE], capture_output=True, text=True, check=False)
    assert done.stdout.startswith("unchanged 2"), done.stderr[-2000:]
    assert "WARNING" not in done.stderr
    assert "Warning" not in done.stderr


def test_without_the_extra_a_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package, "NEEDED", ("rfdetr_that_is_not_here", "scipy"))
    with pytest.raises(
        ConfigError, match=r"RF-DETR needs rfdetr_that_is_not_here.*pip install 'aigp_lightning\[rfdetr\]'"
    ):
        RFDETRModule().build_network({0: "gate"})


def test_variants_of_another_licence_are_not_known() -> None:
    assert list(VARIANTS) == ["nano", "small", "medium", "base", "large"]
    with pytest.raises(ConfigError, match=r"--model.variant xlarge: RF-DETR has nano, small, medium, base, large"):
        RFDETRModule("xlarge")


@pytest.mark.parametrize(
    ("name", "imgsz", "resize", "told"),
    [
        (
            "nano",
            400,
            "stretch",
            r"patches of 16 px in 2 × 2 windows, so it must be a multiple of 32, such as 384 or 416",
        ),
        (
            "base",
            640,
            "stretch",
            r"patches of 14 px in 4 × 4 windows, so it must be a multiple of 56, such as 616 or 672",
        ),
        ("nano", 32, "stretch", r"such as 64 or 96"),
        ("base", 560, "letterbox", r"--data.resize letterbox: its rectangles are multiples of 32 px, and .* of 56"),
    ],
)
def test_sizes_are_whole_windows(name: str, imgsz: int, resize: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        RFDETRModule(name).check_input(imgsz, resize)


def test_own_sizes_are_taken() -> None:
    for name, variant in VARIANTS.items():
        RFDETRModule(name).check_input(variant.imgsz, "stretch")
    RFDETRModule("small").check_input(512, "letterbox")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"multi_scale": "on"}, "--model.multi_scale on: it must be one of off, normal, expanded"),
        ({"groups": 0}, "--model.groups"),
        ({"queries": -1}, "--model.queries"),
        ({"drop_path": 1.0}, "--model.drop_path"),
        ({"decoder_layers": -2}, "--model.decoder_layers"),
    ],
)
def test_wrong_options_are_named(options: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        RFDETRModule(**options)  # type: ignore[arg-type]


def test_messages_keep_their_logger() -> None:
    """Another package of Lightning's sets it to its own; then nothing that is said reaches W&B's console."""
    code = (
        "from lightning_utilities.core import rank_zero\nimport lightning.pytorch\nbefore = rank_zero.log\n"
        "from aigp_lightning.modules.rfdetr.package import unchanged\n"
        "with unchanged():\n    import pytorch_lightning\n    assert rank_zero.log is not before\n"
        "assert rank_zero.log is before"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
