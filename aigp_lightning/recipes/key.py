"""A setting of Ultralytics', and what it is here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

TRAINING, OPTIMIZER, LOSS, AUGMENTATION = "Training", "Optimizer and schedule", "Loss", "Augmentation"
VALIDATION, PREDICTION, EXPORT, EARLIER = "Validation", "Prediction", "Export", "Earlier versions"
GROUPS = (TRAINING, OPTIMIZER, LOSS, AUGMENTATION, VALIDATION, PREDICTION, EXPORT, EARLIER)
"""Groups of settings, in the order of the page."""


@dataclass(frozen=True)
class Key:
    """A setting of Ultralytics'.

    Attributes:
        name: there.
        group: of `GROUPS`.
        default: there, in the version that this one is tested with; in its last version for a setting that is gone.
        option: ours, without dashes; empty where there is none.
        note: how values differ; or why there is no option, and what to do instead.
        verb: whose option it is; empty where no verb has one.
        changes_training: a training differs by it. Without an option of ours it is then told as missing.
        tasks: the tasks in which it means something; all where none is named.
        older: defaults of earlier versions, which nobody chose either.

    Example:
        >>> Key("epochs", TRAINING, 100, "trainer.max_epochs").verb
        'fit'
    """

    name: str
    group: str
    default: Any
    option: str = ""
    note: str = ""
    verb: str = "fit"
    changes_training: bool = False
    tasks: tuple[str, ...] = ()
    older: tuple[Any, ...] = ()

    def is_usual(self, value: Any) -> bool:
        """True if a value is a default of some version's.

        Args:
            value: of the setting.

        Example:
            >>> key = Key("opset", EXPORT, None, older=(17,))
            >>> key.is_usual(17), key.is_usual(12), Key("nms", EXPORT, False).is_usual(0.0)
            (True, False, True)
        """
        usual = (self.default, *self.older)
        return value is None or any(value == each and isinstance(value, str) == isinstance(each, str) for each in usual)
