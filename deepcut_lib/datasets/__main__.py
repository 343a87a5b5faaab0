"""``python -m deepcut_lib.datasets``: another name of ``python -m deepcut_lib datasets``."""

import sys

from deepcut_lib.cli.main import main

sys.exit(main(["datasets", *sys.argv[1:]]))
