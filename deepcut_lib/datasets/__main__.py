"""``python -m deepcut_lib.datasets``: another name of ``python -m deepcut_lib datasets``."""

import runpy
import sys

sys.argv[1:1] = ["datasets"]
runpy.run_module("deepcut_lib", run_name="__main__", alter_sys=True)
