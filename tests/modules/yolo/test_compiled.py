"""A compiled network trains as it would without, and leaves no trace in what is saved. No compiler is needed here."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from fuzz.generators import TINY
from torch._dynamo.testing import CompileCounterWithBackend
from yolo_networks import NAMES, labelled_batch

from aigp_lightning.errors import ConfigError
from aigp_lightning.modules.detector import DetectorModule
from aigp_lightning.modules.yolo.compiled import CompiledForward

pytestmark = pytest.mark.usefixtures("one_thread")


def module_of(backend: Any = None) -> DetectorModule:
    Path("tiny.yaml").write_text(yaml.safe_dump(TINY), encoding="utf-8")
    torch.manual_seed(0)
    module = DetectorModule("tiny.yaml", compile=backend is not None).train()
    module.set_network(module.build_network(NAMES))
    if backend is not None:
        module._compiled = CompiledForward(backend)
    return module


def test_it_trains_the_same() -> None:
    """Loss and gradients, over batches with other numbers of boxes, which do not compile anew."""
    torch._dynamo.reset()
    counter = CompileCounterWithBackend("eager")
    plain, compiled = module_of(), module_of(counter)
    for count, seed in ((3, 0), (3, 2)):
        batch = labelled_batch(count, seed)
        for key in ("cls", "bboxes", "batch_idx"):
            batch[key] = batch[key][: 2 + seed]
        (loss, items), (expected, expected_items) = compiled.compute_loss(batch), plain.compute_loss(batch)
        loss.backward()
        expected.backward()
        torch.testing.assert_close(loss, expected, rtol=1e-5, atol=0)
        assert list(items) == list(expected_items)
    assert counter.frame_count == 1
    for (name, ours), theirs in zip(compiled.named_parameters(), plain.parameters(), strict=True):
        if theirs.grad is not None:
            assert ours.grad is not None
            torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-3, atol=1e-4, msg=name)


def test_names_and_copies_stay_as_they_are() -> None:
    plain, compiled = module_of(), module_of("eager")
    compiled.compute_loss(labelled_batch())
    assert list(compiled.state_dict()) == list(plain.state_dict())
    assert [name for name, _ in compiled.named_modules()] == [name for name, _ in plain.named_modules()]
    copy = deepcopy(compiled)  # as the averaged weights are
    assert copy._compiled is not None
    assert copy._compiled._function is None
    assert copy._compiled.backend == "eager"
    assert copy.network is not compiled.network


@torch.no_grad()
def test_evaluation_is_not_compiled() -> None:
    torch._dynamo.reset()
    counter = CompileCounterWithBackend("eager")
    module = module_of(counter).eval()
    module.compute_loss(labelled_batch())
    assert counter.frame_count == 0


def test_a_cpu_in_bfloat16_is_refused() -> None:
    """Torch 2.14's compiler gave NaN for boxes of a small network, other ones at each call: training ended at once."""
    module = module_of("inductor")
    with torch.autocast("cpu", torch.bfloat16), pytest.raises(ConfigError, match=r"--trainer\.precision 32-true"):
        module.compute_loss(labelled_batch())


def test_a_machine_that_cannot_compile_says_so() -> None:
    def broken(graph: Any, inputs: Any) -> Any:
        raise RuntimeError("no C++ compiler found")

    torch._dynamo.reset()
    with pytest.raises(ConfigError, match=r"--model\.compile true: torch cannot compile .*no C\+\+ compiler found"):
        module_of(broken).compute_loss(labelled_batch())
