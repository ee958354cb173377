"""What the tests of the analyses share: small problems that are looked at from many sides."""

import pytest
from torch import nn

from ngexplorer.objectives.assembly import assemble
from ngexplorer.objectives.datasets import Digits, TwoMoons
from ngexplorer.objectives.landscapes import Himmelblau, Rosenbrock, Saddle
from ngexplorer.objectives.losses import BernoulliLogits, SoftmaxCrossEntropy, SquaredError
from ngexplorer.objectives.models import MLP, LandscapeModel


def last(answers):
    """The last of the answers, the finest."""
    return list(answers)[-1]


@pytest.fixture(scope="session")
def finest():
    return last


@pytest.fixture(scope="session")
def moons():
    """An MLP of two layers on two moons, with weight decay; its Hessian at the start is indefinite."""
    return assemble(TwoMoons(size=40), MLP(hidden=(4,)), BernoulliLogits(), weight_decay=1e-3, seed=0)


@pytest.fixture(scope="session")
def digits():
    """The digits classifier of the experiment."""
    return assemble(Digits(), MLP(hidden=(16,)), SoftmaxCrossEntropy())


@pytest.fixture(scope="session")
def valley():
    return assemble(Rosenbrock(), LandscapeModel(), SquaredError())


@pytest.fixture(scope="session")
def hills():
    return assemble(Himmelblau(), LandscapeModel(), SquaredError())


@pytest.fixture(scope="session")
def saddle():
    return assemble(Saddle(), LandscapeModel(), Saddle.loss)


@pytest.fixture(scope="session")
def classifier(mlp, objective_of):
    """Three classes by a network of two layers, P = 29, F = G, the Hessian indefinite."""
    return objective_of(mlp(3, 4, 3), SoftmaxCrossEntropy(), cases=12, weight_decay=0.01)


@pytest.fixture(scope="session")
def unseen(mlp, objective_of, wrapped):
    """The same as a module that no one can look into."""
    return objective_of(wrapped(mlp(3, 4, 3)), SoftmaxCrossEntropy(), cases=12, weight_decay=0.01)


@pytest.fixture(scope="session")
def recurrent(objective_of):
    """A recurrent network, for which torch has no batched form of the loss at several θ."""

    class Recurrent(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.GRU(1, 2, batch_first=True).double()
            self.outer = nn.Linear(2, 1).double()

        def forward(self, x):
            return self.outer(self.inner(x[:, :, None])[0][:, -1])

    return objective_of(Recurrent(), SquaredError(), cases=5, inputs=3)
