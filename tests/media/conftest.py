"""What tests of pictures and their ledger share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from aigp_lightning.media.ledger.file import LedgerFile


@pytest.fixture(autouse=True)
def closed_ledgers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Close at a test's end the ledgers that it opened: files left open are garbage in whichever test comes later."""
    opened: list[LedgerFile] = []
    init = LedgerFile.__init__

    def recording(file: LedgerFile, path: Path) -> None:
        init(file, path)
        opened.append(file)

    monkeypatch.setattr(LedgerFile, "__init__", recording)
    yield
    for file in opened:
        file.close()
