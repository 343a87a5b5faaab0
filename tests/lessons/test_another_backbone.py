"""Lessons run from top to bottom with a ViT in DINO's layout, by the published recipe."""

from pathlib import Path

import nbformat
import pytest
import timm
import torch
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell

from tests.conftest import ROOT
from tests.test_notebooks import LESSONS

WRITTEN_FOR_ANY = [path for path in LESSONS if path.stem != "01_features"]
"""Lesson 1 loads its backbones by their names, to compare them: a stand-in has none."""

STAND_IN = """
import torch
from deepcut_lib.backbones.vit import vit_from_state
from deepcut_lib.lessons.common import backbone as _backbone

_backbone.lesson_backbone = lambda: vit_from_state(torch.load({file!r}), num_heads=2, patch_size=8)
assert _backbone.lesson_backbone().recipe.n_clusters == 2 and not _backbone.lesson_backbone().recipe.centred
"""


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ViT of two small blocks, its weights drawn wide enough for patches to differ."""
    torch.manual_seed(0)
    model = timm.models.VisionTransformer(
        img_size=224, patch_size=8, embed_dim=32, depth=2, num_heads=2, num_classes=0
    )
    state = {name: tensor * 4 if "weight" in name else tensor for name, tensor in model.state_dict().items()}
    file = tmp_path_factory.mktemp("weights") / "vit.pth"
    torch.save(state, file)
    return file


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
@pytest.mark.parametrize("path", WRITTEN_FOR_ANY, ids=lambda path: path.stem)
def test_a_lesson_runs_with_another_backbone(path: Path, weights: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.insert(0, new_code_cell(STAND_IN.format(file=str(weights))))
    NotebookClient(notebook, timeout=900, resources={"metadata": {"path": str(ROOT / "notebooks")}}).execute()
    shown = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert [output.text for output in shown if output.get("name") == "stderr"] == []
