"""AutoBatch: measured on a device, one decision for all processes, kept by a resumed run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import yaml
from fuzz.generators import TINY
from helpers import small
from lightning.pytorch import LightningModule, Trainer

from aigp_lightning.callbacks.save_config import with_batch
from aigp_lightning.cli.resolve import settle_open_batch
from aigp_lightning.cli.resume_options import earlier_options
from aigp_lightning.data.batch_choice import memory_share
from aigp_lightning.data.datamodule import YoloDataModule
from aigp_lightning.errors import ConfigError, RunError
from aigp_lightning.modules.detector import DetectorModule
from aigp_lightning.run.auto_batch import fitting_batch, settle_batch

MIB = 2**20


class Card:
    """A device of 1000 MiB that needs 100 MiB and 10 an image, and trains the module for real."""

    name = "a card"

    def __init__(
        self, module: Any = None, device: Any = None, imgsz: int = 64, crowd: int = 1, *, memory: int = 1000,
        each: int = 10, extra: int = 0,
    ) -> None:  # fmt: skip
        self.module, self.device, self.imgsz, self.crowd = module, device, imgsz, crowd
        self.memory, self.each, self.more = memory * MIB, each * MIB, extra * MIB
        self.used, self.tried = 0, list[int]()

    def available(self) -> int:
        return self.memory

    def extra(self) -> int:
        return self.more

    def peak(self) -> int:
        most, self.used = self.used, 0
        return most

    def train(self, images: int) -> None:
        self.tried.append(images)
        needed = 100 * MIB + self.each * images
        if needed > self.memory:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        self.used = needed
        if self.module is not None:
            batch = self.module.example_batch(min(images, 2), self.imgsz, self.crowd, self.device)
            torch.autograd.backward(self.module.compute_loss(batch)[0])


@pytest.mark.parametrize(
    ("card", "share", "most", "images"),
    [
        (Card(), 0.6, 1024, 50),
        (Card(), 0.9, 1024, 80),
        (Card(extra=100), 0.6, 1024, 40),  # the optimizer's averages and the EMA
        (Card(), 0.6, 24, 24),  # no more than there are pictures
        (Card(memory=100_000), 0.9, 1024, 1024),
        (Card(), 0.1, 1024, 1),  # nothing fits the share: the smallest that fits the memory
        (Card(each=400), 0.6, 1024, 1),
        (Card(each=950), 0.6, 1024, 0),
        (Card(each=300), 0.99, 1024, 2),  # four were tried in vain
        (Card(each=0), 0.6, 64, 64),
    ],
)
def test_the_batch_that_fills_a_share(card: Card, share: float, most: int, images: int) -> None:
    assert fitting_batch(card, share, most) == images
    assert max(card.tried) <= max(most, 1)


def test_the_choice_is_that_of_ultralytics(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where both see the same memory and nothing else is needed."""
    from ultralytics.utils import autobatch as theirs

    for total, each, share in ((12, 0.17, 0.6), (24, 0.33, 0.75), (80, 0.21, 0.6)):
        card = Card(memory=total * 1024, each=0)
        card.each, card.memory = int(each * 2**30), total * 2**30
        properties = SimpleNamespace(name="a card", total_memory=total * 2**30)
        backend = SimpleNamespace(
            get_device_properties=lambda device, found=properties: found, memory_reserved=lambda device: 0,
            mem_get_info=lambda device, total=total: (total * 2**30, 0), empty_cache=lambda: None,
        )  # fmt: skip

        def profile(images: list[Any], *args: Any, each: float = each, **kwargs: Any) -> list[Any]:
            return [[0, 0, 100 / 1024 + each * len(image)] for image in images]

        monkeypatch.setattr(theirs, "get_torch_device_backend", lambda device, backend=backend: backend)
        monkeypatch.setattr(theirs, "profile_ops", profile)
        monkeypatch.setattr(theirs.torch, "empty", lambda count, *shape: range(count))
        device = SimpleNamespace(type="cuda", index=0)
        model = SimpleNamespace(parameters=lambda device=device: iter([SimpleNamespace(device=device)]), yaml={})
        expected = theirs.autobatch(model, fraction=share, dataset_size=5000)
        assert abs(fitting_batch(card, share, 1024) - expected) <= 1
        monkeypatch.undo()


class Processes(Trainer):
    """A trainer in the middle of `fit`, of as many processes as are said; the others measured their own."""

    def __init__(self, data: Any, module: LightningModule, world: int = 1, others: tuple[int, ...] = ()) -> None:
        super().__init__(accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False)
        from lightning.pytorch.trainer.states import TrainerFn

        self.state.fn, self.datamodule, self._world = TrainerFn.FITTING, data, world
        self.strategy.connect(module)
        module.trainer, data.trainer = self, self
        alone = self.strategy.reduce

        def reduce(tensor: torch.Tensor, reduce_op: str) -> torch.Tensor:
            assert reduce_op == "max"
            return torch.stack([alone(tensor), *(torch.tensor(-float(each)) for each in others)]).max()

        self.strategy.reduce = reduce  # type: ignore[method-assign,assignment]

    @property
    def world_size(self) -> int:
        return self._world


def trained_module(shapes: Path, **options: Any) -> tuple[DetectorModule, YoloDataModule]:
    data = YoloDataModule(str(shapes), imgsz=64, workers=0, **{"batch_size": "auto", **options})
    module = DetectorModule()
    from aigp_lightning.modules.yolo.build import build_model

    module.set_network(build_model(TINY, dict(data.names), {"box": 7.5, "cls": 0.5, "dfl": 1.5}))
    return module, data


def test_measuring_leaves_the_run_as_it_was(shapes: Path, caplog: pytest.LogCaptureFixture) -> None:
    module, data = trained_module(shapes)
    trainer, cards = Processes(data, module), []

    def meter(*args: Any) -> Card:
        cards.append(Card(*args, each=25))
        return cards[0]

    before, state = {key: value.clone() for key, value in module.state_dict().items()}, torch.get_rng_state()
    with caplog.at_level("INFO"):
        settle_batch(module, trainer, meter)
    assert (data.batch_size, data.batch_share) == (20, None)
    assert cards[0].tried == [1, 2, 4, 8, 16], "the network was trained on batches up to the share"
    assert cards[0].crowd == 2 * 4, "objects of a mosaic's four pictures"
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[key]) for key, value in module.state_dict().items())
    assert all(parameter.grad is None for parameter in module.parameters())
    assert (
        "batch: 20 images a step, by 60% of the 1.0 GiB that are free on a card; a resumed run keeps it" in caplog.text
    )
    settle_batch(module, trainer, meter)
    assert len(cards) == 1, "it is chosen once"
    assert data.checkpoint_options()["batch_size"] == 20


def test_all_processes_take_what_fits_the_smallest(shapes: Path, caplog: pytest.LogCaptureFixture) -> None:
    module, data = trained_module(shapes, batch_size=0.3)
    with caplog.at_level("INFO"):
        settle_batch(module, Processes(data, module, world=3, others=(7, 3)), Card)
    assert data.batch_size == 9
    assert "9 images a step, 3 in each of 3 processes, by 30%" in caplog.text


def test_no_image_that_fits_ends_the_run(shapes: Path) -> None:
    module, data = trained_module(shapes)
    with pytest.raises(RunError, match="not one image fits into 60% of the memory of a card"):
        settle_batch(module, Processes(data, module), lambda *args: Card(*args, memory=90))


def test_without_a_gpu_the_usual_batch_is_taken(shapes: Path, caplog: pytest.LogCaptureFixture) -> None:
    module, data = trained_module(shapes)
    with caplog.at_level("INFO"):
        settle_batch(module, Processes(data, module))
    assert (data.batch_size, data.batch_share) == (16, None)
    assert "it is measured on an NVIDIA GPU only; 16 images are taken" in caplog.text


@pytest.mark.parametrize("value", [-1, 0, 2.5, 1.0, "automatic", True, float("nan")])
def test_what_is_no_batch_is_refused(value: Any) -> None:
    with pytest.raises(ConfigError, match=r"--data.batch_size"):
        memory_share(value)


def options(batch: Any, accelerator: str = "cpu") -> Any:
    return SimpleNamespace(data=SimpleNamespace(batch_size=batch), trainer=SimpleNamespace(accelerator=accelerator))


def test_a_resumed_run_keeps_its_batch(caplog: pytest.LogCaptureFixture) -> None:
    checkpoint = {
        "aigp": {"run": {"data": {"batch_size": 20}}},
        "callbacks": {"ResumedRun": {"options": {"data.batch_size": "auto"}}},
    }
    earlier = earlier_options(checkpoint, None)
    assert earlier["data.batch_size"] == 20
    for asked, before, taken in (("auto", 20, 20), (0.5, None, 16), (8, 20, 8)):
        config = options(asked)
        settle_open_batch(config, before)
        assert config.data.batch_size == taken
    gpu = options("auto", "gpu")
    settle_open_batch(gpu, None)
    assert gpu.data.batch_size == "auto", "it is measured when the network is there"


def test_the_configuration_names_the_batch() -> None:
    data, text = YoloDataModule(batch_size=24), yaml.safe_dump({"data": {"augment": {"batch_size": "auto"}}})
    text = "model:\n  batch_size: auto\n" + text + "  batch_size: 0.7\n  imgsz: 640\nrun:\n  name: a\n"
    found = yaml.safe_load(with_batch(text, data))
    assert found["data"] == {"augment": {"batch_size": "auto"}, "batch_size": 24, "imgsz": 640}
    assert found["model"] == {"batch_size": "auto"}
    kept = "data:\n  batch_size: 16\n"
    assert with_batch(kept, data) == kept, "a number of images is the user's"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_real_gpu_is_filled_to_the_share(
    shapes: Path, tmp_path: Path, run_cli: Callable[..., int], caplog: pytest.LogCaptureFixture
) -> None:
    """With a small part of its memory: the batch that is chosen trains, and is written down."""
    words = [*small(shapes, tmp_path), "--trainer.accelerator", "gpu", "--trainer.max_epochs", 1, "--data.imgsz", 640]
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(min(3 * 2**30 / total, 1.0))
    try:
        with caplog.at_level("INFO"):
            assert run_cli("fit", *words, "--data.batch_size", 0.8) == 0
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    (folder,) = (tmp_path / "detect").iterdir()
    batch = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))["data"]["batch_size"]
    assert f"batch: {batch} images a step, by 80% of the" in caplog.text
    assert 2 <= batch <= 24
