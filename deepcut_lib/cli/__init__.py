"""The command line, ``python -m deepcut_lib COMMAND``: each command's module adds itself to `main`."""
