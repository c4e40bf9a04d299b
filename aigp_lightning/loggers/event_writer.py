"""TensorBoard's writer of event files, with checksums computed in C: in Python a megabyte takes a tenth of a second."""

from __future__ import annotations

import struct
from typing import Any

from tensorboard.summary.writer import event_file_writer
from tensorboard.summary.writer.record_writer import RecordWriter
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.writer import FileWriter

from aigp_lightning.logfiles.crc32c import masked_crc32c


class EventWriter(SummaryWriter):
    """PyTorch's `SummaryWriter`: the same methods, files and bytes, written faster.

    Args:
        *args: PyTorch's.
        **kwargs: PyTorch's.
    """

    def _get_file_writer(self) -> Any:
        """Return the writer of the file; another one where it was closed."""
        is_new = self.all_writers is None or self.file_writer is None
        if is_new and self.purge_step is None:  # with one, PyTorch's own writes what hides the steps after it
            writer: Any = _File(self.log_dir, self.max_queue, self.flush_secs, self.filename_suffix)
            self.file_writer, self.all_writers = writer, {writer.get_logdir(): writer}  # type: ignore[assignment]
        return super()._get_file_writer()  # type: ignore[no-untyped-call]


class _File(FileWriter):
    def __init__(self, log_dir: Any, max_queue: int, flush_secs: int, filename_suffix: str) -> None:
        self.event_writer = _Events(str(log_dir), max_queue, flush_secs, filename_suffix)


class _Events(event_file_writer.EventFileWriter):  # type: ignore[misc]
    def __init__(self, logdir: str, max_queue_size: int, flush_secs: int, filename_suffix: str) -> None:
        super().__init__(logdir, max_queue_size, flush_secs, filename_suffix)
        first: Any = self._async_writer  # type: ignore[has-type]
        first._worker.stop()  # its thread has written the first record, and waits
        self._async_writer = event_file_writer._AsyncWriter(
            _Records(self._general_file_writer), max_queue_size, flush_secs
        )


class _Records(RecordWriter):  # type: ignore[misc]
    def write(self, data: bytes) -> None:
        """Write a record: its length (8 bytes), the length's masked CRC-32C, the data, and theirs."""
        length = struct.pack("<Q", len(data))
        checks = [struct.pack("<I", masked_crc32c(part)) for part in (length, data)]
        self._writer.write(length + checks[0] + data + checks[1])
