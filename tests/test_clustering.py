"""The estimator: the published numbers, the same result alone and in a batch, scikit-learn's rules."""

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.metrics import adjusted_rand_score
from sklearn.utils.estimator_checks import check_estimator
from torch import Tensor

from benchmarks.pyg_yardstick import fit as fit_by_messages
from deepcut_lib import clustering
from deepcut_lib.clustering import DeepCut
from deepcut_lib.graphs import Graph, cc_graph, ncut_graph
from deepcut_lib.losses import ncut_loss, prior_term, soft_ncut_loss
from deepcut_lib.network import NAMES, Networks, initial_weights
from tests.conftest import ROOT

REFERENCE = np.load(ROOT / "tests" / "data" / "gnn_clustering.npz")
CASES: dict[str, dict[str, Any]] = {
    "ncut_k2": {"n_clusters": 2, "epochs": 10},
    "ncut_k4": {"n_clusters": 4, "epochs": 100},
    "cc_alpha3_k10": {"n_clusters": 10, "objective": "cc", "alpha": 3.0, "epochs": 100},
    "cc_alpha1.5_k10": {"n_clusters": 10, "objective": "cc", "alpha": 1.5, "epochs": 10},
}


def given_weights(case: str) -> dict[str, Tensor]:
    return {name: torch.from_numpy(REFERENCE[f"{case}/{name}"]) for name in NAMES}


@pytest.mark.parametrize("memory", ["dense", "matrix-free"])
@pytest.mark.parametrize("case", CASES)
class TestPublishedNumbers:
    """The numbers of the published implementation, from its own initial weights and without dropout."""

    def test_affinity_and_first_assignment(self, case: str, memory: str) -> None:
        features = torch.from_numpy(REFERENCE["features"])
        dense = memory == "dense"
        if case.startswith("ncut"):
            graph = ncut_graph(features, dense=dense)
            scale = graph.affinity.max()  # the published code divides by it; neither loss nor network notices
        else:
            graph, scale = cc_graph(features, CASES[case]["alpha"], dense=dense), torch.tensor(1.0)
        assert np.allclose(graph.affinity[:8, :8] / scale, REFERENCE[f"{case}/affinity_corner"], atol=1e-5)
        assert np.allclose(
            graph.degrees / scale, REFERENCE[f"{case}/affinity_row_sums"], rtol=1e-4, atol=1e-2
        )
        network = Networks([given_weights(case)], batch=1, dropout=0.0)
        first = network(graph.propagate(features)[None]).detach()[0, 0]
        assert np.abs(first.numpy() - REFERENCE[f"{case}/assignment_initial"]).max() < 1e-5

    @pytest.mark.parametrize("batch", [None, 3])
    def test_losses_and_final_assignment(self, case: str, memory: str, batch: int | None) -> None:
        features = torch.from_numpy(REFERENCE["features"])
        model = DeepCut(dropout=0.0, initial_weights=given_weights(case), memory=memory, **CASES[case])
        if batch is None:
            fitted = [model.fit(features)]
        else:  # between other pictures
            others = torch.randn(2, *features.shape, generator=torch.Generator().manual_seed(0))
            fitted = [model.fit_batch(torch.stack([others[0], features, others[1]]))[1]]
        assert np.allclose(fitted[0].losses_, REFERENCE[f"{case}/losses"], rtol=1e-4, atol=0)
        assert np.abs(fitted[0].assignments_ - REFERENCE[f"{case}/assignment_final"]).max() < 1e-3


def test_message_passing_gives_the_same(blobs: Tensor) -> None:
    weights = initial_weights(16, 64, 32, 3, torch.Generator().manual_seed(1))
    assignment, losses = fit_by_messages(blobs, weights, epochs=15)
    model = DeepCut(3, epochs=15, dropout=0.0, initial_weights=weights).fit(blobs)
    assert np.allclose(model.losses_, losses, rtol=1e-4)
    assert np.allclose(model.assignments_, assignment, atol=1e-4)


@pytest.mark.parametrize("objective", ["ncut", "cc", "soft_ncut"])
def test_finds_separate_groups(blobs: Tensor, objective: str) -> None:
    clusters = 8 if objective == "cc" else 3
    model = DeepCut(clusters, objective, epochs=100, learning_rate=5e-3, n_init=4).fit(blobs)
    assert adjusted_rand_score(np.arange(120) // 40, model.labels_) == 1
    assert model.n_clusters_found_ == 3


@pytest.mark.parametrize("objective", ["ncut", "cc", "soft_ncut"])
def test_a_picture_in_a_batch_is_as_alone(
    generator: torch.Generator, objective: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = torch.randn(5, 60, 12, generator=generator)
    model = DeepCut(3, objective, n_init=2, epochs=20)
    alone = [model.fit(picture).assignments_.copy() for picture in pictures]
    for room in (0, 2 * 4 * 60 * 60, 2**30):  # one at a time, two, all together
        monkeypatch.setitem(clustering.BATCH_BYTES, "cpu", room)
        together = model.fit_batch(pictures)
        for one, expected in zip(together, alone, strict=True):
            assert np.allclose(one.assignments_, expected, atol=1e-5)
            assert np.array_equal(one.labels_, expected.argmax(1))


def test_same_seed_same_labels_bit_for_bit(blobs: Tensor) -> None:
    first, second = (DeepCut(3, n_init=3).fit(blobs) for _ in range(2))
    assert np.array_equal(first.assignments_, second.assignments_)
    assert not np.array_equal(
        first.assignments_, DeepCut(3, n_init=3, random_state=9).fit(blobs).assignments_
    )


def test_more_starts_never_end_with_a_larger_loss(blobs: Tensor) -> None:
    def final(n_init: int) -> float:
        model = DeepCut(3, n_init=n_init).fit(blobs)
        return float(ncut_loss(ncut_graph(blobs), torch.from_numpy(model.assignments_)))

    losses = [final(n_init) for n_init in (1, 2, 4, 8)]
    assert all(more <= fewer + 1e-6 for fewer, more in pairwise(losses))
    assert losses[-1] < losses[0] - 1e-3


def test_permuted_patches_get_permuted_labels(blobs: Tensor) -> None:
    order = torch.randperm(len(blobs), generator=torch.Generator().manual_seed(3))
    plain = DeepCut(3, dropout=0.0).fit(blobs).assignments_
    assert np.allclose(DeepCut(3, dropout=0.0).fit(blobs[order]).assignments_, plain[order], atol=1e-4)


def test_a_fitted_network_labels_its_own_and_other_features(blobs: Tensor) -> None:
    model = DeepCut(3, epochs=100, learning_rate=5e-3, n_init=4).fit(blobs[::2])
    assert np.array_equal(model.predict(blobs[::2]), model.labels_)
    assert adjusted_rand_score(np.arange(120) // 40, model.predict(blobs)) == 1
    with pytest.raises(ValueError, match="16 features"):
        model.predict(blobs[:, :5])


def test_any_loss_can_be_the_objective(blobs: Tensor) -> None:
    def balanced_cut(graph: Graph, assignment: Tensor) -> Tensor:
        assert graph.affinity.shape == (120, 120)
        assert assignment.shape == (120, 2)
        return ncut_loss(graph, assignment)

    ours = DeepCut(2, "ncut", n_init=2).fit(blobs)
    theirs = DeepCut(2, balanced_cut, n_init=2).fit(blobs)
    assert np.allclose(ours.assignments_, theirs.assignments_, atol=1e-5)
    assert len(DeepCut(2, balanced_cut).fit_batch(blobs.expand(2, 120, 16))) == 2


def test_what_fit_sets(blobs: Tensor) -> None:
    model = DeepCut(4, epochs=7).fit(blobs.numpy())
    assert model.labels_.shape == (120,)
    assert model.assignments_.shape == (120, 4)
    assert np.allclose(model.assignments_.sum(1), 1)
    assert model.losses_.shape == (7,)
    assert model.n_clusters_found_ == len(set(model.labels_))
    assert np.array_equal(model.fit_predict(blobs), model.labels_)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"n_clusters": 0}, "n_clusters must be at least 1"),
        ({"epochs": 0}, "epochs must be"),
        ({"n_init": 0}, "n_init must be"),
        ({"dropout": 1.0}, "dropout must lie"),
        ({"objective": "mincut"}, "objective must be"),
        ({"memory": "disk"}, "memory must be"),
        ({"objective": "cc", "alpha": 0}, "alpha must be positive"),
        ({"prior_weight": -1}, "prior_weight must be positive"),
        ({"prior_weight": math.nan}, "prior_weight must be positive"),
        ({"prior_weight": "24"}, "prior_weight must be positive"),
        ({"device": "toaster"}, "device 'toaster'"),
        ({"n_clusters": 200}, "120 patches cannot form 200 clusters"),
        ({"initial_weights": {"gcn_weight": np.zeros((64, 16))}}, "must hold exactly"),
    ],
)
def test_bad_parameters_are_named(blobs: Tensor, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        DeepCut(**options).fit(blobs)


def test_weights_of_another_size_are_named(blobs: Tensor) -> None:
    weights = initial_weights(10, 64, 32, 2, torch.Generator())
    with pytest.raises(ValueError, match=r"gcn_weight has shape \(64, 10\), expected \(64, 16\)"):
        DeepCut(initial_weights=weights).fit(blobs)


def test_bad_features() -> None:
    with pytest.raises(ValueError, match="NaN"):
        DeepCut().fit(torch.full((5, 3), torch.nan))
    with pytest.raises(ValueError, match=r"not \(5, 0\)"):
        DeepCut().fit(torch.zeros(5, 0))
    with pytest.raises(ValueError, match=r"B×n×d"):
        DeepCut().fit_batch(torch.zeros(5, 3))


@pytest.mark.parametrize("objective", ["ncut", "cc", "soft_ncut"])
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_equal_features_are_one_cluster(objective: str, value: float) -> None:
    model = DeepCut(2, objective).fit(np.full((30, 4), value))
    assert model.n_clusters_found_ == 1
    assert np.isfinite(model.losses_).all()


def test_correlation_clustering_may_have_fewer_patches_than_clusters(generator: torch.Generator) -> None:
    assert DeepCut(10, "cc").fit(torch.randn(4, 3, generator=generator)).n_clusters_found_ <= 4


def plain_cut(graph: Graph, assignment: Tensor) -> Tensor:
    """A callable objective."""
    return soft_ncut_loss(graph, assignment)


OBJECTIVES: list[Any] = ["ncut", "cc", "soft_ncut", plain_cut]


class TestPrior:
    """A foreground prior beside the objective."""

    @pytest.fixture
    def groups(self) -> np.ndarray:
        """Which of the three groups of `blobs` each patch belongs to."""
        return np.arange(120) // 40

    @pytest.mark.parametrize("objective", OBJECTIVES)
    @pytest.mark.parametrize("foreground", [0, 2])
    def test_a_strong_prior_decides(
        self, blobs: Tensor, groups: np.ndarray, objective: Any, foreground: int
    ) -> None:
        prior = np.where(groups == foreground, 0.9, 0.1)
        model = DeepCut(2, objective, epochs=60, learning_rate=2e-2, prior_weight=50.0)
        found = model.fit(blobs, prior=prior).labels_
        assert np.array_equal(found > 0, groups == foreground)  # cluster 0 is background
        other_way = model.fit(blobs, prior=1 - prior).labels_
        assert np.array_equal(other_way > 0, groups != foreground)

    @pytest.mark.parametrize("objective", OBJECTIVES)
    def test_it_decides_in_every_start(self, blobs: Tensor, groups: np.ndarray, objective: Any) -> None:
        model = DeepCut(2, objective, epochs=60, learning_rate=2e-2, prior_weight=50.0, n_init=3)
        model.fit(blobs, prior=groups == 1)
        for labels in model.start_labels_:
            assert np.array_equal(labels, (groups == 1).astype(int))

    def test_the_cut_decides_where_the_prior_is_wrong_in_places(
        self, blobs: Tensor, groups: np.ndarray
    ) -> None:
        prior = np.where(groups == 0, 0.8, 0.2)
        prior[::8] = 1 - prior[::8]
        model = DeepCut(2, "soft_ncut", epochs=60, learning_rate=2e-2, prior_weight=5.0)
        assert np.array_equal(model.fit(blobs, prior=prior).labels_ > 0, groups == 0)

    @pytest.mark.parametrize("objective", ["ncut", "soft_ncut", plain_cut])
    def test_a_prior_that_knows_nothing_changes_nothing(self, blobs: Tensor, objective: Any) -> None:
        plain = DeepCut(3, objective, n_init=2, epochs=20).fit(blobs)
        weighed = DeepCut(3, objective, n_init=2, epochs=20, prior_weight=24.0)
        weighed.fit(blobs, prior=np.full(120, 0.5))
        assert np.array_equal(plain.assignments_, weighed.assignments_)
        assert np.array_equal(plain.losses_, weighed.losses_)

    def test_the_loss_is_the_objectives_and_the_priors(self, blobs: Tensor, groups: np.ndarray) -> None:
        prior = torch.from_numpy(np.where(groups == 1, 0.7, 0.2)).float()
        model = DeepCut(2, "soft_ncut", epochs=1, learning_rate=1e-12, dropout=0.0, prior_weight=3.0)
        model.fit(blobs, prior=prior)
        S = torch.from_numpy(model.assignments_)
        expected = soft_ncut_loss(ncut_graph(blobs), S) + 3 * prior_term(S, prior)
        assert model.losses_[0] == pytest.approx(float(expected), abs=1e-5)

    @pytest.mark.parametrize("factor", [0.1, 1.0, 4.0])
    def test_beside_correlation_clustering_it_counts_the_same_for_any_length_of_features(
        self, blobs: Tensor, groups: np.ndarray, factor: float
    ) -> None:
        prior = torch.from_numpy(np.where(groups == 1, 0.7, 0.2)).float()
        model = DeepCut(4, "cc", epochs=1, learning_rate=1e-12, dropout=0.0, prior_weight=3.0)
        model.fit(blobs * factor, prior=prior)
        S = torch.from_numpy(model.assignments_)
        # Eq. 10 over the largest that it could be, which no more grows with n and W
        affinity = (blobs * factor) @ (blobs * factor).T
        share = float((S.mT @ (affinity - affinity.max() / 3) @ S).trace() / (120**2 * affinity.max()))
        assert -1 <= share <= 1
        assert model.losses_[0] == pytest.approx(3 * float(prior_term(S, prior)) - share, abs=1e-5)

    @pytest.mark.parametrize("objective", OBJECTIVES)
    @pytest.mark.parametrize("n_init", [1, 2, 3])
    def test_a_picture_in_a_batch_is_as_alone(
        self, generator: torch.Generator, objective: Any, n_init: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pictures = torch.randn(3, 60, 12, generator=generator)
        priors = torch.rand(3, 60, generator=generator)
        model = DeepCut(2, objective, n_init=n_init, learning_rate=1e-2, prior_weight=24.0)
        alone = [
            (fitted.labels_.copy(), fitted.assignments_.copy(), fitted.losses_.copy())
            for picture, prior in zip(pictures, priors, strict=True)
            for fitted in [model.fit(picture, prior=prior)]
        ]
        for room, given in ((0, priors), (2 * 4 * 60 * 60, list(priors.numpy())), (2**30, priors)):
            monkeypatch.setitem(clustering.BATCH_BYTES, "cpu", room)  # one at a time, two, all together
            for one, (labels, assignments, losses) in zip(
                model.fit_batch(pictures, given), alone, strict=True
            ):
                assert np.array_equal(one.labels_, labels)
                assert np.allclose(one.assignments_, assignments, atol=1e-3)
                assert np.allclose(one.losses_, losses, atol=1e-3)

    @pytest.mark.parametrize("memory", ["dense", "matrix-free"])
    @pytest.mark.parametrize("objective", ["ncut", "cc", "soft_ncut"])
    def test_stored_or_not_the_result_is_the_same(
        self, blobs: Tensor, groups: np.ndarray, objective: Any, memory: Any
    ) -> None:
        prior = np.where(groups == 1, 0.7, 0.2)
        wanted = DeepCut(2, objective, prior_weight=4.0, n_init=2).fit(blobs, prior=prior)
        found = DeepCut(2, objective, prior_weight=4.0, n_init=2, memory=memory).fit(blobs, prior=prior)
        assert np.allclose(found.assignments_, wanted.assignments_, atol=1e-4)

    @pytest.mark.parametrize("objective", ["ncut", "cc", "soft_ncut"])
    def test_one_network_for_many_pictures(self, blobs: Tensor, groups: np.ndarray, objective: Any) -> None:
        pictures = [blobs, blobs[20:110] + 0.1, blobs[60:61]]
        each = [groups, groups[20:110], groups[60:61]]
        model = DeepCut(2, objective, epochs=60, learning_rate=2e-2, prior_weight=50.0, n_init=2)
        model.fit_jointly(pictures, [np.where(one == 1, 0.9, 0.1) for one in each])
        assert np.array_equal(model.labels_ > 0, np.concatenate(each) == 1)
        assert np.array_equal(model.predict(blobs) > 0, groups == 1)  # which needs no prior

    def test_mini_batches_keep_patches_and_priors_together(
        self, blobs: Tensor, groups: np.ndarray, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(clustering, "JOINT_PATCHES", 50)
        rng = np.random.default_rng(0)
        said = rng.random(240) < 0.5  # by the prior alone, whatever the features
        model = DeepCut(2, "soft_ncut", epochs=40, learning_rate=2e-2, prior_weight=50.0)
        one_of_two = torch.from_numpy(np.where(said, 5.0, -5.0)).float()[:, None]
        rows = torch.cat([torch.cat([blobs, blobs]) * 0.01, one_of_two], dim=1)
        model.fit_jointly([rows[:100], rows[100:]], [said[:100], said[100:]])
        assert np.array_equal(model.labels_ > 0, said)

    def test_all_may_be_background_where_the_prior_says_so(self, blobs: Tensor) -> None:
        model = DeepCut(2, "soft_ncut", epochs=60, learning_rate=2e-2, prior_weight=50.0)
        for run in (
            lambda: model.fit(blobs, prior=np.full(120, 0.01)),
            lambda: model.fit_jointly([blobs], [np.full(120, 0.01)]),
        ):
            assert not run().labels_.any()

    def test_a_prior_and_its_weight_belong_together(self, blobs: Tensor) -> None:
        prior = np.full(120, 0.5)
        weighed, plain = DeepCut(prior_weight=1.0), DeepCut()
        pictures = torch.stack([blobs, blobs])
        for run in (
            lambda: weighed.fit(blobs),
            lambda: weighed.fit_batch(pictures),
            lambda: weighed.fit_jointly([blobs]),
        ):
            with pytest.raises(ValueError, match="prior_weight is above 0: give each patch's prior"):
                run()
        for run in (
            lambda: plain.fit(blobs, prior=prior),
            lambda: plain.fit_batch(pictures, [prior, prior]),
            lambda: plain.fit_jointly([blobs], [prior]),
        ):
            with pytest.raises(ValueError, match="while prior_weight is 0; set it, or give no prior"):
                run()

    @pytest.mark.parametrize(
        "prior",
        [
            np.full(119, 0.5),
            np.full((120, 1), 0.5),
            np.full(120, 1.5),
            np.full(120, -0.1),
            np.full(120, np.nan),
        ],
    )
    def test_what_is_no_prior_is_named(self, blobs: Tensor, prior: np.ndarray) -> None:
        model = DeepCut(prior_weight=1.0)
        for run in (
            lambda: model.fit(blobs, prior=prior),
            lambda: model.fit_batch(torch.stack([blobs, blobs]), [np.full(120, 0.5), prior]),
            lambda: model.fit_jointly([blobs, blobs], [np.full(120, 0.5), prior]),
        ):
            with pytest.raises(ValueError, match="a prior is one probability"):
                run()

    def test_one_prior_for_each_picture(self, blobs: Tensor) -> None:
        model = DeepCut(prior_weight=1.0)
        prior = np.full(120, 0.5)
        for run in (
            lambda: model.fit_batch(torch.stack([blobs, blobs]), [prior]),
            lambda: model.fit_jointly([blobs, blobs], [prior]),
        ):
            with pytest.raises(ValueError, match="1 priors for 2 pictures"):
                run()

    def test_scikit_learn_knows_the_weight(self, blobs: Tensor, groups: np.ndarray) -> None:
        model = DeepCut(2, "soft_ncut", prior_weight=7.5, epochs=60, learning_rate=2e-2)
        assert clone(model).prior_weight == 7.5
        assert DeepCut().set_params(prior_weight=7.5).get_params()["prior_weight"] == 7.5
        prior = (groups == 1).astype(float)
        labels = model.fit_predict(blobs, prior=prior)
        assert np.array_equal(labels, clone(model).fit(blobs, prior=prior).labels_)

    def test_any_state_of_torch(self, blobs: Tensor, groups: np.ndarray) -> None:
        def everything() -> list[np.ndarray]:
            prior = torch.from_numpy(groups == 1).float() * 0.8 + 0.1  # made in that state
            model = DeepCut(2, "soft_ncut", prior_weight=24.0, learning_rate=2e-2)
            batch = model.fit_batch(torch.stack([blobs, blobs]), [prior, 1 - prior])
            return [
                model.fit(blobs, prior=prior).assignments_.copy(),
                *[fitted.assignments_ for fitted in batch],
                model.fit_jointly([blobs, blobs], [prior, prior]).assignments_,
            ]

        wanted = everything()
        with torch.inference_mode():
            inferred = everything()
        with torch.no_grad():
            ungraded = everything()
        torch.set_default_dtype(torch.float64)
        try:
            double = everything()
        finally:
            torch.set_default_dtype(torch.float32)
        for found in (inferred, ungraded, double):
            for one, other in zip(found, wanted, strict=True):
                assert one.dtype == np.float32
                assert np.allclose(one, other, atol=1e-5)


def test_assignments_of_other_features(blobs: Tensor) -> None:
    model = DeepCut(3, epochs=30).fit(blobs)
    assignment = model.predict_assignments(blobs)
    assert assignment.shape == (120, 3)
    assert np.allclose(assignment, model.assignments_, atol=1e-5)
    assert np.array_equal(assignment.argmax(1), model.predict(blobs))
    assert np.allclose(model.predict_assignments(blobs[:1]).sum(1), 1)


EXPECTED_FAILURES = {
    "check_clustering": "labels are columns of S, of which some may stay empty: {0, 2} is a valid result"
}


def test_scikit_learn_rules() -> None:
    results = check_estimator(DeepCut(), expected_failed_checks=EXPECTED_FAILURES, on_fail=None, on_skip=None)
    assert {r["check_name"] for r in results if r["status"] == "failed"} == set()
    assert {r["check_name"] for r in results if r["status"] == "xfail"} == set(EXPECTED_FAILURES)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_gives_the_numbers_of_the_cpu(blobs: Tensor) -> None:
    on_cpu, on_gpu = (DeepCut(3, device=device).fit(blobs).assignments_ for device in ("cpu", "cuda"))
    assert math.isclose(np.abs(on_cpu - on_gpu).max(), 0, abs_tol=1e-3)
