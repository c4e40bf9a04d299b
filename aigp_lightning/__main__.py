"""`python -m aigp_lightning`."""

import sys

from aigp_lightning.cli.main import main
from aigp_lightning.terminal.streams import PATIENCE, protect_streams

if __name__ == "__main__":
    protect_streams(PATIENCE)  # to the very end: libraries print when the interpreter ends
    sys.exit(main())
