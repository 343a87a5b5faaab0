"""Whatever tensors are handed over and however torch is set: the float32 result, without a warning."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import numpy as np
import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from deepcut_lib import clustering
from deepcut_lib.backbones.backbone import Recipe
from deepcut_lib.clustering import DeepCut
from deepcut_lib.features import PatchFeatures, normalize
from deepcut_lib.graphs import Graph, cc_graph, ncut_graph
from deepcut_lib.kless import cluster_vectors
from deepcut_lib.losses import cc_loss, ncut_loss
from deepcut_lib.network import Networks, initial_weights
from deepcut_lib.parts import find_parts
from deepcut_lib.segmentation import cut
from deepcut_lib.trained import TrainedDeepCut, train_on_features
from tests.conftest import patch_features


@contextmanager
def double_by_default() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


STATES: dict[str, Callable[[], AbstractContextManager[object]]] = {
    "inference_mode": torch.inference_mode,
    "no_grad": torch.no_grad,
    "float64 by default": double_by_default,
}


def read_only(x: Tensor) -> np.ndarray:
    array = x.numpy().copy()
    array.flags.writeable = False
    return array


GIVEN: dict[str, Callable[[Tensor], Tensor | np.ndarray]] = {
    "bfloat16": lambda x: x.to(torch.bfloat16),
    "float64": lambda x: x.double(),
    "with a gradient": lambda x: x.clone().requires_grad_(),
    "not contiguous": lambda x: x.T.contiguous().T,
    "every second": lambda x: x.repeat_interleave(2, 0)[::2],
    "read-only array": read_only,
    "backwards array": lambda x: x.numpy()[::-1].copy()[::-1],
    "float64 array": lambda x: x.numpy().astype(float),
    "list": lambda x: x.tolist(),  # type: ignore[return-value]
}


@pytest.fixture
def rounded(blobs: Tensor) -> Tensor:
    """Features that bfloat16 holds exactly."""
    return blobs.to(torch.bfloat16).float()


@pytest.mark.parametrize("objective", ["ncut", "cc"])
@pytest.mark.parametrize("given", GIVEN)
def test_any_features(rounded: Tensor, given: str, objective: str) -> None:
    expected = DeepCut(3, objective, n_init=2).fit(rounded)
    found = DeepCut(3, objective, n_init=2).fit(GIVEN[given](rounded))
    assert np.array_equal(found.assignments_, expected.assignments_)
    assert np.array_equal(found.predict(GIVEN[given](rounded)), expected.predict(rounded))
    assert found.assignments_.dtype == np.float32


@pytest.mark.parametrize("state", STATES)
def test_any_state_of_torch(rounded: Tensor, state: str) -> None:
    def everything() -> list[np.ndarray]:
        features = [patch_features(normalize(rounded.clone()), (10, 12)) for _ in range(2)]
        found = cut(features, recipe=Recipe(n_clusters=3, n_init=2, normalized=True), two_stage=True)
        model = DeepCut(3, n_init=2).fit(rounded.clone())
        jointly = DeepCut(3, n_init=2).fit_jointly([rounded.clone(), rounded.clone() + 1])
        foregrounds = [one.foreground for one in found]
        parts = find_parts(features, foregrounds, 2, epochs=3)
        clusters = cluster_vectors(rounded.clone(), epochs=3, n_init=2)
        return [
            found[1].labels,
            found[1].losses,
            model.assignments_,
            model.predict(rounded.clone()),
            jointly.losses_,
            parts[0].labels,
            clusters.labels,
        ]

    expected = everything()
    with STATES[state]():
        found = everything()
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == other.dtype
        assert np.array_equal(one, other)


def test_features_made_in_inference_mode_are_used_outside(rounded: Tensor) -> None:
    with torch.inference_mode():
        features = patch_features(rounded.clone(), (10, 12))
    assert np.array_equal(cut([features])[0].labels, cut([patch_features(rounded, (10, 12))])[0].labels)


def test_features_with_a_gradient_or_another_type_become_plain_float32(rounded: Tensor) -> None:
    for values in (rounded.double(), rounded.clone().requires_grad_(), rounded.to(torch.bfloat16)):
        features = patch_features(values, (10, 12))
        assert features.values.dtype == torch.float32
        assert not features.values.requires_grad
        assert np.array_equal(cut([features])[0].labels, cut([patch_features(rounded, (10, 12))])[0].labels)


@pytest.mark.parametrize("largest", [1e18, -3.4e38, 1e300, 3e38])
@pytest.mark.parametrize("as_tensor", [True, False])
def test_features_that_overflow_are_refused(blobs: Tensor, largest: float, as_tensor: bool) -> None:
    values = blobs.double().numpy()
    values[3, 5] = largest
    given = torch.from_numpy(values) if as_tensor else values
    with pytest.raises(ValueError, match=r"overflow float32; replace no-data values|NaN|infinity"):
        DeepCut().fit(given)
    with pytest.raises(ValueError, match=r"overflow float32; replace no-data values|NaN|infinity"):
        DeepCut().fit(blobs).predict(given)


@pytest.mark.parametrize("factor", [1e-30, 1e-6, 1e6, 1e12])
def test_large_and_small_features_that_do_not_overflow(blobs: Tensor, factor: float) -> None:
    found = DeepCut(3).fit(blobs * factor)
    assert np.isfinite(found.assignments_).all()
    assert np.isfinite(found.losses_).all()


def test_a_step_that_is_too_large_is_said(blobs: Tensor) -> None:
    with pytest.raises(ValueError, match="learning_rate 1e\\+30; take a smaller one"):
        DeepCut(learning_rate=1e30).fit(blobs)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("n_clusters", [0, -1, 2.0, True, "2", None]),
        ("epochs", [0, -3, 1.5, np.float64(3)]),
        ("n_init", [0, np.int64(-1)]),
        ("hidden_channels", [0, 2.5]),
        ("learning_rate", [0, -1e-3, float("nan"), float("inf"), "1e-3"]),
        ("dropout", [1, -0.1, float("nan"), None]),
        ("random_state", [-1, 2**63, 10**20, True]),
    ],
)
def test_parameters_are_checked_where_they_enter(blobs: Tensor, name: str, values: list[object]) -> None:
    for value in values:
        with pytest.raises(ValueError, match=name):
            DeepCut(**{name: value}).fit(blobs)  # type: ignore[arg-type]


def test_alpha_counts_only_for_cc(blobs: Tensor) -> None:
    for alpha in (0.0, -1.0, float("nan"), float("inf")):
        DeepCut(alpha=alpha).fit(blobs)
        with pytest.raises(ValueError, match="alpha must be positive and finite"):
            DeepCut(objective="cc", alpha=alpha).fit(blobs)


def test_numbers_of_numpy_are_numbers(blobs: Tensor) -> None:
    plain = DeepCut(3, epochs=5, n_init=2, random_state=7, learning_rate=1e-2).fit(blobs)
    theirs = DeepCut(
        np.int32(3),
        epochs=np.int64(5),
        n_init=np.uint8(2),
        random_state=np.int64(7),
        learning_rate=np.float64(1e-2),
    ).fit(blobs)
    assert np.array_equal(plain.assignments_, theirs.assignments_)


def test_the_limit_of_memory_holds_everywhere(rounded: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Above `DENSE_BYTES`, and where it is asked for, nothing stores W."""
    features = [patch_features(rounded, (10, 12))]
    chosen = {"recipe": Recipe(n_clusters=3, n_init=2, normalized=True)}
    expected = [cut(features, **options)[0].labels for options in ({}, chosen)]  # type: ignore[arg-type]
    trained = TrainedDeepCut_on(features)
    labels = trained.labels(features[0])

    def stored(self: Graph) -> Tensor:
        raise AssertionError("W was stored")

    monkeypatch.setattr(Graph, "affinity", property(stored))
    cut(features, objective="cc", memory="matrix-free")
    for options, before in zip(({}, chosen), expected, strict=True):
        found = cut(features, memory="matrix-free", **options)[0]  # type: ignore[arg-type]
        assert np.array_equal(found.labels, before)
    monkeypatch.setattr(clustering, "DENSE_BYTES", 1000)
    for options, before in zip(({}, chosen), expected, strict=True):
        assert np.array_equal(cut(features, **options)[0].labels, before)  # type: ignore[arg-type]
    assert np.array_equal(trained.labels(features[0]), labels)


def TrainedDeepCut_on(features: list[PatchFeatures]) -> TrainedDeepCut:
    class Described:
        recipe = Recipe(n_clusters=3)
        name = "described"
        device = torch.device("cpu")

    return train_on_features(features, Described())  # type: ignore[arg-type]


def test_w_is_not_built_where_nothing_is_chosen(rounded: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deepcut_lib.segmentation.ncut_graph", None)
    cut([patch_features(rounded, (10, 12))])
    cut([patch_features(rounded, (10, 12))], objective="cc", n_clusters=4)


@pytest.mark.parametrize("dense", [True, False])
@pytest.mark.parametrize("signed", [True, False])
def test_nothing_mixes_devices(dense: bool, signed: bool) -> None:
    """Tensors that only pretend to be on a GPU find what was made on the CPU by mistake."""
    generator = torch.Generator().manual_seed(0)
    start = initial_weights(16, 8, 4, 3, generator)
    with FakeTensorMode():
        start = {name: torch.empty(tensor.shape, device="cuda") for name, tensor in start.items()}
        features = torch.empty(2, 30, 16, device="cuda")
        graph = cc_graph(features, 3.0, dense=dense) if signed else ncut_graph(features, dense=dense)
        networks = Networks([start, start], batch=2, dropout=0.25)
        propagated = graph.propagate(graph.features)
        for generators in (None, [generator, generator]):
            assignment = networks(propagated, generators)
            loss = (cc_loss if signed else ncut_loss)(graph, assignment)
            assert loss.device.type == "cuda"
        assert normalize(features[0]).device.type == "cuda"
        assert graph.negative_share().device.type == "cuda"


@pytest.mark.parametrize("task", ["parts", "cut", "kless", "trained"])
def test_tasks_run_where_their_features_are(
    rounded: Tensor, task: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    resolve = clustering.resolve_device

    def resolved(device: object) -> torch.device:
        asked.append(str(device))
        return resolve(str(device))

    monkeypatch.setattr(clustering, "resolve_device", resolved)
    features = [patch_features(rounded, (10, 12))]
    if task == "parts":
        find_parts(features, [np.ones((10, 12), bool)], 2, epochs=2)
    elif task == "cut":
        cut(features)
    elif task == "kless":
        cluster_vectors(rounded, epochs=2, n_init=1, device="cpu")
    else:
        TrainedDeepCut_on(features)
    assert set(asked) == {"cpu"}
