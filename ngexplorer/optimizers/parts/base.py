"""What a part of an optimizer is: a typed record of its settings."""

from __future__ import annotations

from typing import ClassVar

import msgspec


class Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="name"):
    """A part by its settings."""

    title: ClassVar[str]
