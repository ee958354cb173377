"""Where the shipped files are: beside the package in a checkout, inside it in an installed wheel."""

from __future__ import annotations

from pathlib import Path

_INSIDE = Path(__file__).parent / "resources"
_BESIDE = Path(__file__).parent.parent / "resources"

ROOT = _INSIDE if _INSIDE.is_dir() else _BESIDE
EXPERIMENTS = ROOT / "experiments"
FONTS = ROOT / "fonts"
ICONS = ROOT / "icons"
THEMES = ROOT / "themes"


def experiment_names() -> list[str]:
    """The names of the shipped experiments, sorted."""
    return sorted(path.stem for path in EXPERIMENTS.glob("*.toml"))
