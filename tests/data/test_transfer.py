"""Batches on their way to the device."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch

from aigp_lightning.data.transfer import BatchTransfer


def test_a_cpu_takes_the_batch_as_it_is() -> None:
    batch = {"img": torch.ones(2, 3, 4, 4), "sources": [("a.jpg",)], "ratio_pad": [((1.0, 1.0), (0.0, 0.0))]}
    moved = BatchTransfer()(batch, torch.device("cpu"))
    assert moved["img"].data_ptr() == batch["img"].data_ptr()
    assert (moved["sources"], moved["ratio_pad"]) == (batch["sources"], batch["ratio_pad"])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gets_it_on_a_stream_of_its_own() -> None:
    """While the GPU computes, copies arrive that the next step waits for: no byte is wrong, the host never waits."""
    device, transfer = torch.device("cuda", torch.cuda.current_device()), BatchTransfer()
    hosts = [{"img": torch.full((4, 3, 512, 512), i, dtype=torch.uint8).pin_memory(), "x": [1]} for i in range(8)]
    transfer(hosts[0], device)
    work, sums = torch.randn(2048, 2048, device=device), []
    torch.cuda.set_sync_debug_mode("error")
    try:
        for host in hosts:
            for _ in range(20):
                work = work @ work / 100
            sums.append(transfer(host, device)["img"].float().mean())
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert [float(each) for each in sums] == list(range(8))
    assert deepcopy(transfer)._streams == {}
