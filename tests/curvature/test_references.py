"""Every matrix, of every loss that has a density and every kind of network, is the one that torch.func makes of J."""

import pytest
import torch
from torch import nn

import ngexplorer as ngx
from ngexplorer.curvature import KFAC, Diagonal, EmpiricalFisher, Hessian, LayerDiagonal
from ngexplorer.curvature.scores import sampled_scores
from ngexplorer.objectives.losses import SquaredError


@pytest.fixture
def case(problem, density_name, network_name):
    """Weight decay knows no network: one of them has it."""
    return problem(density_name, network_name, weight_decay=0.2 if network_name == "residual" else 0.0)


def test_value_and_gradient(case, close):
    """What all else rests on; L is −log r up to a constant that no z changes."""
    point = case.objective.at(case.theta)
    close(point.output_gradient, case.scores)
    close(point.gradient, case.gradient)


def test_products_diagonal_and_dense_matrix(case, exact, vectors, as_large, close):
    """The first two without the dense one."""
    matrix = exact(case.objective, case.theta)
    expected = case.expected(matrix)
    v, several = vectors(len(case.theta)), vectors(len(case.theta), 18, seed=1)
    close(matrix.matvec(v), expected @ v, atol=1e-10)
    close(matrix @ several, expected @ several, atol=1e-10)
    close(matrix.diagonal(), expected.diagonal(), atol=1e-11)
    assert (matrix._key, "dense") not in matrix.point.cache
    close(matrix.dense(), expected, atol=1e-11)


def test_layer_blocks_and_diagonal_are_cut_from_the_whole(network_name, exact, problem, vectors, close):
    case = problem("softmax logits", network_name, weight_decay=0.2)
    matrix = exact(case.objective, case.theta)
    expected = case.expected(matrix)
    mask = torch.zeros_like(expected)
    for layer in layers_of(case.objective.model):
        mask[layer, layer] = 1
    v, several = vectors(len(case.theta)), vectors(len(case.theta), 3)
    for part, cut in ((LayerDiagonal(matrix), mask), (Diagonal(matrix), torch.eye(len(mask)).to(mask))):
        close(part.dense(), expected * cut)
        close(part @ v, (expected * cut) @ v)
        close(part @ several, (expected * cut) @ several)
        close(part.diagonal(), expected.diagonal())
        close(part.trace(), expected.trace())
        close(part.eigenvalues(), torch.linalg.eigvalsh(expected * cut), atol=1e-11)


def layers_of(model):
    """Where in θ each module's own parameters stand; parameters that stand twice count where they come first."""
    at, found, seen = 0, [], set()
    for module in model.modules():
        own = [p for p in module.parameters(recurse=False) if id(p) not in seen]
        if own:
            size = sum(p.numel() for p in own)
            found.append(slice(at, at + size))
            at += size
            seen.update(id(p) for p in own)
    return found


def test_blocks_of_layers_need_no_dense_matrix(network_name, exact, problem, as_large, close):
    case = problem("softmax logits", network_name, weight_decay=0.2)
    matrix = exact(case.objective, case.theta)
    expected = case.expected(matrix)
    for layer, block in zip(layers_of(case.objective.model), LayerDiagonal(matrix).blocks(), strict=True):
        close(block, expected[layer, layer])
    assert (matrix._key, "dense") not in matrix.point.cache


@pytest.mark.parametrize("name", ["mlp", "convolutional", "residual"])
def test_both_ways_through_a_network_give_the_same(name, exact, problem, vectors, close):
    """By its layers, and by autograd where no one can look into it."""
    by_layers, by_graph = problem("softmax logits", name), problem("softmax logits", name, wrapped=True)
    one, other = exact(by_layers.objective, by_layers.theta), exact(by_graph.objective, by_graph.theta)
    assert type(by_layers.objective.network) is not type(by_graph.objective.network)
    v = vectors(len(by_layers.theta), 3)
    close(one.dense(), other.dense())
    close(one @ v, other @ v)
    close(one._diagonal(), other._diagonal())


def test_sampled_labels_come_from_the_seed_alone_and_are_kept(problem):
    case = problem("softmax logits", "mlp", cases=50)
    point = case.objective.at(case.theta)
    scores = sampled_scores(point, 2, seed=3)
    assert scores.shape == (50, 2, 3)
    assert sampled_scores(point, 2, seed=3) is scores
    assert torch.equal(sampled_scores(case.objective.at(case.theta), 2, seed=3), scores)
    assert not torch.equal(sampled_scores(point, 2, seed=4), scores)
    assert KFAC(case.objective, point, seed=3)._scores().shape == (50, 1, 3)
    # p − e_y: one entry negative, and they sum to zero.
    assert bool(((scores < 0).sum(2) == 1).all())
    assert float(scores.sum(2).abs().max()) < 1e-15


def used_twice(vectors):
    """The same module stands in a sequence twice."""
    twice = nn.Linear(3, 3, dtype=torch.float64)
    model = nn.Sequential(twice, nn.Tanh(), twice, nn.Linear(3, 2, dtype=torch.float64))
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.6, generator=generator)
    return model, ngx.Objective(model, SquaredError(), vectors(5, 3), vectors(5, 2, seed=1))


def test_a_module_that_is_used_twice_has_one_place_in_theta(exact, vectors, close):
    model, objective = used_twice(vectors)
    shapes = [(3, 3), (3,), (2, 3), (2,)]

    def outputs(flat):
        w, b, v, c = (part.view(s) for part, s in zip(flat.split([9, 3, 6, 2]), shapes, strict=True))
        h = torch.tanh(objective.inputs @ w.T + b)
        return (h @ w.T + b) @ v.T + c

    def value(flat):
        return 0.5 * (outputs(flat) - objective.targets).square().sum(1).mean()

    theta = torch.nn.utils.parameters_to_vector(model.parameters()).detach()
    close(objective.initial_parameters, theta)
    point = objective.at(theta)
    matrix = exact(objective, point)
    jacobian = torch.func.jacrev(outputs)(theta)
    if isinstance(matrix, EmpiricalFisher):
        gradients = torch.einsum("ncp,nsc->nsp", jacobian, matrix._scores())
        expected = torch.einsum("nsp,nsq->pq", gradients, gradients) / gradients[..., 0].numel()
    elif isinstance(matrix, Hessian):
        expected = torch.func.hessian(value)(theta)
    else:
        expected = torch.einsum("ncp,ncq->pq", jacobian, jacobian) / 5
    close(matrix.dense(), expected)
    close(matrix @ vectors(20), expected @ vectors(20))


def test_a_module_that_is_used_twice_stays_a_layer(vectors):
    _, objective = used_twice(vectors)
    objective.network.evaluate(objective.initial_parameters, objective.inputs)
    assert [(part.start, part.stop) for part in objective.layers] == [(0, 12), (12, 20)]
    assert [name for name, p in objective.model.named_parameters() if p.requires_grad] == [
        "0.weight",
        "0.bias",
        "3.weight",
        "3.bias",
    ]
