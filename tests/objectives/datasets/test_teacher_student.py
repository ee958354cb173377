"""A teacher's answers can be learnt exactly by a network of its shape, and carry noise where asked."""

import numpy as np
import pytest
import torch

from ngexplorer.objectives.datasets import TeacherStudent


def test_answers_are_a_function_of_the_inputs_and_noise_comes_on_top():
    clean, noisy = (TeacherStudent(size=4000, noise=noise, outputs=2).load() for noise in (0.0, 0.3))
    assert torch.equal(clean.inputs, noisy.inputs)
    assert (noisy.targets - clean.targets).std() == pytest.approx(0.3, rel=0.05)


def test_a_student_of_the_teachers_shape_reaches_zero():
    from scipy.optimize import least_squares

    data = TeacherStudent(size=200, features=2, hidden=1, validation=0.0).load()
    x, y = data.inputs.numpy(), data.targets.numpy()[:, 0]

    def residuals(student):
        return student[3] * np.tanh(x @ student[:2] + student[2]) - y

    assert least_squares(residuals, np.ones(4), xtol=1e-15, ftol=1e-15, gtol=1e-15).cost < 1e-20


def test_answers_are_not_linear_in_the_inputs():
    data = TeacherStudent(size=2000, validation=0.0).load()
    with_ones = torch.cat((data.inputs, torch.ones(2000, 1).double()), 1)
    fitted = with_ones @ torch.linalg.lstsq(with_ones, data.targets).solution
    left = (fitted - data.targets).var() / data.targets.var()
    assert 0.01 < left < 0.5
