"""``python -m deepcut_lib``."""

import sys

from deepcut_lib.cli.main import main

sys.exit(main())
