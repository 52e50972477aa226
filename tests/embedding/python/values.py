"""WIT values as JSON: records by their names, variants as `{"case": value}` or
`"case"`, bytes as `{"utf8": …}` or `{"base64": …}`."""

import base64
from typing import Any

from wasmtime.component import (
    BorrowType,
    EnumType,
    ListType,
    OptionType,
    Record,
    RecordType,
    ResourceAny,
    ResultType,
    TupleType,
    U8,
    ValType,
    Variant,
    VariantType,
)

Cases = list[tuple[str, ValType | None]]


def to_params(
    types: list[tuple[str, ValType]], args: tuple[Any, ...], database: ResourceAny
) -> list[Any]:
    """The arguments of a function. Handles are not in the JSON."""
    rest = iter(args)
    params = [
        database if isinstance(ty, BorrowType) else to_value(ty, next(rest))
        for _, ty in types
    ]
    if any(True for _ in rest):
        raise ValueError("there are too many arguments")
    return params


def to_value(ty: ValType, json: Any) -> Any:
    match ty:
        case ListType() if isinstance(ty.element, U8):
            return to_bytes(json)
        case ListType():
            return [to_value(ty.element, item) for item in json]
        case OptionType():
            return None if json is None else to_value(ty.payload, json)
        case RecordType():
            record = Record()
            for name, field in ty.fields:
                setattr(record, name, to_value(field, json[name]))
            return record
        case VariantType():
            name, payload = (
                next(iter(json.items())) if type(json) is dict else (json, None)
            )
            case_type = dict(ty.cases)[name]
            value = None if case_type is None else to_value(case_type, payload)
            return Variant(name, value) if is_tagged(ty.cases) else value
        case _:
            return json


def from_value(ty: ValType | None, value: Any) -> Any:
    """A value as JSON."""
    match ty:
        case None:
            return None
        case ListType() if isinstance(ty.element, U8):
            return from_bytes(value)
        case ListType():
            return [from_value(ty.element, item) for item in value]
        case TupleType():
            return [from_value(item, v) for item, v in zip(ty.elements, value)]
        case OptionType():
            return None if value is None else from_value(ty.payload, value)
        case RecordType():
            return {name: from_value(f, getattr(value, name)) for name, f in ty.fields}
        case VariantType():
            name, payload, case_type = taken(ty.cases, value)
            if case_type is None:
                return name
            return {name: from_value(case_type, payload)}
        case ResultType():
            name, payload, case_type = taken([("ok", ty.ok), ("err", ty.err)], value)
            return {name: from_value(case_type, payload)}
        case _:
            return value


def to_bytes(json: Any) -> bytes:
    return json["utf8"].encode() if "utf8" in json else base64.b64decode(json["base64"])


def split(strings: Any) -> list[bytes]:
    """The byte strings of a record `byte-strings`."""
    block = to_bytes(strings["bytes"])
    starts = [0, *strings["ends"]]
    return [block[start:end] for start, end in zip(starts, strings["ends"])]


def from_bytes(value: bytes) -> Any:
    try:
        return {"utf8": value.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}


# The binding passes a variant as its payload alone, where the classes of the
# payloads tell the cases apart, and as a `Variant` where they do not.


def classes(ty: ValType | None) -> set[type]:
    found: set[type] = set()
    if ty is None:
        found.add(object)
    else:
        ty.add_classes(found)
    return found


def is_tagged(cases: Cases) -> bool:
    seen: set[type] = set()
    for _, ty in cases:
        if seen & classes(ty):
            return True
        seen |= classes(ty)
    return False


def taken(cases: Cases, value: Any) -> tuple[str, Any, ValType | None]:
    if is_tagged(cases):
        return value.tag, value.payload, dict(cases)[value.tag]
    for name, ty in cases:
        found = classes(ty)
        # `object` stands for nothing.
        if isinstance(value, tuple(found - {object})) or (
            value is None and object in found
        ):
            return name, value, ty
    raise ValueError(f"{value!r} is none of the cases")
