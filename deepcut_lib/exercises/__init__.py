"""Checks of the lessons' exercises; each lesson's own in the module of its name."""

from deepcut_lib.exercises.verdict import Verdict

__all__ = ["Verdict"]
