"""Exported files written one after the other, each judged before it takes its place, and noted in `exports.json`."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aigp_lightning.deploy.accuracy import Comparison, Row, accuracy_table, differences
from aigp_lightning.deploy.converted import CALIBRATION, NOT_MEASURED, Converter, check_difference
from aigp_lightning.deploy.exports_file import EXPORTS_FILE, entry_of, write_exports
from aigp_lightning.deploy.options import FULL, GRAPHS, INT8, WEIGHTS_BESIDE, WITH_PRECISION, Form
from aigp_lightning.errors import UserError, WeightsError
from aigp_lightning.terminal.output import print_line, print_tables

if TYPE_CHECKING:
    from aigp_lightning.deploy.difference import Difference

ANY_NUMBER = 1e30
"""A tolerance that all but NaN and infinity keep to."""


@dataclass
class Exporter:
    """Writes files one after the other, each under a temporary name until it has been judged.

    Attributes:
        converter: of the model.
        comparison: by which files are measured; None where they are not.
        source: the model's file.
        folder: of the files.
        names_alone: say the files' names without their folder.
        rows: of the table.
        entries: of `exports.json`.
        refused: why files were not written.
    """

    converter: Converter
    comparison: Comparison | None
    source: Path
    folder: Path
    names_alone: bool
    rows: list[Row] = field(default_factory=list)
    entries: list[dict[str, Any]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def write_all(self, forms: Sequence[Form]) -> list[Path]:
        """Write files, print their accuracy, and note it in `exports.json`.

        Args:
            forms: format and precision of each.

        Raises:
            WeightsError: one does not answer as the module does, or is less accurate than it may be.
        """
        written: list[Path] = []
        try:
            for form in forms:
                target = self.folder / form.file_name(self.source.stem)
                if target.resolve() == self.source.resolve():
                    print_line(f"{target}  (the source itself; --out FOLDER writes a copy elsewhere)")
                    continue
                try:
                    written += self._write(form, target)
                except WeightsError as error:  # the others may well be written
                    self.refused.append(f"{target.name} is not written: {error}")
        finally:  # what is written is noted, whatever comes of the next file
            self._report()
        if self.refused:
            raise WeightsError(" ".join(self.refused))
        return written

    def _report(self) -> None:
        """Print the table, and write `exports.json`; neither where files in full precision were not measured."""
        reported = self.comparison is not None or any(entry["precision"] != FULL for entry in self.entries)
        if reported and self.rows:
            print_tables(accuracy_table(None if self.comparison is None else self.comparison.module, self.rows))
        if self.entries and (reported or (self.folder / EXPORTS_FILE).is_file()):
            module = None
            if self.comparison is not None:
                module = {"figures": dict(self.comparison.module), **self.comparison.about}
            write_exports(self.folder, self.source, module, self.entries)

    def _write(self, form: Form, path: Path) -> list[Path]:
        """Write one file under a temporary name, check it, and only then move it into place."""
        temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
        several = form.format == "openvino"
        endings = (path.suffix, *((WEIGHTS_BESIDE,) if several else ()))
        parts = [temporary.with_suffix(ending) for ending in endings]
        try:
            with warnings.catch_warnings():  # on tracing and its future; what was traced is checked by its answers
                warnings.simplefilter("ignore")
                difference = self.converter.write(form, temporary)
            if not self._is_near(form, path, difference) or not self._is_accurate(path, parts):
                return []
            placed = [path.with_suffix(ending) for ending in endings]
            if several:
                path.unlink(missing_ok=True)  # whatever happens now, no .xml stands beside the weights of another
            for part, place in reversed(list(zip(parts, placed, strict=True))):
                os.replace(part, place)
        except UserError:
            raise
        except OSError as error:
            error.filename = str(path)
            raise
        finally:
            for part in parts:
                part.unlink(missing_ok=True)
        self._tell(form, placed, difference)
        return placed

    def _is_near(self, form: Form, path: Path, difference: Difference) -> bool:
        """True if a file answers one picture as the module does; in fewer bits, if it answers with numbers."""
        options = self.converter.options
        if form.precision != FULL:
            options = replace(options, tolerance=ANY_NUMBER)
        try:
            check_difference(difference, options, path.name)
        except WeightsError as error:
            self.refused.append(str(error))
            return False
        return True

    def _is_accurate(self, path: Path, parts: Sequence[Path]) -> bool:
        """True if a file has not lost too much, or is not measured; notes what it has."""
        row = Row(path.name, sum(part.stat().st_size for part in parts) / 1e6, None)
        self.rows.append(row)
        if self.comparison is None:
            return True
        row.figures = self.comparison.figures(parts[0])
        if lost := self.comparison.lost(row.figures):
            row.note = "not written"
            limit = self.converter.options.max_drop
            self.refused.append(
                f"{path.name} is not written, since it loses more than --max_drop {limit:g} on the validation split: "
                f"{lost}."
            )
            return False
        return True

    def _tell(self, form: Form, placed: Sequence[Path], difference: Difference) -> None:
        """Print a line about a file, and note it for `exports.json`."""
        figures = self.rows[-1].figures
        entry: dict[str, Any] = {**entry_of(placed), "format": form.format, "precision": form.precision}
        pictures = self.converter.pictures
        entry[CALIBRATION] = pictures.about if pictures is not None and form.precision == INT8 else None
        entry |= {"figures": NOT_MEASURED, "difference": NOT_MEASURED}
        if figures is not None and self.comparison is not None:
            entry |= {"figures": dict(figures), "difference": dict(differences(self.comparison.module, figures))}
        self.entries.append(entry)
        graph = form.format in (*GRAPHS, *WITH_PRECISION)
        reference = "the module" if graph else self.converter.deployment.portable_reference
        told = f"greatest difference from {reference}: {difference}"
        if form.precision != FULL:
            told = f"accuracy {NOT_MEASURED}" if figures is None else "accuracy below"
        shown = placed[0].name if self.names_alone else placed[0]
        print_line(f"{shown}  ({entry['bytes'] / 1e6:.1f} MB; {told})")
