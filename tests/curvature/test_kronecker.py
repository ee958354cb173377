"""K-FAC and EKFAC: their factors by hand, their promises (E24), and their damped inverses.

The reference finds what enters each layer and the gradients of its sums with hooks and autograd, and takes patches of
images by slicing; gradients of cases are torch.func's.
"""

import pytest
import torch
from torch import nn

import ngexplorer as ngx
from ngexplorer.curvature import EKFAC, KFAC, EmpiricalFisher, Fisher, IndefiniteError, MonteCarloFisher
from ngexplorer.objectives.losses import BernoulliLogits, SquaredError
from ngexplorer.objectives.reparametrizations import tanh_as_sigmoid, with_affine_inputs

LABELS = ["sampled", "exact", "training"]
every_label = pytest.mark.parametrize("labels", LABELS)
both_sharings = pytest.mark.parametrize("sharing", ["expand", "reduce"])


def of_the_same_labels(problem, labels, point):
    """The Fisher that K-FAC with these labels approximates."""
    kind = {"sampled": MonteCarloFisher, "exact": Fisher, "training": EmpiricalFisher}[labels]
    return kind(problem.objective, point)


def scores_of(problem, labels, point):
    """∂L/∂z (N, K, C), summed over K in a layer's G and averaged over N."""
    if labels == "sampled":
        return MonteCarloFisher(problem.objective, point)._scores()
    if labels == "training":
        return problem.scores[:, None]
    middle = torch.stack([problem.density.fisher(z) for z in problem.outputs])
    values, basis = torch.linalg.eigh(middle)
    return (basis * values.clamp_min(0).sqrt()[:, None]).transpose(1, 2)


def seen_by_layers(problem, scores):
    """Of every Linear and Conv2d: ā (N, T, inputs + 1) and g (N, K, T, outputs)."""
    model = problem.module
    layers = [m for m in model.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    inputs, sums = {}, {}

    def note(module, entering, output):
        inputs[module], sums[module] = entering[0].detach(), output

    hooks = [layer.register_forward_hook(note) for layer in layers]
    outputs = model(problem.objective.inputs)
    for hook in hooks:
        hook.remove()
    found = []
    for layer in layers:
        a, shape = inputs[layer], sums[layer].shape
        if isinstance(layer, nn.Conv2d):
            (k, _), (s, _), (p, _) = layer.kernel_size, layer.stride, layer.padding
            padded = nn.functional.pad(a, (p, p, p, p))
            places = [(i * s, j * s) for i in range(shape[2]) for j in range(shape[3])]
            a = torch.stack([padded[:, :, i : i + k, j : j + k].flatten(1) for i, j in places], 1)
        else:
            a = a[:, None]
        if layer.bias is not None:
            a = torch.cat((a, torch.ones_like(a[:, :, :1])), 2)
        grads = [
            torch.autograd.grad(outputs, sums[layer], scores[:, k].contiguous(), retain_graph=True)[0]
            for k in range(scores.shape[1])
        ]
        g = torch.stack([grad.flatten(2).transpose(1, 2) if grad.ndim == 4 else grad[:, None] for grad in grads], 1)
        found.append((a, g))
    return found


def factors_by_hand(problem, labels, sharing, point):
    pairs = []
    for a, g in seen_by_layers(problem, scores_of(problem, labels, point)):
        if sharing == "expand":
            pairs.append(
                (torch.einsum("nti,ntj->ij", a, a) / a[:, :, 0].numel(), torch.einsum("nkto,nktp->op", g, g) / len(g))
            )
        else:
            mean, total = a.mean(1), g.sum(2)
            pairs.append((mean.T @ mean / len(a), torch.einsum("nko,nkp->op", total, total) / len(g)))
    return pairs


def places(problem):
    """For every layer the places in θ of (W b), (outputs, inputs + 1)."""
    at, found = 0, []
    for layer in problem.module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            size = layer.weight.numel()
            index = torch.arange(at, at + size).view(len(layer.weight), -1)
            at += size
            if layer.bias is not None:
                index = torch.cat((index, torch.arange(at, at + len(layer.weight))[:, None]), 1)
                at += len(layer.weight)
            found.append(index)
    return found


def assembled(problem, blocks):
    """Blocks in the order of vec(W b) row by row → a matrix in θ's order, weight decay on its diagonal."""
    size = len(problem.theta)
    result = problem.objective.weight_decay * torch.eye(size, dtype=torch.float64)
    for index, block in zip(places(problem), blocks, strict=True):
        flat = index.reshape(-1)
        result[flat[:, None], flat] += block
    return result


@pytest.fixture(params=["softmax logits", "squared", "student-t"])
def some_loss(request):
    return request.param


@every_label
@both_sharings
def test_kfac_is_the_kronecker_product_of_its_factors(
    labels, sharing, layered_name, some_loss, problem, vectors, close
):
    case = problem(some_loss, layered_name, weight_decay=0.1)
    point = case.objective.at(case.theta)
    matrix = KFAC(case.objective, point, labels=labels, sharing=sharing)
    pairs = factors_by_hand(case, labels, sharing, point)
    for found, (a, g) in zip(matrix.factors, pairs, strict=True):
        close(found.a, a)
        close(found.g, g)
    dense = assembled(case, [torch.kron(g, a) for a, g in pairs])
    v, several = vectors(len(case.theta)), vectors(len(case.theta), 3, seed=1)
    close(matrix.dense(), dense)
    close(matrix @ v, dense @ v)
    close(matrix @ several, dense @ several)
    close(matrix.diagonal(), dense.diagonal())
    close(matrix.trace(), dense.trace())
    close(matrix.eigenvalues(), torch.linalg.eigvalsh(dense), atol=1e-10)


@every_label
@both_sharings
def test_ekfac_has_the_second_moments_of_gradients_in_kfacs_eigenbasis(
    labels, sharing, layered_name, some_loss, problem, vectors, close
):
    """s_i = E[(Uᵀg)_i²] with g = Jᵀs of torch.func's J: positions of a shared weight are summed, whatever the basis."""
    case = problem(some_loss, layered_name, weight_decay=0.1)
    point = case.objective.at(case.theta)
    gradients = torch.einsum("ncp,nkc->nkp", case.jacobian, scores_of(case, labels, point))
    blocks = []
    for index, (a, g) in zip(places(case), factors_by_hand(case, labels, sharing, point), strict=True):
        basis = torch.kron(torch.linalg.eigh(g)[1], torch.linalg.eigh(a)[1])
        moments = (gradients[:, :, index.reshape(-1)] @ basis).square().sum((0, 1)) / len(gradients)
        blocks.append(basis * moments @ basis.T)
    dense = assembled(case, blocks)
    matrix = EKFAC(case.objective, point, labels=labels, sharing=sharing)
    v, several = vectors(len(case.theta)), vectors(len(case.theta), 3, seed=1)
    close(matrix.dense(), dense)
    close(matrix @ v, dense @ v)
    close(matrix @ several, dense @ several)
    close(matrix.diagonal(), dense.diagonal())
    close(matrix.eigenvalues(), torch.linalg.eigvalsh(dense), atol=1e-10)
    close(matrix.solve(v, 0.2), torch.linalg.solve(dense + 0.2 * torch.eye(len(v)).to(v), v))


# E24


def block_mask(case):
    return assembled(case, [torch.ones(index.numel(), index.numel(), dtype=torch.float64) for index in places(case)])


def test_e24_kfac_is_exact_in_its_blocks_for_a_deep_linear_network_with_squared_error(vectors):
    """There g does not depend on the case, so E[g gᵀ ⊗ ā āᵀ] = E[g gᵀ] ⊗ E[ā āᵀ]."""
    generator = torch.Generator().manual_seed(0)
    model = nn.Sequential(*[nn.Linear(i, o, dtype=torch.float64) for i, o in ((3, 4), (4, 2), (2, 3))])
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.6, generator=generator)
    objective = ngx.Objective(model, SquaredError(variance=0.7), vectors(11, 3), vectors(11, 3, seed=1))
    point = objective.at(objective.initial_parameters)
    fisher, kfac = Fisher(objective, point), KFAC(objective, point, labels="exact")
    at = 0
    for layer in objective.layers:
        assert layer.start == at
        error = (fisher.dense()[layer, layer] - kfac.dense()[layer, layer]).abs().max()
        assert float(error) <= 1e-12
        at = layer.stop
    assert at == len(point.theta)


@every_label
@pytest.mark.parametrize("name", ["mlp", "residual"])
def test_e24_kfac_is_exact_in_its_blocks_for_one_case(labels, name, some_loss, problem, close):
    case = problem(some_loss, name, cases=1)
    point = case.objective.at(case.theta)
    whole = of_the_same_labels(case, labels, point).dense()
    close(KFAC(case.objective, point, labels=labels).dense(), whole * block_mask(case), atol=1e-14)
    close(EKFAC(case.objective, point, labels=labels).dense(), whole * block_mask(case), atol=1e-14)


def test_one_case_with_many_positions_is_not_exact(problem):
    """A shared weight's gradient is Σ_t g_t ā_tᵀ, which no Kronecker product is."""
    case = problem("softmax logits", "convolutional", cases=1)
    whole = Fisher(case.objective, case.theta).dense() * block_mask(case)
    assert float((KFAC(case.objective, case.theta, labels="exact").dense() - whole).abs().max()) > 1e-3


@every_label
@both_sharings
def test_e24_ekfac_is_nearer_to_the_fisher_of_its_labels_and_has_its_trace(
    labels, sharing, layered_name, density_name, problem
):
    case = problem(density_name, layered_name, cases=6)
    point = case.objective.at(case.theta)
    whole = of_the_same_labels(case, labels, point)
    kfac, ekfac = (kind(case.objective, point, labels=labels, sharing=sharing) for kind in (KFAC, EKFAC))
    far, near = (float(torch.linalg.matrix_norm(whole.dense() - m.dense())) for m in (kfac, ekfac))
    assert near <= far * (1 + 1e-12)
    assert float(ekfac.trace()) == pytest.approx(float(whole.trace()), rel=1e-10)
    assert float(ekfac.dense().trace()) == pytest.approx(float(whole.trace()), rel=1e-10)


def test_e24_of_all_matrices_diagonal_in_its_basis_ekfac_is_the_nearest(problem, vectors):
    case = problem("softmax logits", "mlp", cases=20)
    point = case.objective.at(case.theta)
    whole, ekfac = MonteCarloFisher(case.objective, point).dense(), EKFAC(case.objective, point)
    nearest = torch.linalg.matrix_norm(whole - ekfac.dense())
    basis = assembled(
        case, [torch.kron(u_g, u_a) for _, u_g, u_a, _ in ekfac._eigenbasis()]
    )  # columns in the order of rows
    for seed in range(5):
        other = ekfac.dense() + 1e-3 * basis @ torch.diag(vectors(len(basis), seed=seed)) @ basis.T
        assert float(torch.linalg.matrix_norm(whole - other)) > float(nearest)


def step(objective, labels):
    return KFAC(objective, objective.initial_parameters, labels=labels, tikhonov="exact").solve_gradient(0.0)


def smooth(loss, cases=60):
    """A tanh network with outputs whose factors are not singular."""
    generator = torch.Generator().manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2)).double()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.7, generator=generator)
    x = torch.randn(cases, 3, generator=generator, dtype=torch.float64)
    y = torch.randint(2, (cases, 2), generator=generator).double()
    return ngx.Objective(model, loss, x, y)


@every_label
@pytest.mark.parametrize("loss", [SquaredError(), BernoulliLogits()], ids=["squared", "bernoulli"])
def test_e24_the_undamped_step_does_not_depend_on_affine_maps_of_the_inputs(labels, loss, vectors, close):
    """Nor on tanh written as sigmoid: both are affine maps of the layers' own inputs and sums."""
    original = smooth(loss)
    expected = step(original, labels)
    assert float(torch.linalg.vector_norm(expected)) > 1e-2
    mapped = with_affine_inputs(original, vectors(3, 3, seed=4) + 2 * torch.eye(3).double(), vectors(3, seed=5))
    close(mapped.change.linear(step(mapped, labels)), expected, rtol=1e-7, atol=1e-9)
    turned = tanh_as_sigmoid(original)
    close(turned.change.linear(step(turned, labels)), expected, rtol=1e-7, atol=1e-9)


def test_e24_the_gradient_and_the_damped_step_do(vectors):
    original = smooth(SquaredError())
    turned = tanh_as_sigmoid(original)

    def damped(objective):
        return KFAC(objective, objective.initial_parameters, labels="exact").solve_gradient(0.1)

    gap = turned.change.linear(damped(turned)) - damped(original)
    assert float(torch.linalg.vector_norm(gap)) > 1e-2 * float(torch.linalg.vector_norm(damped(original)))


# Solving


@every_label
@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
def test_factored_tikhonov_damping(labels, weight_decay, layered_name, problem, vectors, close):
    """(G + γ/π I)⁻¹ M (A + πγI)⁻¹ with γ² = λ + η, π² = (tr A/d_A)/(tr G/d_G), by hand."""
    case = problem("softmax logits", layered_name, weight_decay=weight_decay)
    point = case.objective.at(case.theta)
    matrix = KFAC(case.objective, point, labels=labels)
    for damping in (0.02, 0.5):  # the inverses of one damping are not those of another
        b, expected = vectors(len(case.theta)), vectors(len(case.theta))
        gamma = (damping + weight_decay) ** 0.5
        for index, (a, g) in zip(places(case), factors_by_hand(case, labels, "expand", point), strict=True):
            pi = float((a.trace() / len(a)) / (g.trace() / len(g))) ** 0.5
            damped_a = a + pi * gamma * torch.eye(len(a)).to(a)
            damped_g = g + gamma / pi * torch.eye(len(g)).to(g)
            expected[index] = torch.linalg.inv(damped_g) @ b[index] @ torch.linalg.inv(damped_a)
        close(matrix.solve(b, damping), expected)
        close(matrix.solve(b, damping), expected)


@every_label
def test_exact_tikhonov_damping_inverts_the_damped_matrix(labels, layered_name, problem, vectors, close):
    case = problem("softmax logits", layered_name, weight_decay=0.05)
    matrix = KFAC(case.objective, case.theta, labels=labels, tikhonov="exact")
    b = vectors(len(case.theta))
    x = matrix.solve(b, 0.2)
    close(matrix @ x + 0.2 * x, b)
    close(matrix.solve_gradient(0.2), matrix.solve(case.objective.gradient(case.theta), 0.2))


def test_a_singular_factor_without_damping_is_refused(vectors):
    """An input that is always 0 has a row of zeros in A."""
    x = vectors(9, 4)
    x[:, 0] = 0
    objective = ngx.Objective(nn.Linear(4, 3, dtype=torch.float64), SquaredError(), x, vectors(9, 3, seed=1))
    point = objective.at(objective.initial_parameters)
    for matrix in (KFAC(objective, point), KFAC(objective, point, tikhonov="exact"), EKFAC(objective, point)):
        with pytest.raises(IndefiniteError, match="its lowest eigenvalue is 0; damping above 0 is needed") as caught:
            matrix.solve(vectors(len(point.theta)), 0.0)
        assert caught.value.lowest_eigenvalue == 0
        assert torch.isfinite(matrix.solve(vectors(len(point.theta)), 1e-3)).all()


def test_one_layer_alone_is_its_whole_fisher_where_gradients_and_inputs_are_independent(vectors, close):
    """Closed form: squared error of one Linear layer, G ⊗ A = I/σ² ⊗ E[āāᵀ], exactly the Fisher and the Hessian."""
    model, x = nn.Linear(4, 3, dtype=torch.float64), vectors(9, 4)
    objective = ngx.Objective(model, SquaredError(variance=0.5), x, vectors(9, 3, seed=1))
    with_one = torch.cat((x, torch.ones(9, 1).to(x)), 1)
    second_moment = with_one.T @ with_one / 9
    block = torch.kron(torch.eye(3).to(x) / 0.5, second_moment).view(3, 5, 3, 5)
    order = [(o, i) for o in range(3) for i in range(4)] + [(o, 4) for o in range(3)]
    expected = torch.stack([torch.stack([block[o, i, p, j] for p, j in order]) for o, i in order])
    for matrix in (
        KFAC(objective, objective.initial_parameters, labels="exact"),
        EKFAC(objective, objective.initial_parameters, labels="exact"),
        Fisher(objective, objective.initial_parameters),
    ):
        close(matrix.dense(), expected)


def test_the_averages_over_chunks_are_those_over_all_cases(problem, layered_name, close):
    whole, parts = (problem("softmax logits", layered_name, cases=7, chunk=chunk) for chunk in (None, 3))
    for kind in (KFAC, EKFAC):
        for sharing in ("expand", "reduce"):
            one, other = (kind(c.objective, c.theta, labels="exact", sharing=sharing) for c in (whole, parts))
            close(other.dense(), one.dense(), rtol=1e-12, atol=1e-15)


def test_factors_at_one_point_are_computed_once_for_both(problem):
    case = problem("softmax logits", "mlp")
    point = case.objective.at(case.theta)
    factors = KFAC(case.objective, point).factors
    assert EKFAC(case.objective, point).factors is factors
    assert KFAC(case.objective, point, seed=1).factors is not factors
    assert KFAC(case.objective, point, sharing="reduce").factors is not factors


def test_softmax_scores_drawn_from_the_model_average_to_the_exact_factors(problem):
    """Within 4 standard errors over 400 seeds."""
    case = problem("softmax logits", "mlp")
    point = case.objective.at(case.theta)
    exact = KFAC(case.objective, point, labels="exact").factors
    drawn = [KFAC(case.objective, point, seed=seed).factors for seed in range(400)]
    for i, layer in enumerate(exact):
        g = torch.stack([factors[i].g for factors in drawn])
        error = g.std(0) / len(drawn) ** 0.5
        assert bool(((g.mean(0) - layer.g).abs() <= 4 * error + 1e-15).all())
