"""Routes, and when validation pictures are due."""

from __future__ import annotations

from dataclasses import dataclass, fields

import pytest

from aigp_lightning.media.module_facts import class_names, closing_kinds, keypoints_of
from aigp_lightning.media.routing import CLOSING, KINDS, Routes, Routing, validation_epochs


@dataclass
class Recipient:
    name: str
    destination: str
    remote: bool
    waits: bool = False

    def send(self, pictures: object, epoch: int, step: int) -> None:
        raise NotImplementedError


def test_every_kind_has_a_route() -> None:
    assert {field.name for field in fields(Routes)} == {"everything", *KINDS}
    assert Routes().destinations("val_pred") == {"file", "tensorboard", "wandb", "mlflow", "other"}


def test_recipients_of_each_kind() -> None:
    routes = Routes(everything=["tensorboard"], train_batch=[], curves=["wandb"], val_pred=["file"], results=["other"])
    routing = Routing(routes, [Recipient("tensorboard", "tensorboard", False), Recipient("wandb", "wandb", True)])
    recipients = {kind: [sink.name for sink in routing.recipients(kind)] for kind in KINDS}
    assert recipients == {
        "train_batch": [], "labels": ["tensorboard"], "labels_correlogram": ["tensorboard"],
        "val_labels": ["tensorboard"], "val_pred": [], "val_errors": ["tensorboard"], "val_table": [],
        "curves": ["wandb"], "confusion_matrix": ["tensorboard"],
        "corner_error": ["tensorboard"], "results": [],
    }  # fmt: skip
    assert [kind for kind in KINDS if not routing.wanted(kind)] == ["train_batch", "val_table", "results"]
    assert [kind for kind in KINDS if routing.remote_recipients(kind)] == ["curves"]


def test_only_modules_that_say_so_have_corner_errors() -> None:
    class Gates:
        closing_kinds = ("corner_error",)

    assert closing_kinds(object()) == ("curves", "confusion_matrix", "results")
    assert closing_kinds(Gates()) == CLOSING


def test_a_module_s_names_and_keypoints() -> None:
    from aigp_lightning.types import Keypoints

    class Module:
        def __init__(self, keypoints: object) -> None:
            self.names, self.keypoints = {0: "gate"}, keypoints

    ends = Keypoints(2, 3, ("nose", "tail"), edges=((0, 1),))
    assert (class_names(Module(ends)), keypoints_of(Module(ends))) == ({0: "gate"}, ends)
    assert keypoints_of(Module(True)) is None, "something else of that name"
    assert (class_names(object()), keypoints_of(object())) == ({}, None)


@pytest.mark.parametrize(
    ("arguments", "epochs"),
    [
        ((0, 6, 1, 1), [0, 1, 2, 3, 4, 5]),
        ((0, 6, None, 1), [0, 1, 2, 3, 4, 5]),
        ((0, 6, 1, 3), [2, 5]),
        ((0, 7, 2, 3), [5]),
        ((4, 6, 1, 1), [4, 5]),
        ((6, 6, 1, 1), []),
        ((0, 6, 1, 0), []),
    ],
)
def test_validation_epochs(arguments: tuple[int, int, int | None, int], epochs: list[int]) -> None:
    assert validation_epochs(*arguments) == epochs
