"""Starting an RF-DETR from weights of maybe other classes, another size of the input, or more queries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from unicodedata import normalize

from torch import Tensor

from aigp_lightning.data.class_names import plain_name
from aigp_lightning.errors import WeightsError
from aigp_lightning.modules.rfdetr.description import Description
from aigp_lightning.modules.rfdetr.network import RFDETRNetwork
from aigp_lightning.modules.rfdetr.package import module_of_package, unchanged
from aigp_lightning.modules.rfdetr.weights import CLASS_HEADS, QUERIES, FoundWeights

SHOWN = 5
"""Class names of a file that a line shows."""


def transfer_weights(
    network: RFDETRNetwork, names: Mapping[int, str], found: FoundWeights, by_name: bool = True
) -> str:
    """Start a network from weights of maybe other classes, another size of the input, or more queries.

    Class rows go by name. Embeddings of positions are interpolated, as the package does, and of the queries the first
    ones of each group are kept.

    Args:
        network: it takes the tensors.
        names: its class names by id.
        found: see `read_weights`.
        by_name: false: class rows go by number, if there are as many.

    Returns:
        Words that say how many tensors were taken, and which classes.

    Raises:
        WeightsError: they are of another variant.
    """
    theirs, ours = dict(found.tensors), network.model.state_dict()
    here, there = network.description, found.description
    if here.variant != there.variant:
        raise WeightsError(
            f"{found.path} holds an RF-DETR {there.variant}, whose weights do not fit --model.variant {here.variant}. "
            "Take the variant of the file, or another file."
        )
    if here.decoder_layers > there.decoder_layers:
        raise WeightsError(
            f"--model.decoder_layers {here.decoder_layers}: {found.path} has {there.decoder_layers}; take as many, or "
            "fewer."
        )
    _interpolate(theirs, network.description.positions)
    rows = _shared_rows(names, found.names) if by_name else _same_rows(names, found.names)
    for key in list(ours.keys() & theirs.keys()):
        if key.startswith(CLASS_HEADS):
            theirs[key] = _with_rows(ours[key], theirs[key], rows)
        elif key in QUERIES:
            theirs[key] = _with_queries(ours[key], theirs[key], network.description, found.description)
    taken = {key: value for key, value in theirs.items() if key in ours and ours[key].shape == value.shape}
    missing = [key for key in ours if key not in taken and not _may_be_new(key, network, found)]
    if missing:
        raise WeightsError(
            f"{found.path} is damaged: of an RF-DETR {here.variant}, {len(missing)} tensors of {len(ours)} are missing "
            f"or of another size, such as {missing[0]}."
        )
    network.model.load_state_dict({**ours, **taken})
    left = len(theirs.keys() - taken.keys())
    classes = _told_rows(rows, names, found.names) if by_name else f"{len(rows)} of {len(names)} classes by number"
    told = f"{len(taken)} of {len(ours)} tensors from {found.path}, {classes}"
    return told + (f"; {left} tensors of the file are not used: there are fewer layers or groups here" if left else "")


def _may_be_new(key: str, network: RFDETRNetwork, found: FoundWeights) -> bool:
    """True if a tensor may start at random: those of groups of queries that the file does not have."""
    if not key.startswith("transformer.enc_out"):
        return False
    number = int(key.split(".")[2])
    return number >= found.description.groups


def _shared_rows(ours: Mapping[int, str], theirs: Mapping[int, str]) -> dict[int, int]:
    """Return the row in the file of each class that both know by name: as it is written, else whatever its case."""
    if dict(ours) == dict(theirs):
        return {row: row for row in ours}
    exact = {normalize("NFC", name): row for row, name in theirs.items()}
    rows = {row: exact[name] for row, each in ours.items() if (name := normalize("NFC", each)) in exact}
    mine, its = ({row: plain_name(name) for row, name in names.items()} for names in (ours, theirs))
    often = Counter((*mine.values(), *its.values()))  # twice: once here and once there, or both in one, which fits none
    folded = {name: row for row, name in its.items() if often[name] == len((mine, its))}
    others = {row: folded[name] for row, name in mine.items() if row not in rows and name in folded}
    return dict(sorted({**others, **rows}.items()))


def _same_rows(ours: Mapping[int, str], theirs: Mapping[int, str]) -> dict[int, int]:
    """Return every class's own row, where there are as many."""
    return {row: row for row in ours} if len(ours) == len(theirs) else {}


def _told_rows(rows: Mapping[int, int], ours: Mapping[int, str], theirs: Mapping[int, str]) -> str:
    if not rows:
        listed = ", ".join(list(theirs.values())[:SHOWN]) + "…" * (len(theirs) > SHOWN)
        return f"no class by its name: those of the file are {listed}"
    moved = any(row != place for row, place in rows.items())
    return f"{len(rows)} of {len(ours)} classes by name" + (", whose order is another there" if moved else "")


def _with_rows(ours: Tensor, theirs: Tensor, rows: Mapping[int, int]) -> Tensor:
    """Return a class head with the rows of shared classes, and that of no class, from the file."""
    merged = ours.clone()
    for row, place in rows.items():
        merged[row] = theirs[place]
    merged[-1] = theirs[-1]
    return merged


def _with_queries(ours: Tensor, theirs: Tensor, here: Description, there: Description) -> Tensor:
    """Return the embeddings of queries, as many of each group as both have from the file."""
    merged = ours.clone().view(here.groups, here.queries, -1)
    groups, queries = min(here.groups, there.groups), min(here.queries, there.queries)
    merged[:groups, :queries] = theirs.view(there.groups, there.queries, -1)[:groups, :queries]
    return merged.view_as(ours)


def _interpolate(tensors: dict[str, Tensor], positions: int) -> None:
    with unchanged():
        module_of_package("rfdetr.models.weights").interpolate_position_embeddings(tensors, positions)
