"""What a report says of where its pictures came from."""

import pytest

from deepcut_lib.evaluation.report import without_folders


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("/home/me/sets/DUTS-TE has 1,004 pictures", "DUTS-TE has 1,004 pictures"),
        ("../shared/DUTS-TE has 1,004 pictures", "DUTS-TE has 1,004 pictures"),
        ("./a.png: damaged", "a.png: damaged"),
        (
            "VOC07/12: 3 / 4, and/or https://example.org/a/b",
            "VOC07/12: 3 / 4, and/or https://example.org/a/b",
        ),
    ],
)
def test_folders_of_this_machine_are_left_out(said: str, shown: str) -> None:
    assert without_folders(said) == shown
