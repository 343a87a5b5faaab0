"""``python -m deepcut_lib.datasets``: what ``python -m deepcut_lib datasets`` does, as it was called first."""

import sys

from deepcut_lib.cli.main import main

sys.exit(main(["datasets", *sys.argv[1:]]))
