"""Options of a YOLO whose values are of several kinds: numbers, words and lists, as one types them."""

from __future__ import annotations

from typing import Any

import pytest
from option_sweep import BuiltCLI, call, flatten

from aigp_lightning.cli import training
from aigp_lightning.modules.detector import DetectorModule
from aigp_lightning.modules.yolo.compiled import CompiledForward


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--model.freeze", "10", "--model.multi_scale", "0.25"], {"freeze": 10, "multi_scale": 0.25}),
        (["--model.freeze", "[0, 23.cv2, model.1.]", "--model.multi_scale", "true"],
         {"freeze": [0, "23.cv2", "model.1."], "multi_scale": True}),
        (["--model.compile", "reduce-overhead", "--model.agnostic_nms", "true"],
         {"compile": "reduce-overhead", "agnostic_nms": True}),
        (["--model.compile", "true", "--model.tta", "true"], {"compile": True, "tta": True}),
    ],
)  # fmt: skip
def test_values_arrive(words: list[str], expected: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "AigpCLI", BuiltCLI)
    assert call(["fit", *words, "--trainer.accelerator", "cpu"]).status == 0
    seen = dict(flatten(BuiltCLI.seen["fit"]))
    assert {name: seen[f"model.{name}"] for name in expected} == expected


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--model.multi_scale", "1.5"], "--model.multi_scale 1.5: a number from 0 to 1."),
        (["--model.freeze", "[-1]"], "--model.freeze [-1]"),
        (["--model.compile", "fast"], "model.compile"),
        (["--model.qat", "true", "--model.compile", "default"], "--model.qat and --model.compile"),
    ],
)
def test_what_cannot_be_is_one_line(words: list[str], told: str) -> None:
    outcome = call(["fit", *words, "--trainer.accelerator", "cpu"])
    assert outcome.status == 2
    assert told in outcome.told
    assert "Traceback" not in outcome.text


def test_words_of_compile_are_modes_of_torch() -> None:
    assert CompiledForward.asked(False, several_sizes=True) is None
    found = [CompiledForward.asked(word, several_sizes=True) for word in (True, "max-autotune-no-cudagraphs")]
    assert [each.mode for each in found if each is not None] == ["default", "max-autotune-no-cudagraphs"]
    module = DetectorModule(compile="reduce-overhead", multi_scale=0.5)
    assert module._compiled is not None
    assert (module._compiled.mode, module._compiled.sizes) == ("reduce-overhead", True)
