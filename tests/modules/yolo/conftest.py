"""A YOLO of random weights, its file, and no network."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
import torch
from yolo_networks import GAINS, NAMES, SIZE

from aigp_lightning.modules.yolo.build import build_model
from aigp_lightning.modules.yolo.weights import save_pt


@pytest.fixture(scope="module")
def built() -> torch.nn.Module:
    """Random weights; tests that change the model copy it first."""
    torch.manual_seed(0)
    return build_model("yolo11n", NAMES, GAINS)


@pytest.fixture(scope="module")
def saved(built, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "best.pt"
    save_pt(path, built, epoch=7, metrics={"fitness": 0.5}, train_args={"imgsz": SIZE, "nonsense": 1})
    return path


@pytest.fixture
def no_network(monkeypatch):
    """Any attempt to open a connection fails the test."""

    def refuse(*arguments, **options):
        pytest.fail("opened a network connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
