"""The numerical core against one plain gradient of the same batch: `python tests/benchmarks/core.py [--json FILE]`.

Each row is the median ratio over several rounds in one run on one torch thread; nothing is asserted. See README.md.
"""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
from timing import Work, ratios
from torch import Tensor, nn

import ngexplorer as ngx
from ngexplorer.curvature import KFAC, EmpiricalFisher, Fisher, GaussNewton, Hessian, MonteCarloFisher
from ngexplorer.objectives import Objective
from ngexplorer.objectives.assembly import assemble
from ngexplorer.objectives.datasets import Digits, TwoMoons
from ngexplorer.objectives.losses import SoftmaxCrossEntropy
from ngexplorer.objectives.models import MLP


@dataclass(frozen=True)
class Row:
    """One line of the table: what was done, how many gradients it should and did take, and what else took how many."""

    work: str
    target: float | None
    measured: float


class Opaque(nn.Module):
    """A module that no one can look into, so that the general path takes it."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x)


def mlp(*widths: int, activation: type[nn.Module], dtype: torch.dtype) -> nn.Sequential:
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for i, (before, after) in enumerate(pairwise(widths)):
        layers += [activation()] if i else []
        layers.append(nn.Linear(before, after, dtype=dtype))
    return nn.Sequential(*layers)


def drawn(
    module: nn.Module, cases: int, inputs: int, classes: int, dtype: torch.dtype, *, opaque: bool = False
) -> Objective:
    torch.manual_seed(1)
    x, y = torch.randn(cases, inputs, dtype=dtype), torch.randint(classes, (cases,))
    return Objective(Opaque(module) if opaque else module, SoftmaxCrossEntropy(), x, y)


def plain_gradient(module: nn.Module, objective: Objective) -> Work:
    """Forward and backward by torch alone: the yardstick."""
    parameters = list(module.parameters())
    x, y = objective.inputs, objective.targets

    def work() -> object:
        return torch.autograd.grad(nn.functional.cross_entropy(module(x), y), parameters)

    return work


def large(batch: int) -> tuple[nn.Sequential, Objective, Objective]:
    """784-256-128-10 ReLU in float32, structured and as a module no one can look into."""
    module = mlp(784, 256, 128, 10, activation=nn.ReLU, dtype=torch.float32)
    args = (batch, 784, 10, torch.float32)
    return module, drawn(module, *args), drawn(module, *args, opaque=True)


def products() -> list[Row]:
    """Products after linearizing once per θ."""
    module, fast, general = large(1024)
    works: dict[str, Work] = {}
    targets: dict[str, float | None] = {}
    for path, objective in (("", fast), (", any module", general)):
        point = objective.at(objective.initial_parameters)
        v = torch.randn(objective.parameters)
        many = torch.randn(objective.parameters, 16)
        matrices = {
            "GGN product": (GaussNewton(objective, point), 1.15),
            "exact Fisher product": (Fisher(objective, point), 1.15),
            "Hessian product": (Hessian(objective, point), 1.3),
            "Monte Carlo Fisher product": (MonteCarloFisher(objective, point), 1.1),
            "empirical Fisher product": (EmpiricalFisher(objective, point), 1.1),
        }
        for name, (matrix, target) in matrices.items():
            works[name + path] = lambda matrix=matrix, v=v: matrix @ v
            targets[name + path] = None if path else target
        for name, kind, target in (("GGN", GaussNewton, 17.0), ("Hessian", Hessian, 19.0)):
            matrix = kind(objective, point)
            works[f"16 {name} products at once{path}"] = lambda matrix=matrix, many=many: matrix @ many
            targets[f"16 {name} products at once{path}"] = None if path else target
    works["GGN product, torch.func jvp and vjp"] = textbook_ggn(module, fast)
    works["Hessian product, torch.func jvp of grad"] = textbook_hessian(module, fast)
    measured = ratios(plain_gradient(module, fast), works)
    return [Row(name, targets.get(name), measured[name]) for name in works]


def functional(module: nn.Module) -> tuple[dict[str, Tensor], Callable[[dict[str, Tensor], Tensor], Tensor]]:
    parameters = {name: p.detach() for name, p in module.named_parameters()}
    return parameters, lambda p, x: torch.func.functional_call(module, p, (x,))


def textbook_ggn(module: nn.Module, objective: Objective) -> Work:
    parameters, call = functional(module)
    v = {name: torch.randn_like(p) for name, p in parameters.items()}
    x, y = objective.inputs, objective.targets

    def work() -> object:
        z, moved = torch.func.jvp(lambda p: call(p, x), (parameters,), (v,))
        loss = torch.func.grad(lambda z: nn.functional.cross_entropy(z, y))
        pushed = torch.func.jvp(loss, (z,), (moved,))[1]
        return torch.func.vjp(lambda p: call(p, x), parameters)[1](pushed)

    return work


def textbook_hessian(module: nn.Module, objective: Objective) -> Work:
    parameters, call = functional(module)
    v = {name: torch.randn_like(p) for name, p in parameters.items()}
    x, y = objective.inputs, objective.targets
    gradient = torch.func.grad(lambda p: nn.functional.cross_entropy(call(p, x), y))
    return lambda: torch.func.jvp(gradient, (parameters,), (v,))


def spectra() -> list[Row]:
    """Eigenpairs and densities of the large model."""
    module, fast, _ = large(1024)
    point = fast.at(fast.initial_parameters)
    works: dict[str, Work] = {
        "top 10 eigenpairs of the GGN (1e-3)": lambda: GaussNewton(fast, point).top_eigenpairs(10, tolerance=1e-3),
        "top 10 eigenpairs of the Hessian (1e-3)": lambda: Hessian(fast, point).top_eigenpairs(10, tolerance=1e-3),
        "spectral density of the Hessian, 5 × 30": lambda: Hessian(fast, point).spectral_density(5, 30),
    }
    measured = ratios(plain_gradient(module, fast), works, rounds=3)
    targets = dict(zip(works, (45.0, 150.0, 200.0), strict=True))
    for name, work in list(works.items())[:2]:
        found = work()
        print(f"{name}: {found.products} products, converged: {found.converged}, values {found.values[:3].tolist()} …")
    return [Row(name, targets[name], measured[name]) for name in works]


def kronecker() -> list[Row]:
    """A K-FAC step: from scratch, and with the inverses of an earlier one."""
    module, fast, _ = large(1024)
    theta = fast.initial_parameters
    kept = KFAC(fast, theta)
    kept.solve(kept.point.gradient, 1.0)

    def scratch() -> object:
        point = fast.at(theta)
        return KFAC(fast, point).solve(point.gradient, 1.0)

    def with_kept_inverses() -> object:
        point = fast.at(theta)
        _ = KFAC(fast, point).factors
        return kept.solve(point.gradient, 1.0)

    works: dict[str, Work] = {
        "K-FAC step from scratch": scratch,
        "K-FAC step, fresh factors, inverses kept": with_kept_inverses,
    }
    measured = ratios(plain_gradient(module, fast), works)
    return [
        Row("K-FAC step from scratch", 4.2, measured["K-FAC step from scratch"]),
        Row(
            "K-FAC step with inverses every 20 steps",
            2.0,
            (measured["K-FAC step from scratch"] + 19 * measured["K-FAC step, fresh factors, inverses kept"]) / 20,
        ),
    ]


def sample_space() -> list[Row]:
    """An exact natural-gradient step with λI, J never formed."""
    rows = []
    for batch, target in ((32, 6.0), (128, 30.0)):
        module, fast, _ = large(batch)
        theta = fast.initial_parameters

        def step(fast: Objective = fast, theta: Tensor = theta) -> object:
            return Fisher(fast, fast.at(theta)).solve_gradient(1.0)

        name = f"exact natural-gradient step in sample space, batch {batch}"
        rows.append(Row(name, target, ratios(plain_gradient(module, fast), {name: step})[name]))
    return rows


def dense() -> list[Row]:
    """Dense matrices of small networks, by structure and for any module."""
    rows = []
    digits = assemble(Digits(validation=0.0), MLP(hidden=(64,)), SoftmaxCrossEntropy(), dtype="float32")
    small = mlp(2, 32, 32, 3, activation=nn.Tanh, dtype=torch.float32)
    wide = mlp(64, 64, 10, activation=nn.Tanh, dtype=torch.float32)
    cases = (
        ("MLP 2-32-32-3, N = 1,000", small, drawn(small, 1000, 2, 3, torch.float32), (34.0, 55.0, 900.0)),
        (
            "MLP 64-64-10 on digits",
            wide,
            Objective(wide, SoftmaxCrossEntropy(), digits.inputs, digits.targets),
            (330.0, 480.0, 5500.0),
        ),
    )
    for name, module, objective, (ggn, hessian, general) in cases:
        theta = objective.initial_parameters
        opaque = Objective(Opaque(module), objective.loss, objective.inputs, objective.targets)
        works: dict[str, Work] = {
            f"dense GGN, {name}": lambda o=objective, t=theta: GaussNewton(o, t).dense(),
            f"dense Hessian, {name}": lambda o=objective, t=theta: Hessian(o, t).dense(),
            f"dense Hessian, {name}, any module": lambda o=opaque, t=theta: Hessian(o, t).dense(),
        }
        measured = ratios(plain_gradient(module, objective), works, rounds=3)
        rows += [Row(work, target, measured[work]) for work, target in zip(works, (ggn, hessian, general), strict=True)]
    return rows


def small_step() -> list[Row]:
    """A whole step on two moons against a whole step of SGD by torch, each with its loss read by the host."""
    objective = assemble(TwoMoons(size=200, validation=0.0), MLP(hidden=(16,)), SoftmaxCrossEntropy())
    stepper = ngx.optimizers.make("natural-gradient").start(objective)
    module = mlp(2, 16, 2, activation=nn.Tanh, dtype=torch.float64)
    sgd = torch.optim.SGD(module.parameters(), lr=1e-3)

    def plain() -> object:
        sgd.zero_grad()
        loss = nn.functional.cross_entropy(module(objective.inputs), objective.targets)
        loss.backward()
        sgd.step()
        return loss.item()

    name = "natural-gradient step with Levenberg-Marquardt, two moons, in SGD steps"
    return [Row(name, 2.5, ratios(plain, {name: stepper.step}, rounds=15)[name])]


SECTIONS: dict[str, Callable[[], list[Row]]] = {
    "products": products,
    "spectra": spectra,
    "kronecker": kronecker,
    "sample-space": sample_space,
    "dense": dense,
    "small-step": small_step,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sections", nargs="*", choices=[*SECTIONS, []], help="which parts (default: all)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the table as JSON too")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows: list[Row] = []
    for name in options.sections or SECTIONS:
        found = SECTIONS[name]()
        rows += found
        for row in found:
            target = "" if row.target is None else f"{row.target:g}"
            print(f"| {row.work} | {target} | {row.measured:.3g} |", flush=True)
    if options.json:
        about = {"torch": torch.__version__, "machine": platform.processor() or platform.machine(), "threads": 1}
        table = [{"work": r.work, "target": r.target, "gradients": r.measured} for r in rows]
        options.json.write_text(json.dumps({"about": about, "rows": table}, indent=2))


if __name__ == "__main__":
    main()
