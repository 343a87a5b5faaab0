"""Tests of deepcut_lib.classroom."""
