"""One file written in its format and precision under a temporary name, and how it answers when it is read back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aigp_lightning.data.resizing import LETTERBOX
from aigp_lightning.deploy.difference import Difference, greatest_difference
from aigp_lightning.deploy.options import FULL, HALF, INT8, ExportOptions, Form
from aigp_lightning.errors import ConfigError, UserError, WeightsError, first_line

if TYPE_CHECKING:
    from onnx import ModelProto

    from aigp_lightning.deploy.calibration import CalibrationPictures
    from aigp_lightning.modules.deployment import Answers, Deployment, ExportGraph

PRECISION, CALIBRATION, COMPARED = "precision", "calibration", "compared"
"""Names in a file's metadata: its precision, how ranges of 8 bits were found, and on what it was measured."""
TRAINED_SO = "quantisation-aware training"


VAL, ONE_PICTURE, NOT_MEASURED = "val", "one picture", "not measured"


@dataclass
class Converter:
    """Writes a model's files. The ONNX graph is traced once, checked against the module, and converted.

    Attributes:
        deployment: of the model.
        options: with the image size.
        resize: how pictures are brought to that size.
        compared: the files will be held against the module on the validation split, before they take their place.
        pictures: for calibration; None where nothing is quantised by them.
    """

    deployment: Deployment
    options: ExportOptions
    resize: str
    compared: bool = False
    pictures: CalibrationPictures | None = None

    def write(self, form: Form, path: Path) -> Difference:
        """Write a file and read it back.

        Args:
            form: format and precision.
            path: where to.

        Returns:
            The greatest difference between its answers and the module's.

        Raises:
            ConfigError: the format cannot be written so.
            WeightsError: the ONNX graph does not answer as the module does, or cannot be converted.
        """
        if form.format == "torchscript":
            from aigp_lightning.deploy.graphs import write_torchscript

            told = {PRECISION: FULL, **self._compared_on(FULL)}
            traced = self.graph
            graph = replace(traced, metadata={**traced.metadata, **told})
            return self._difference(write_torchscript(path, graph, self.imgsz), graph)
        if form.format not in ("onnx", "openvino", "tensorrt"):
            self.deployment.write_portable(path, settings={"imgsz": self.imgsz, "resize": self.resize})
            return self._difference(*self.deployment.portable_graph(path, self.imgsz))
        try:
            answers = self._converted(form, path)
        except (UserError, OSError, MemoryError):
            raise
        except Exception as error:  # quantisation and other runtimes fail in many ways
            raise WeightsError(f"{form.format} in {form.precision} cannot be made: {first_line(error)}") from error
        return self._difference(answers, self.graph)

    @property
    def imgsz(self) -> int:
        """Side of the input, pixels."""
        assert self.options.imgsz is not None
        return self.options.imgsz

    @property
    def graph(self) -> ExportGraph:
        """The network as it is traced, made anew: writing a weights file changes it. Its metadata go into all files."""
        graph = self.deployment.graph(self.imgsz, self.options.dynamic)
        if self.resize != LETTERBOX.name:
            graph = replace(graph, metadata={**graph.metadata, "resize": self.resize})
        return graph

    @cached_property
    def model(self) -> ModelProto:
        """The ONNX graph in float32, that answers as the module does.

        Raises:
            WeightsError: it does not.
        """
        from aigp_lightning.deploy.graphs import answers_of_onnx, onnx_model

        options = self.options
        graph = self.graph
        model = onnx_model(graph, self.imgsz, options.dynamic, options.opset)
        check_difference(self._difference(answers_of_onnx(model.SerializeToString()), graph), options, "the ONNX graph")
        return model

    def _converted(self, form: Form, path: Path) -> Answers:
        """Write a file that is made of the ONNX graph, and return how it answers."""
        model = self._in_precision(form)
        if form.format == "onnx":
            from aigp_lightning.deploy.graphs import answers_of_onnx

            path.write_bytes(model.SerializeToString())
            return answers_of_onnx(path.read_bytes())
        from aigp_lightning.evaluation.exported_graph import run_of_graph

        if form.format == "openvino":
            from aigp_lightning.deploy.openvino_file import write_openvino

            write_openvino(path, model, half=form.precision == HALF)
            return run_of_graph(path).run
        from aigp_lightning.deploy.tensorrt_file import write_engine

        write_engine(path, model, self.imgsz, self.deployment.stride, self.options.dynamic)
        run = run_of_graph(path).run
        return lambda images: _on_cpu(run(images))

    def _in_precision(self, form: Form) -> ModelProto:
        """Return the graph that a file is made of.

        Raises:
            ConfigError: float16 is asked for of a network that was trained in 8 bits.
        """
        from aigp_lightning.deploy.graphs import with_metadata
        from aigp_lightning.deploy.int8 import is_quantized

        if is_quantized(self.model):  # it has its ranges already
            if form.precision == HALF:
                raise ConfigError("--precision fp16: the model was trained in 8 bits (--model.qat); leave fp16 out.")
            told = {PRECISION: INT8, CALIBRATION: TRAINED_SO, **self._compared_on(form.precision)}
            return with_metadata(_copied(self.model), told)
        told = {PRECISION: form.precision, **self._compared_on(form.precision)}
        if form.precision == INT8:
            assert self.pictures is not None
            told[CALIBRATION] = self.pictures.about
            return with_metadata(self._quantized(symmetric=form.format == "tensorrt"), told)
        if form.precision == HALF and form.format != "openvino":  # which has a way of its own to store float16
            return with_metadata(_copied(self._half), told)
        return with_metadata(_copied(self.model), told)

    def _compared_on(self, precision: str) -> dict[str, Any]:
        """Return the entry of a file's metadata that says on what it was held against the module."""
        usual = ONE_PICTURE if precision == FULL else NOT_MEASURED
        return {COMPARED: VAL if self.compared else usual}

    def _quantized(self, symmetric: bool) -> ModelProto:
        from aigp_lightning.deploy.int8 import quantized

        assert self.pictures is not None
        if symmetric not in self._of_ranges:
            self._of_ranges[symmetric] = quantized(self.model, self.pictures, symmetric)
        return _copied(self._of_ranges[symmetric])

    @cached_property
    def _of_ranges(self) -> dict[bool, ModelProto]:
        return {}

    @cached_property
    def _half(self) -> ModelProto:
        from aigp_lightning.deploy.half import half_precision

        return half_precision(self.model)

    def _difference(self, answers: Answers, graph: ExportGraph) -> Difference:
        other = self.deployment.stride if self.options.dynamic else None
        return greatest_difference(answers, graph, self.imgsz, other)


def check_difference(difference: Difference, options: ExportOptions, name: str) -> None:
    """Refuse a file whose answers are too far from the module's.

    Args:
        difference: of the answers.
        options: with tolerance and image size.
        name: of the file.

    Raises:
        WeightsError: they are.
    """
    assert options.imgsz is not None
    if not difference.within(options.tolerance, options.imgsz):
        raise WeightsError(
            f"{name} does not answer as the module does: {difference}; the tolerance {options.tolerance:g} "
            f"allows {options.tolerance * options.imgsz:.2g} px and {options.tolerance:g}. It was removed."
        )


def _copied(model: ModelProto) -> ModelProto:
    import onnx

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy


def _on_cpu(found: Any) -> Any:
    return tuple(part.cpu() for part in found) if isinstance(found, tuple) else found.cpu()
