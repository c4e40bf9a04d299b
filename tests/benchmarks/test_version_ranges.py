"""The script that runs contract tests with other versions: it names what is there, and counts what came out."""

from __future__ import annotations

import pytest
from helpers import REPO

from aigp_lightning.run.versions import TESTED


@pytest.fixture(autouse=True)
def scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(REPO / "benchmarks"))


def test_it_runs_tests_that_are_there_with_the_ends_of_the_range() -> None:
    from version_ranges import CONTRACTS, VERSIONS

    assert [path for tests in CONTRACTS.values() for path in tests if not (REPO / path).exists()] == []
    for package, tested in TESTED.items():
        versions = VERSIONS[package]
        newest = tested.newest.split(".")
        assert (versions[0].split(".")[: len(tested.oldest.split("."))], versions[-1].split(".")[: len(newest)]) == (
            tested.oldest.split("."),
            newest,
        )


def test_a_row_a_version() -> None:
    from version_ranges import Outcome, table

    rows = table(
        [Outcome("wandb", "0.31.0", 9, ["a::b: no"], 12.4), Outcome("wandb", "9.9", trouble="no such version")]
    )
    assert rows.splitlines()[2:] == ["| wandb | 0.31.0 | 9 | 1 | 12 |", "| wandb | 9.9 | 0 | no such version | 0 |"]
