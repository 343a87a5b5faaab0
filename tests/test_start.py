"""What is loaded when the package is imported and when a command's help is asked for."""

import subprocess
import sys

import pytest

import deepcut_lib
from deepcut_lib.cli.main import COMMANDS, main
from tests.conftest import ROOT

HEAVY = (
    "torch", "timm", "sklearn", "scipy", "torch_geometric", "huggingface_hub", "matplotlib", "torchvision",
)  # fmt: skip


@pytest.mark.parametrize(
    "code",
    [
        "import deepcut_lib; dir(deepcut_lib); deepcut_lib.__version__",
        "import runpy; sys.argv = ['deepcut_lib', '--help']; runpy.run_module('deepcut_lib')",
    ],
    ids=["import", "--help"],
)
def test_nothing_heavy_is_loaded_before_it_is_used(code: str) -> None:
    # one process from the start, since whatever runs this test has loaded most of it
    report = f"import atexit, sys; atexit.register(lambda: print('loaded', *set(sys.modules) & set({HEAVY})))"
    done = subprocess.run(
        [sys.executable, "-c", f"{report}\n{code}"], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.splitlines()[-1] == "loaded"


def test_features_and_clustering_load_no_backbones_networks() -> None:
    code = "import sys; from deepcut_lib import DeepCut, segment; print('timm' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "False\n"


def test_all_that_the_package_offers_is_there() -> None:
    assert set(deepcut_lib.__all__) <= set(dir(deepcut_lib))
    for name in deepcut_lib.__all__:
        offered = getattr(deepcut_lib, name)
        assert getattr(sys.modules[getattr(offered, "__module__", "deepcut_lib")], name) is offered
    with pytest.raises(AttributeError, match="no attribute 'segmant'"):
        _ = deepcut_lib.segmant


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_that_help_names_explains_itself(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert f"deepcut_lib {command}" in capsys.readouterr().out
