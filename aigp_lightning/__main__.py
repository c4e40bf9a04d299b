"""`python -m aigp_lightning`."""

import atexit
import gc
import sys

from aigp_lightning.cli.main import main
from aigp_lightning.terminal.streams import PATIENCE, protect_streams

if __name__ == "__main__":
    protect_streams(PATIENCE)  # to the very end: libraries print when the interpreter ends
    # run last: on a busy machine the interpreter takes seconds to look through all of torch for cycles before it ends
    atexit.register(gc.freeze)
    sys.exit(main())
