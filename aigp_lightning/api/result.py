"""The objects that a model found in one picture, for a script."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.errors import ConfigError, DataError, printable
from aigp_lightning.files import write_atomic

if TYPE_CHECKING:
    from PIL.Image import Image

    from aigp_lightning.media.detections import ImageDetections
    from aigp_lightning.types import Keypoints

SUFFIXES = (".jpg", ".jpeg", ".png")


class Result:
    """The objects found in one picture or video frame, in pixels of the original, best first.

    Attributes:
        file: of the picture or video; of what was given as pixels, a name for it.
        frame: of the video, from 0; None for a picture.
        names: class names by id.
        shape: height and width of the picture, pixels.

    Args:
        found: in pixels of the original.
        file: see the attribute.
        names: see the attribute.
        frame: see the attribute.
        picture: (H, W, 3) uint8 RGB, of what has no file.
        keypoints: what the model says about its keypoints.
        keypoint_conf: lowest confidence of a keypoint that counts as seen; None: none is marked.

    Example:
        >>> from aigp_lightning.media.detections import ImageDetections
        >>> found = ImageDetections(np.array([[0, 0, 50, 80.0]]), np.array([0.5]), np.array([1]), shape=(80, 100))
        >>> result = Result(found, "a.jpg", {1: "gate"})
        >>> result, result.boxes.tolist(), [result.names[label] for label in result.labels.tolist()]
        (Result('a.jpg': 1 gate), [[0.0, 0.0, 50.0, 80.0]], ['gate'])
    """

    def __init__(
        self,
        found: ImageDetections,
        file: str,
        names: Mapping[int, str],
        frame: int | None = None,
        picture: NDArray[np.uint8] | None = None,
        keypoints: Keypoints | None = None,
        keypoint_conf: float | None = None,
    ) -> None:
        assert found.shape is not None, "of a picture whose size is known"
        self.file, self.frame, self.names, self.shape = file, frame, dict(names), found.shape
        self._found, self._picture, self._keypoints, self._seen_from = found, picture, keypoints, keypoint_conf

    @property
    def boxes(self) -> NDArray[np.float32]:
        """Return (n, 4) float32 corners x1, y1, x2, y2, pixels of the original."""
        return self._found.boxes

    @property
    def scores(self) -> NDArray[np.float32]:
        """Return (n,) float32 confidence, 0…1."""
        return self._found.scores

    @property
    def labels(self) -> NDArray[np.int64]:
        """Return (n,) int64 class ids; `names` has their names."""
        return self._found.labels

    @property
    def keypoints(self) -> NDArray[np.float32] | None:
        """Return (n, K, 3) float32 x and y in pixels of the original and confidence; None of a model without any."""
        return self._found.keypoints

    @property
    def seen(self) -> NDArray[np.bool_] | None:
        """Return which keypoints count as seen, (n, K), where the model's thresholds say from which confidence."""
        points = self._found.keypoints
        return None if points is None or self._seen_from is None else points[..., 2] >= np.float32(self._seen_from)

    @property
    def masks(self) -> NDArray[Any] | None:
        """Return the objects' masks; None of a model without any."""
        return self._found.masks

    @property
    def image(self) -> NDArray[np.uint8]:
        """Return the picture, (H, W, 3) uint8 RGB; that of a file is read when it is asked for.

        Raises:
            DataError: the file cannot be read any more.
        """
        if self._picture is not None:
            return self._picture
        from aigp_lightning.data.images import read_image
        from aigp_lightning.data.video import VideoReader

        if self.frame is None:
            return read_image(self.file)
        reader = VideoReader(self.file)
        try:
            image: NDArray[np.uint8] | None = reader.frame(self.frame)
        finally:
            reader.close()
        if image is None:
            raise DataError(f"{printable(self.file)}: frame {self.frame} cannot be decoded")
        return image

    def plot(self) -> Image:
        """Draw what was found into the picture, as `predict` does; `numpy.asarray` makes an RGB array of it.

        Raises:
            DataError: the picture cannot be read any more.
        """
        from PIL import Image

        return Image.fromarray(self._drawn())

    def save(self, path: str | Path) -> Path:
        """Write the drawn picture.

        Args:
            path: a file that ends in .jpg or .png; or a folder, where it gets the name of the picture's file.

        Returns:
            The file.

        Raises:
            ConfigError: the name ends otherwise.
            DataError: the picture cannot be read any more.
            OSError: it cannot be written.
        """
        from aigp_lightning.media.encode import encode

        target = Path(path)
        if target.is_dir() or not target.suffix:
            target /= f"{Path(self.file).stem}{'' if self.frame is None else f'_{self.frame}'}.jpg"
        if target.suffix.lower() not in SUFFIXES:
            raise ConfigError(f"{printable(target)}: a drawn picture ends in {', '.join(SUFFIXES)}.")
        write_atomic(target, encode(self._drawn(), target.suffix.lower()), sync=False)
        return target

    def to_dict(self) -> dict[str, Any]:
        """Return the entry that `predict` writes of this picture to `predictions.json`: plain values, rounded."""
        from aigp_lightning.predictions.formats import json_entry

        return json_entry(self._found, self.file, self.frame, self.names, self._keypoints, self._seen_from)

    def to_json(self) -> str:
        """Return `to_dict` as a line of JSON."""
        return json.dumps(self.to_dict(), ensure_ascii=False)

    def to_supervision(self) -> Any:
        """Return a `supervision.Detections`, with the classes' names in `data["class_name"]`.

        Raises:
            ConfigError: that package is not installed.
        """
        try:
            import supervision
        except ImportError as error:
            raise ConfigError("to_supervision needs another package: pip install supervision") from error
        named = np.array([self.names.get(label, str(label)) for label in self.labels.tolist()], dtype=str)
        return supervision.Detections(
            xyxy=self.boxes, confidence=self.scores, class_id=self.labels,
            mask=None if self.masks is None else np.asarray(self.masks, bool), data={"class_name": named},
        )  # fmt: skip

    def _drawn(self) -> NDArray[np.uint8]:
        from aigp_lightning.media.detections import only_seen
        from aigp_lightning.media.plots.boxes import draw_boxes

        found, edges = (
            only_seen(self._found, self._seen_from),
            self._keypoints.edges if self._keypoints is not None else (),
        )
        what = found.boxes, found.labels, found.scores, self.names, found.keypoints, edges, found.masks
        return draw_boxes(self.image, *what)

    def __len__(self) -> int:
        return len(self.boxes)

    def __repr__(self) -> str:
        counts = Counter(self.names.get(label, str(label)) for label in self.labels.tolist())
        what = ", ".join(f"{count} {name}" for name, count in counts.items()) or "nothing"
        return f"Result({self.file!r}{'' if self.frame is None else f' frame {self.frame}'}: {what})"
