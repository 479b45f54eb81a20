"""``python -m pgslate`` is ``pgslate``."""

import sys

from pgslate.cli import main

sys.exit(main())
