"""Plain values become typed records, or an error with a path that says what would be right."""

from typing import Annotated, Literal

import msgspec
import pytest
from msgspec import Meta

from ngexplorer.settings import SettingError, convert, members, tags, unknown_name


class Apple(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="name", tag="apple"):
    weight: Annotated[float, Meta(gt=0, le=0.05)] = 0.01
    kind: Literal["red", "green"] = "red"


class Pear(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="name", tag="pear"):
    pips: Annotated[int, Meta(ge=0, lt=10)] = 5


class Basket(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    fruit: Apple | Pear
    others: tuple[Apple | Pear, ...] = ()
    open: bool = True
    note: str | None = None

    def __post_init__(self):
        if not self.open and self.others:
            raise ValueError("others: a closed basket has none")


APPLE = {"name": "apple"}


def test_right_values_become_records():
    raw = {"fruit": {"name": "pear", "pips": 3}, "others": [APPLE, {"name": "apple", "weight": 0.05}]}
    assert convert(raw, Basket) == Basket(fruit=Pear(pips=3), others=(Apple(), Apple(weight=0.05)))


@pytest.mark.parametrize(
    ("raw", "path", "reason"),
    [
        (
            {"fruit": {"name": "aple"}},
            "fruit.name",
            "there is no fruit named 'aple'; did you mean 'apple'? (there are: ",
        ),
        ({"fruit": {"name": "fig"}}, "fruit.name", "there is no fruit named 'fig' (there are: apple, pear)"),
        ({"fruit": {}}, "fruit", "'name' is missing"),
        ({}, "", "'fruit' is missing"),
        ({"fruit": 3}, "fruit", "3 is not accepted; a table of settings is needed"),
        (
            {"fruit": APPLE, "opn": True},
            "",
            "there is no setting named 'opn' here (there are: fruit, others, open, note)",
        ),
        ({"fruit": APPLE | {"pips": 3}}, "fruit", "there is no setting named 'pips' here (there are: weight, kind)"),
        ({"fruit": APPLE | {"weight": 0}}, "fruit.weight", "0 is not accepted; a number > 0 is needed"),
        ({"fruit": APPLE | {"weight": 1.0}}, "fruit.weight", "1.0 is not accepted; a number ≤ 0.05 is needed"),
        ({"fruit": APPLE | {"weight": "1"}}, "fruit.weight", "'1' is not accepted; a number is needed"),
        (
            {"fruit": APPLE | {"kind": "rad"}},
            "fruit.kind",
            "there is no kind named 'rad'; did you mean 'red'? (there are: ",
        ),
        ({"fruit": {"name": "pear", "pips": 10}}, "fruit.pips", "10 is not accepted; a whole number ≤ 9 is needed"),
        ({"fruit": {"name": "pear", "pips": 1.5}}, "fruit.pips", "1.5 is not accepted; a whole number is needed"),
        ({"fruit": APPLE, "open": "yes"}, "open", "'yes' is not accepted; true or false is needed"),
        ({"fruit": APPLE, "note": 3}, "note", "3 is not accepted; text or nothing is needed"),
        ({"fruit": APPLE, "others": {}}, "others", "{} is not accepted; a list is needed"),
        ({"fruit": APPLE, "others": "a" * 500}, "others", "'" + "a" * 58 + "… is not accepted; a list is needed"),
        ({"fruit": APPLE, "others": [APPLE], "open": False}, "", "others: a closed basket has none"),
        (
            {"fruit": APPLE, "others": [APPLE, APPLE | {"weight": -1.0}]},
            "others[1].weight",
            "-1.0 is not accepted; a number",
        ),
        (3, "", "3 is not accepted; a table of settings is needed"),
    ],
)
def test_wrong_values_are_named_by_path_with_what_would_be_right(raw, path, reason):
    with pytest.raises(SettingError) as caught:
        convert(raw, Basket)
    assert caught.value.path == path
    assert caught.value.reason.startswith(reason)
    assert str(caught.value) == (f"{path}: {caught.value.reason}" if path else caught.value.reason)


def test_where_precedes_the_path():
    for raw, path in [({"fruit": APPLE | {"weight": 0}}, "here[2].fruit.weight"), ({}, "here[2]")]:
        with pytest.raises(SettingError) as caught:
            convert(raw, Basket, "here[2]")
        assert caught.value.path == path


def test_an_error_is_a_value_error_and_one_line_whatever_came():
    with pytest.raises(ValueError, match=r"fruit\.name") as caught:
        convert({"fruit": {"name": "a\nb"}}, Basket)
    assert "\n" not in str(caught.value)


def test_a_name_near_none_has_no_hint():
    assert unknown_name("fruit", "zzz", ["apple", "pear"]) == "there is no fruit named 'zzz' (there are: apple, pear)"


def test_a_union_has_members_with_names():
    assert tags(Apple | Pear) == ["apple", "pear"]
    assert members(Apple | Pear) == [Apple, Pear]
    assert members(Apple) == [Apple]
    assert tags(Basket) == tags(int) == []
