"""TensorRT's form of a model, an engine that its builder makes of the ONNX graph for the GPU of this machine.

The network is strongly typed: it computes in the types that the graph has, float16 in one of `half.py`, and 8 bits
between the QuantizeLinear and DequantizeLinear nodes of `int8.py`. So no calibration cache is needed, and nothing is
computed in fewer bits than the graph says.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from aigp_lightning.deploy.graphs import told_by
from aigp_lightning.errors import ConfigError
from aigp_lightning.evaluation.tensorrt_graph import LEAST_VERSION, with_header

if TYPE_CHECKING:
    from onnx import ModelProto

LARGEST_BATCH, LARGEST_GROWTH = 8, 2
"""Of engines that take any size: pictures at once, and how many times the size of `--imgsz`."""


def write_engine(path: Path, model: ModelProto, imgsz: int, stride: int, dynamic: bool) -> None:
    """Build an engine, and write it with its metadata before it, as Ultralytics does.

    Args:
        path: where to.
        model: the ONNX graph, in the precision that is wanted.
        imgsz: side of the input, pixels.
        stride: sides are multiples of this, pixels.
        dynamic: the graph takes any batch and size; the engine up to 8 pictures of twice the size.

    Raises:
        ConfigError: TensorRT is too old, or cannot build the graph.
    """
    import tensorrt

    check_version(tensorrt)
    logger = tensorrt.Logger(tensorrt.Logger.ERROR)
    builder = tensorrt.Builder(logger)
    network = builder.create_network(1 << int(tensorrt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = tensorrt.OnnxParser(network, logger)
    if not parser.parse(model.SerializeToString()):
        reason = parser.get_error(0).desc() if parser.num_errors else "without a reason"
        raise ConfigError(f"{path.name}: TensorRT {tensorrt.__version__} cannot read the graph: {reason}.")
    config = builder.create_builder_config()
    if dynamic:
        profile = builder.create_optimization_profile()
        profile.set_shape(network.get_input(0).name, *shapes(imgsz, stride))
        config.add_optimization_profile(profile)
    engine = builder.build_serialized_network(network, config)
    if engine is None:
        raise ConfigError(f"{path.name}: TensorRT {tensorrt.__version__} could not build it on this GPU.")
    path.write_bytes(with_header(told_by(model), bytes(engine)))


def check_version(tensorrt: Any) -> None:
    """Refuse a TensorRT that has no strongly typed networks of 8 bits.

    Args:
        tensorrt: the package.

    Raises:
        ConfigError: it is older.

    Example:
        >>> from types import SimpleNamespace
        >>> check_version(SimpleNamespace(__version__="8.6.1"))
        Traceback (most recent call last):
        aigp_lightning.errors.ConfigError: TENSORRT export needs TensorRT 10 or newer; this is 8.6.1.
    """
    if int(tensorrt.__version__.partition(".")[0]) < LEAST_VERSION:
        raise ConfigError(f"TENSORRT export needs TensorRT {LEAST_VERSION} or newer; this is {tensorrt.__version__}.")


def shapes(imgsz: int, stride: int) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Return the least, the usual and the greatest input of an engine that takes any size.

    Args:
        imgsz: side of the usual input, pixels.
        stride: of the network, pixels.

    Example:
        >>> shapes(640, 32)
        ((1, 3, 32, 32), (1, 3, 640, 640), (8, 3, 1280, 1280))
    """
    largest = imgsz * LARGEST_GROWTH
    return (1, 3, stride, stride), (1, 3, imgsz, imgsz), (LARGEST_BATCH, 3, largest, largest)
