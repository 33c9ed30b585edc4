"""`python -m uformer` is the command `uformer`."""

import sys

from uformer.cli import main

sys.exit(main())
