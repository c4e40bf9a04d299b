"""`python -m aigp_lightning`."""

import sys

from aigp_lightning.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
