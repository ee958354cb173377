"""Formulas: what of a line belongs together, and what is wrong in one."""

import pytest

from ngexplorer.tour import formula, page
from ngexplorer.tour.formula import Accent, Fence, Fraction, Matrix, Root, Row, Scripts, Symbol, parse


def written(node):
    """A tree in brackets: {base^above_below}, {above/below}, √{inside}."""
    match node:
        case Symbol(" ", _, "gap"):
            return "·"
        case Symbol(text):
            return text
        case Row(items):
            return "".join(map(written, items))
        case Scripts(base, above, below):
            marks = [f"{sign}{written(row)}" for sign, row in (("^", above), ("_", below)) if row is not None]
            return "{" + written(base) + "".join(marks) + "}"
        case Fraction(above, below):
            return "{" + written(above) + "/" + written(below) + "}"
        case Root(inside):
            return "√{" + written(inside) + "}"
        case Fence(left, inside, right):
            return left + written(inside) + right
        case Accent(base, mark):
            return written(base) + mark
        case Matrix(rows):
            return "[" + ";".join(",".join(map(written, row)) for row in rows) + "]"


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("δᵀFδ", "{δ^T}Fδ"),
        ("F_R⁺∇L", "{F^+_R}∇L"),
        ("H⁻¹", "{H^−1}"),
        ("αₖ λ₀", "{α_k}·{λ_0}"),
        ("θ₊ = θ − α", "{θ_+}=θ−α"),
        ("v^(−ξ)", "{v^−ξ}"),
        ("c^(1 − 2ξ)", "{c^1−2ξ}"),
        ("E[ ā ]", "E[a¯]"),
        ("‖F̂ − F‖", "‖Fˆ−F‖"),
        ("λ_min", "{λ_min}"),
        ("√(2x)y", "√{2x}y"),
        ("15.27", "15.27"),
        ("1/(2(2 − α))", "1/(2(2−α))"),
        ("tr(H)", "tr(H)"),
    ],
)
def test_a_formula_in_a_text(text, tree):
    assert written(parse(text)) == tree


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("k/(2(k + a)²) tr(H)", "{k/2{(k+a)^2}}·tr(H)"),
        ("∂L/∂z_j ∇²f_j", "{∂L/∂{z_j}}·{∇^2}{f_j}"),
        ("(α/2)^(1/(2ξ))", "{({α/2})^{1/2ξ}}"),
        ("1 − 1/b", "1−{1/b}"),
        ("−ε √2 F/√(x y)", "−ε·√{2}·{F/√{x·y}}"),
        ("[[0, −c], [−c, 0]]", "[0,−c;−c,0]"),
        ("∑_j x_j", "{∑_j}·{x_j}"),
    ],
)
def test_a_formula_on_a_line_of_its_own(text, tree):
    assert written(parse(text, display=True)) == tree


def test_letters_are_variables_and_words_are_not():
    row = parse('tr x "input" E α 2')
    assert [(item.text, item.italic) for item in row.items if item.spacing != "gap"] == [
        ("tr", False),
        ("x", True),
        ("input", False),
        ("E", False),
        ("α", True),
        ("2", False),
    ]


@pytest.mark.parametrize(
    ("text", "spacings"),
    [
        ("a − b", ["ordinary", "binary", "ordinary"]),
        ("−b", ["ordinary", "ordinary"]),
        ("a = −b", ["ordinary", "relation", "ordinary", "ordinary"]),
        ("p(y | x)", ["ordinary"]),
    ],
)
def test_a_minus_between_two_is_an_operator_and_before_one_a_sign(text, spacings):
    assert [item.spacing for item in parse(text).items if isinstance(item, Symbol)] == spacings


def test_a_bar_with_room_around_it_stands_apart():
    (fence,) = [item for item in parse("p(y | x)").items if isinstance(item, Fence)]
    assert [item.spacing for item in fence.inside.items] == ["ordinary", "relation", "ordinary"]


@pytest.mark.parametrize("text", ["(a", "a)", "[a)", '"word', "√(a"])
def test_what_is_left_open_is_said(text):
    with pytest.raises(ValueError, match="formula: "):
        parse(text)


def test_a_page_for_a_terminal_has_formulas_as_they_are_written():
    text = 'Where $a/b$ is "so":\n\n$$\nM = ½ δᵀBδ\nc = "words"\n$$\n\nend'
    assert page.plain(text) == 'Where a/b is "so":\n\n    M = ½ δᵀBδ\n    c = words\n\nend'
    assert formula.plain(' tanh("input") ') == "tanh(input)"
