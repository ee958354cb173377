"""Means over blocks of matrices that are never formed, against the dense ones."""

import numpy as np
import pytest

from ngexplorer.analysis.block_means import block_edges, block_means
from ngexplorer.cancellation import Cancelled, Watch
from ngexplorer.curvature.kinds import KINDS, curvatures


@pytest.fixture
def point(classifier):
    return classifier.at(classifier.initial_parameters)


def test_each_pixel_is_the_mean_of_its_block(point):
    exact = {name: matrix.dense().numpy() for name, matrix in curvatures(point).found.items()}
    answers = list(block_means(point, list(KINDS), (4, 12)))
    assert len(answers) == len(KINDS) + 1 and answers[-1].done == 1
    for found in (answers[len(KINDS) - 1], answers[-1]):
        cuts, lengths = found.edges[:-1], np.diff(found.edges)
        assert set(found.dense) == set(KINDS)
        for name, means in found.dense.items():
            sums = np.add.reduceat(np.add.reduceat(exact[name], cuts, 0), cuts, 1)
            np.testing.assert_allclose(means, sums / np.outer(lengths, lengths), rtol=1e-9, atol=1e-12, err_msg=name)


def test_blocks_end_with_the_parameters_and_layers(point):
    objective = point.objective
    edges = block_edges(objective, 12)
    ends = np.cumsum([p.numel() for p in objective.model.parameters()])
    assert edges[0] == 0 and set(ends) <= set(edges.tolist()) and (np.diff(edges) > 0).all()
    found = next(block_means(point, ["hessian"], (12,)))
    assert [(edges[layer.start], edges[layer.stop]) for layer in found.layers] == [
        (layer.start, layer.stop) for layer in objective.layers
    ]


def test_it_tells_how_far_it_is_and_is_abandoned(point):
    told = []
    point.watch = Watch(progress=told.append)
    list(block_means(point, ["hessian", "fisher"], (4, 8)))
    assert told == sorted(told) and told[-1] == 1 and len(told) == 4
    point.watch = Watch(cancel=lambda: True)
    with pytest.raises(Cancelled):
        next(block_means(point, ["hessian"], (4,)))
