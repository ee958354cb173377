"""Whatever the shape, batch, dtype, seed and chunk: what must hold of every matrix."""

import copy
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import ngexplorer as ngx
from ngexplorer.curvature import EKFAC, KFAC, EmpiricalFisher, Fisher, GaussNewton, Hessian, MonteCarloFisher
from ngexplorer.objectives.residual import Residual

ACTIVATIONS = [nn.Tanh, nn.Sigmoid, nn.ReLU, nn.Softplus, nn.GELU, nn.SiLU, nn.ELU, nn.LeakyReLU]


def perceptron(draw, outputs):
    widths = [*draw(st.lists(st.integers(1, 4), min_size=1, max_size=3)), outputs]
    layers = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after, bias=draw(st.booleans())), draw(st.sampled_from(ACTIVATIONS))()]
    return widths[0], layers[:-1]


def residual(draw, outputs):
    width = draw(st.integers(1, 3))
    inner = nn.Sequential(draw(st.sampled_from(ACTIVATIONS))(), nn.Linear(width, width))
    return 2, [nn.Linear(2, width), Residual(inner), nn.Linear(width, outputs)]


def convolution(draw, outputs):
    size, channels, kernel = draw(st.integers(2, 4)), draw(st.integers(1, 2)), draw(st.integers(1, 2))
    stride, padding = draw(st.integers(1, 2)), draw(st.integers(0, 1))
    after = (size + 2 * padding - kernel) // stride + 1
    layers = [
        nn.Unflatten(1, (1, size, size)),
        nn.Conv2d(1, channels, kernel, stride=stride, padding=padding, bias=draw(st.booleans())),
        draw(st.sampled_from(ACTIVATIONS))(),
        nn.Flatten(),
        nn.Linear(channels * after * after, outputs),
    ]
    if after > 1 and draw(st.booleans()):
        layers[3:] = [nn.AvgPool2d(after), nn.Flatten(), nn.Linear(channels, outputs)]
    return size * size, layers


def opaque(draw, outputs):
    """Autograd's path: LayerNorm has parameters of its own."""
    inputs, layers = perceptron(draw, 3)
    return inputs, [*layers, nn.LayerNorm(3), nn.Linear(3, outputs)]


@st.composite
def objectives(draw, densities, kinds=(perceptron, residual, convolution, opaque)):
    """A model, a loss whose link it ends with, cases and targets, in float64; and its density."""
    density = densities[draw(st.sampled_from(sorted(densities)))]
    inputs, layers = draw(st.sampled_from(kinds))(draw, density.outputs)
    seed = draw(st.integers(0, 10_000))
    link = density.loss.link()
    model = nn.Sequential(*layers, *([link] if link else [])).double()
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.7, generator=generator)
    cases = draw(st.integers(1, 6))
    x = torch.randn(cases, inputs, generator=generator, dtype=torch.float64)
    decay = draw(st.sampled_from([0.0, 0.3]))
    return ngx.Objective(model, density.loss, x, density.labels(cases, seed), decay), density


def matrices(objective, point):
    found = [Hessian, GaussNewton, Fisher, EmpiricalFisher, MonteCarloFisher]
    if objective.affine_refusal is None:
        found += [KFAC, EKFAC]
    return [kind(objective, point) for kind in found]


def largest(dense):
    return float(dense.abs().max()) + 1e-30


@given(data=st.data())
def test_matrices_are_symmetric_and_linear_and_their_products_are_those_of_their_dense_form(data, densities, vectors):
    objective, density = data.draw(objectives(densities))
    theta = objective.initial_parameters
    point = objective.at(theta)
    v, w = vectors(2, len(theta), seed=7)
    several = vectors(len(theta), data.draw(st.integers(1, 18)), seed=8)
    for matrix in matrices(objective, point):
        dense = matrix.dense()
        scale = largest(dense)
        close = {"rtol": 1e-8, "atol": 1e-11 * scale}
        torch.testing.assert_close(dense, dense.T, rtol=0, atol=1e-13 * scale)
        torch.testing.assert_close(matrix @ v, dense @ v, **close)
        torch.testing.assert_close(matrix @ several, dense @ several, **close)
        torch.testing.assert_close(matrix @ (2 * v - w), 2 * (matrix @ v) - matrix @ w, **close)
        torch.testing.assert_close(v.dot(matrix @ w), w.dot(matrix @ v), **close)
        torch.testing.assert_close(matrix._diagonal(), dense.diagonal(), **close)
        promised = not isinstance(matrix, Hessian) and (type(matrix) is not GaussNewton or density.loss.convex)
        if promised:
            lowest = float(torch.linalg.eigvalsh(dense)[0])
            assert lowest >= objective.weight_decay - 1e-12 * scale * len(theta), matrix.name


@given(data=st.data())
def test_chunks_change_nothing(data, densities, vectors):
    """Unequal ones too: five cases by two."""
    objective, _ = data.draw(objectives(densities))
    size = data.draw(st.integers(1, objective.cases))
    parts = ngx.Objective(
        objective.model, objective.loss, objective.inputs, objective.targets, objective.weight_decay, chunk=size
    )
    theta = objective.initial_parameters
    whole, point = objective.at(theta), parts.at(theta)
    torch.testing.assert_close(point.value, whole.value, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(point.gradient, whole.gradient, rtol=1e-12, atol=1e-13 * largest(whole.gradient))
    v = vectors(len(theta), 2, seed=7)
    for one, other in zip(matrices(objective, whole), matrices(parts, point), strict=True):
        scale = largest(one.dense())
        torch.testing.assert_close(other.dense(), one.dense(), rtol=1e-12, atol=1e-13 * scale)
        torch.testing.assert_close(other @ v, one @ v, rtol=1e-12, atol=1e-12 * scale)
        torch.testing.assert_close(other._diagonal(), one._diagonal(), rtol=1e-12, atol=1e-13 * scale)


@given(data=st.data())
def test_batches_weighted_by_their_sizes_average_to_the_whole(data, densities):
    objective, _ = data.draw(objectives(densities))
    theta = objective.initial_parameters
    cut = data.draw(st.integers(0, objective.cases - 1))
    batches = (
        [objective.batch(at) for at in (torch.arange(cut), torch.arange(cut, objective.cases)) if len(at)]
        if cut
        else [objective]
    )
    for kind in (Hessian, GaussNewton, Fisher, EmpiricalFisher):
        whole = kind(objective, theta).dense()
        mean = sum(batch.cases * kind(batch, theta).dense() for batch in batches) / objective.cases
        torch.testing.assert_close(mean, whole, rtol=1e-10, atol=1e-13 * largest(whole))


@given(data=st.data())
def test_float32_agrees_with_float64_to_its_precision(data, densities):
    """Labels are the data's: other ones may be drawn in float32."""
    names = [n for n in densities if n not in ("gaussian precision", "gaussian natural", "gaussian mean")]
    objective, _ = data.draw(objectives({n: densities[n] for n in names}, (perceptron, residual, convolution)))
    targets = objective.targets.float() if objective.targets.is_floating_point() else objective.targets
    model, x = copy.deepcopy(objective.model).float(), objective.inputs.float()
    single = ngx.Objective(model, objective.loss, x, targets, objective.weight_decay)
    exact, rough = objective.at(objective.initial_parameters), single.at(single.initial_parameters)
    for kind in (Hessian, GaussNewton, Fisher, EmpiricalFisher):
        dense, found = kind(objective, exact).dense(), kind(single, rough).dense()
        assert found.dtype == torch.float32
        error = float((found.double() - dense).abs().max())
        # Condition: products of up to three layers' derivatives, each with a relative error of a few 6e-8.
        assert error <= 2e-4 * largest(dense) + 1e-6, kind.name


@given(data=st.data())
def test_ekfac_is_nearer_than_kfac_and_has_the_trace_of_its_labels(data, densities):
    objective, _ = data.draw(objectives(densities, (perceptron, residual, convolution)))
    point = objective.at(objective.initial_parameters)
    labels, kind = data.draw(
        st.sampled_from([("sampled", MonteCarloFisher), ("exact", Fisher), ("training", EmpiricalFisher)])
    )
    sharing = data.draw(st.sampled_from(["expand", "reduce"]))
    whole = kind(objective, point).dense()
    kfac, ekfac = (k(objective, point, labels=labels, sharing=sharing).dense() for k in (KFAC, EKFAC))
    far, near = (float(torch.linalg.matrix_norm(whole - m)) for m in (kfac, ekfac))
    assert near <= far * (1 + 1e-10) + 1e-12 * largest(whole)
    assert float(ekfac.trace()) == pytest.approx(float(whole.trace()), rel=1e-9)
