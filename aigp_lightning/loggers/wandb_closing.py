"""The end of a W&B run: what is still to be sent, and the command that sends what could not be."""

from __future__ import annotations

import sys
from pathlib import Path

from aigp_lightning.files import shell_quoted
from aigp_lightning.loggers.wandb_config import print_wandb
from aigp_lightning.loggers.wandb_opening import all_records, error_text, sync_command


def finish_wandb() -> None:
    """Close the open W&B run, if there is one; what the server doesn't take in time stays on disk."""
    run = getattr(sys.modules.get("wandb"), "run", None)
    if run is None:
        return
    folder, offline, limit = Path(run.dir).parent, run.offline, run.settings.finish_timeout
    try:
        run.finish(exit_code=int(sys.exc_info()[0] is not None))
    except TimeoutError:
        print_wandb(
            f"the server took not everything within {limit:g} s. Nothing is lost; send the rest later: "
            f"{sync_command(shell_quoted(folder), online=True)}"
        )
        return
    except Exception as error:  # training is over and its files are complete; W&B's troubles are its own
        print_wandb(
            f"{error_text(error)}; its record may lack the end of the run. Send what there is: "
            f"{sync_command(shell_quoted(folder), online=True)}"
        )
        return
    if offline:
        sys.modules["wandb"].teardown()  # its process still writes for a moment; now the record is complete
        what = all_records(folder, run.id)
        print_wandb(f"recorded offline. To send it: {sync_command(what)}")
