"""Matrices as pictures: their distances, their blocks, and what coarsening keeps."""

import numpy as np
import pytest

from ngexplorer.analysis.dense_matrices import coarsened, layers_of, matrices, parameters_of, relative_distance
from ngexplorer.curvature import KFAC, EmpiricalFisher, Fisher, GaussNewton, Hessian
from ngexplorer.objectives.losses import SquaredError


@pytest.fixture
def pictures(classifier, finest):
    return finest(matrices(classifier.at(classifier.initial_parameters)))


def test_each_matrix_is_the_engines_own(classifier, pictures):
    point = classifier.at(classifier.initial_parameters)
    for name, matrix in {
        "hessian": Hessian(classifier, point),
        "gauss-newton": GaussNewton(classifier, point),
        "fisher": Fisher(classifier, point),
        "empirical-fisher": EmpiricalFisher(classifier, point),
        "kfac": KFAC(classifier, point, labels="exact"),
    }.items():
        np.testing.assert_array_equal(pictures.dense[name], matrix.dense().numpy())
    fisher = pictures.dense["fisher"]
    np.testing.assert_array_equal(pictures.dense["diagonal"], np.diag(np.diag(fisher)))
    np.testing.assert_array_equal(pictures.difference("hessian", "fisher"), pictures.dense["hessian"] - fisher)
    assert pictures.extent == max(abs(matrix).max() for matrix in pictures.dense.values())


def test_distances_are_relative_to_the_column(pictures):
    table, names = pictures.distances(), list(pictures.dense)
    np.testing.assert_array_equal(np.diag(table), 0)
    # F = G where z are natural parameters.
    assert table[names.index("gauss-newton"), names.index("fisher")] < 1e-12
    h, f = pictures.dense["hessian"], pictures.dense["fisher"]
    expected = np.sqrt(((h - f) ** 2).sum() / (f**2).sum())
    assert table[names.index("hessian"), names.index("fisher")] == pytest.approx(expected)
    assert np.isnan(relative_distance(f, np.zeros_like(f)))


def test_layers_have_their_modules_names_and_bounds(classifier, pictures):
    assert [(layer.name, layer.start, layer.stop) for layer in pictures.layers] == [("0", 0, 16), ("2", 16, 31)]
    assert layers_of(classifier) == pictures.layers


def test_block_errors_are_those_of_the_blocks(pictures):
    errors = pictures.block_errors()
    kfac, fisher = pictures.dense["kfac"], pictures.dense["fisher"]
    for i, span in enumerate((slice(0, 16), slice(16, 31))):
        block = fisher[span, span]
        assert errors["kfac"][i] == pytest.approx(np.linalg.norm(kfac[span, span] - block) / np.linalg.norm(block))
        off = block - np.diag(np.diag(block))
        assert errors["diagonal"][i] == pytest.approx(np.linalg.norm(off) / np.linalg.norm(block))
    np.testing.assert_array_equal(errors["layer-diagonal"], 0)
    assert (errors["kfac"] < errors["diagonal"]).all()
    beside = 2 * np.linalg.norm(fisher[:16, 16:]) ** 2 / np.linalg.norm(fisher) ** 2
    assert pictures.outside_blocks("fisher") == pytest.approx(beside)
    assert pictures.outside_blocks("kfac") == pytest.approx(0, abs=1e-12)


def test_kfac_is_exact_for_deep_linear_networks(mlp, objective_of, finest):
    """Squared error of a linear network: each layer's block is A ⊗ G (Bernacchia, Lengyel and Hennequin 2018)."""
    from torch import nn

    module = nn.Sequential(*mlp(3, 4, seed=1), *mlp(4, 2, seed=2))
    objective = objective_of(module, SquaredError())
    errors = finest(matrices(objective.at(objective.initial_parameters))).block_errors()
    np.testing.assert_allclose(errors["kfac"], 0, atol=1e-12)


def test_they_come_one_by_one_and_what_does_not_exist_is_refused(saddle):
    answers = list(matrices(saddle.at(saddle.initial_parameters)))
    assert [len(answer.dense) for answer in answers] == [1, 2, 3, 4, 5]
    assert "density" in answers[-1].refused["fisher"] and answers[-1].done == 1
    only = list(matrices(saddle.at(saddle.initial_parameters), ["gauss-newton"]))[-1]
    np.testing.assert_array_equal(only.dense["gauss-newton"], np.diag([1.0, -1.0]))
    with pytest.raises(ValueError, match="'hesian'"):
        next(matrices(saddle.at(saddle.initial_parameters), ["hesian"]))


@pytest.mark.parametrize("size", [7, 8, 9, 16])
def test_coarsening_loses_no_lone_large_entry(size):
    matrix = np.zeros((size, size))
    matrix[size - 1, 2] = -5.0
    found = coarsened(matrix, 4)
    assert len(found) <= 4 and found.min() == -5 and (found != 0).sum() == 1
    np.testing.assert_array_equal(coarsened(matrix, size), matrix)


def test_a_block_is_that_of_the_whole_matrix(digits, classifier, finest):
    for objective, block in ((digits, slice(1040, 1210)), (digits, slice(30, 65)), (classifier, slice(16, 31))):
        point = objective.at(objective.initial_parameters)
        found = finest(matrices(point, ["hessian", "fisher", "kfac"], block))
        assert found.block == block and found.layers == layers_of(objective)
        whole = finest(matrices(objective.at(objective.initial_parameters), ["hessian", "fisher", "kfac"]))
        for name, entries in found.dense.items():
            np.testing.assert_allclose(entries, whole.dense[name][block, block], atol=1e-12)


def test_an_entry_of_theta_has_a_name(digits):
    parameters = parameters_of(digits)
    assert [p.name for p in parameters] == [name for name, _ in digits.model.named_parameters()]
    assert parameters[0].entry(64 * 3 + 5) == f"{parameters[0].name}[3, 5]"
    bias = parameters[1]
    assert bias.start <= 1030 < bias.stop and bias.entry(1030) == f"{bias.name}[{1030 - bias.start}]"
    assert parameters[-1].stop == digits.parameters
