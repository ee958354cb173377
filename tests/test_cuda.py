"""What is computed on a GPU is what the CPU computes; runs where there is one."""

import pytest
import torch

import ngexplorer as ngx
from ngexplorer import curvature
from ngexplorer.objectives.assembly import assemble, devices
from ngexplorer.objectives.datasets import Digits, TwoMoons
from ngexplorer.objectives.losses import SoftmaxCrossEntropy
from ngexplorer.objectives.models import MLP, Convolutional, Recurrent, Transformer
from ngexplorer.optimizers import RECIPES, make

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device on this machine")

DEVICE = "cuda"
MATRICES = {
    "hessian": curvature.Hessian,
    "gauss-newton": curvature.GaussNewton,
    "fisher": curvature.Fisher,
    "empirical-fisher": curvature.EmpiricalFisher,
    "kfac": lambda o, t: curvature.KFAC(o, t, labels="exact"),
    "ekfac": lambda o, t: curvature.EKFAC(o, t, labels="exact"),
}


def both(model=MLP(hidden=(4,)), data=TwoMoons(size=40)):  # noqa: B008
    """The same objective here and there."""
    return [assemble(data, model, SoftmaxCrossEntropy(), device=device) for device in ("cpu", DEVICE)]


@pytest.mark.parametrize("name", MATRICES)
def test_matrices_agree(name):
    here, there = (MATRICES[name](o, o.initial_parameters) for o in both())
    assert there.dense().device.type == DEVICE
    torch.testing.assert_close(there.dense().cpu(), here.dense(), rtol=1e-8, atol=1e-12)
    v = torch.randn(len(here.dense()), 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close((there @ v.to(DEVICE)).cpu(), here @ v, rtol=1e-8, atol=1e-12)
    torch.testing.assert_close(there.eigenvalues().cpu(), here.eigenvalues(), rtol=1e-8, atol=1e-10)
    torch.testing.assert_close(there.top_eigenpairs(3).values, here.top_eigenpairs(3).values, rtol=1e-5, atol=1e-8)
    assert there.spectral_density(2, 5).nodes.shape == (2, 5)


@pytest.mark.parametrize("model", [Convolutional(), Recurrent(), Transformer()], ids=lambda m: type(m).__name__)
def test_other_networks_agree(model):
    here, there = both(model, Digits())
    v = torch.randn(here.parameters, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for kind in (curvature.Hessian, curvature.GaussNewton):
        mine, theirs = kind(there, there.initial_parameters) @ v.to(DEVICE), kind(here, here.initial_parameters) @ v
        torch.testing.assert_close(mine.cpu(), theirs, rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("recipe", RECIPES)
def test_steps_agree(recipe):
    """Labels are drawn by the device's own generator, so methods that sample them differ."""
    losses = [ngx.run(o, make(recipe), steps=3)["loss"] for o in both()]
    sampled = recipe in ("natural-gradient-sampled", "kfac", "ekfac")
    assert losses[1] == pytest.approx(losses[0], rel=1 if sampled else 1e-6)


def test_the_device_is_offered():
    assert DEVICE in devices()
