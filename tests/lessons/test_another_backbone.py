"""Lessons run from top to bottom with a ViT in DINO's layout, by the published recipe."""

from pathlib import Path

import nbformat
import pytest
import timm
import torch
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell

from tests.conftest import DATA
from tests.test_notebooks import LESSONS

STAND_IN = """
import os

import torch
from deepcut_lib.backbones import registry
from deepcut_lib.backbones.vit import vit_from_state


def stand_in(*, stride=None, facet="key", layer=-1, device="auto"):
    size = {{"num_heads": 2, "patch_size": 8, "stride": stride}}
    state = torch.load({file!r})
    return vit_from_state(state, **size, facet=facet, layer=layer, device=device, name="stand_in")


registry.REGISTERED["stand_in"] = (stand_in, "a small ViT in DINO's layout")
os.environ[registry.VARIABLE] = "stand_in"
assert stand_in().recipe.n_clusters == 2 and not stand_in().recipe.centred
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


def beside_fewer_masks(lesson: str, root: Path) -> Path:
    """A folder for a lesson that takes all masks: beside it are every third, and those that it names."""
    for folder in ("notebooks", "data/masks"):
        (root / folder).mkdir(parents=True)
    for path in set(DATA.iterdir()) - {DATA / "masks"}:
        (root / "data" / path.name).symlink_to(path)
    for number, path in enumerate(sorted((DATA / "masks").iterdir())):
        if number % 3 == 0 or path.stem in lesson:
            (root / "data" / "masks" / path.name).symlink_to(path)
    return root / "notebooks"


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_runs_with_another_backbone(path: Path, weights: Path, tmp_path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    lesson = "".join(cell.source for cell in notebook.cells)
    folder = beside_fewer_masks(lesson, tmp_path) if 'data / "masks")' in lesson else path.parent
    notebook.cells.insert(0, new_code_cell(STAND_IN.format(file=str(weights))))
    NotebookClient(notebook, timeout=900, resources={"metadata": {"path": str(folder)}}).execute()
    shown = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert [output.text for output in shown if output.get("name") == "stderr"] == []
