"""Entry point of ``python -m swath``."""

import sys

from swath.cli import main

sys.exit(main())
