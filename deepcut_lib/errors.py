"""The errors that a user can cause; each message says what was wrong, where, and what to do."""


class DeepCutError(Exception):
    """Base of the errors below. The command line prints their message and shows no traceback."""


class ImageError(DeepCutError, ValueError):
    """A picture that cannot be read or used."""


class CheckpointError(DeepCutError, ValueError):
    """A weight file that is missing, damaged, or made for another architecture."""


class BackboneUnavailableError(DeepCutError, RuntimeError):
    """A backbone whose weights are neither on this machine nor reachable."""
