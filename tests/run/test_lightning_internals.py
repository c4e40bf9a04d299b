"""Lightning's private names mean what they are used for."""

from __future__ import annotations

from pathlib import Path

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import CSVLogger
from torch.utils.data import DataLoader, TensorDataset

from aigp_lightning.run.lightning_internals import batches_stepped


class Steps(pl.LightningModule):
    """Steps at every second batch, by hand, and logs at each."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.layer = torch.nn.Linear(1, 1)

    def training_step(self, batch: list[torch.Tensor], batch_idx: int) -> None:
        self.manual_backward(self.layer(batch[0]).sum())
        if batch_idx % 2:
            self.optimizers().step()  # type: ignore[union-attr]
        self.log("value", float(batch_idx), on_step=False, on_epoch=True)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


def test_batches_stepped_is_the_step_of_logged_scalars(tmp_path: Path) -> None:
    class Seen(Callback):
        def __init__(self) -> None:
            self.steps: list[int] = []

        def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
            self.steps.append(batches_stepped(trainer))

    seen, data = Seen(), DataLoader(TensorDataset(torch.ones(4, 1)))
    logger = CSVLogger(tmp_path, name="", version="")
    trainer = pl.Trainer(max_epochs=2, logger=logger, callbacks=[seen], accelerator="cpu", log_every_n_steps=1,
                         enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False)  # fmt: skip
    trainer.fit(Steps(), data)
    logged = [line.split(",") for line in (tmp_path / "metrics.csv").read_text().splitlines()]
    column = logged[0].index("step")
    assert [int(row[column]) for row in logged[1:]] == [step - 1 for step in seen.steps] == [3, 7]
    assert trainer.global_step == 4, "optimizer steps are others"
