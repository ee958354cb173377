"""Floating-point operations are counted as torch counts them, without waiting for its compiler."""

import subprocess
import sys

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from ngexplorer.objectives.flops import FlopCount


@pytest.mark.parametrize(
    "work",
    [
        lambda: torch.randn(3, 4) @ torch.randn(4, 5),
        lambda: torch.nn.Linear(4, 7)(torch.randn(6, 4)).sum().backward(),
        lambda: torch.nn.Conv2d(1, 3, 3, padding=1)(torch.randn(2, 1, 8, 8)),
        lambda: torch.nn.functional.scaled_dot_product_attention(*torch.randn(3, 1, 2, 5, 4)),
        lambda: torch.randn(5).tanh(),
    ],
)
def test_it_counts_what_torch_s_own_counter_does(work):
    with FlopCounterMode(display=False) as expected:
        work()
    with FlopCount() as counted:
        work()
    assert counted.total == expected.get_total_flops()


def test_a_product_is_two_operations_a_pair():
    with FlopCount() as counted:
        torch.randn(3, 4) @ torch.randn(4, 5)
    assert counted.total == 2 * 3 * 4 * 5


def test_a_first_race_does_not_import_torch_s_compiler():
    """It takes a second or two, in which nothing could be seen."""
    program = """
import sys
from ngexplorer import resource_files
from ngexplorer.runs import experiment

race = experiment.read(resource_files.EXPERIMENTS / "two-moons.toml").race()
race.begin()
race.advance()
print("torch._dynamo" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=100, check=True)
    assert done.stdout == "False\n"
