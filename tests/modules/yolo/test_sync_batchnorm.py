"""`--trainer.sync_batchnorm true`: what Lightning does to the network, and what becomes of the files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from lightning.pytorch.plugins.layer_sync import TorchSyncBatchNorm
from torch.nn import BatchNorm2d, SyncBatchNorm


@pytest.mark.usefixtures("offline_reference")
def test_averages_optimizer_and_files_take_a_synchronised_network(tmp_path: Path) -> None:
    """Training itself needs GPUs; all that is around it does not."""
    from ultralytics import YOLO

    from aigp_lightning.callbacks.ema import EMA
    from aigp_lightning.modules.detector import DetectorModule
    from aigp_lightning.modules.yolo.optim import parameter_groups
    from aigp_lightning.modules.yolo.weights import save_pt

    module = DetectorModule()
    module.set_network(module.build_network({0: "square", 1: "disc"}))
    plain = {key: [id(p) for p in group] for key, group in parameter_groups(module.network, muon=False).items()}
    ema = EMA(decay=0.5, tau=1e-9)
    ema._average_model = torch.optim.swa_utils.AveragedModel(module, use_buffers=True)
    TorchSyncBatchNorm().apply(module)
    assert module.network is not None
    kinds = [type(layer) for layer in module.network.modules()]
    assert SyncBatchNorm in kinds
    assert BatchNorm2d not in kinds
    assert plain == {k: [id(p) for p in g] for k, g in parameter_groups(module.network, muon=False).items()}

    start = module.network.model[0].bn.running_mean.clone()
    module.network.model[0].bn.running_mean += 2
    ema._update(module, 1)
    assert torch.equal(ema._average_model.module.network.model[0].bn.running_mean, start + 1)

    save_pt(tmp_path / "sync.pt", module.network)
    opened = YOLO(str(tmp_path / "sync.pt"))
    kinds = [type(layer) for layer in opened.model.modules()]
    assert SyncBatchNorm not in kinds, "the file is for one process"
    assert torch.equal(opened.model.model[0].bn.running_mean, module.network.model[0].bn.running_mean.half().float())
    assert (opened.model.model[0].bn.eps, opened.model.model[0].bn.momentum) == (0.001, 0.03)
    assert SyncBatchNorm in [type(layer) for layer in module.network.modules()], "training goes on as it was"
    assert len(opened.predict(torch.rand(1, 3, 64, 64), verbose=False)) == 1
