"""``python -m deepcut_lib``."""

import sys

from deepcut_lib.cli import main

sys.exit(main())
