//! WIT values as JSON: records by their names, variants as `{"case": value}` or
//! `"case"`, bytes as `{"utf8": …}` or `{"base64": …}`.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value as Json, json};
use wasmtime::component::{ResourceAny, Type, Val};
use wasmtime::error::Context;
use wasmtime::{Result, bail};

/// The arguments of a function. Handles are not in the JSON.
pub fn to_params<'a>(
    types: impl Iterator<Item = (&'a str, Type)>,
    args: &[Json],
    database: ResourceAny,
) -> Result<Vec<Val>> {
    let mut args = args.iter();
    let params = types
        .map(|(name, ty)| match ty {
            Type::Borrow(_) => Ok(Val::Resource(database)),
            ty => to_val(&ty, args.next().context("an argument is missing")?)
                .with_context(|| format!("the argument {name}")),
        })
        .collect();
    if args.next().is_some() {
        bail!("there are too many arguments");
    }
    params
}

fn to_val(ty: &Type, json: &Json) -> Result<Val> {
    let number = || {
        json.as_u64()
            .with_context(|| format!("{json} is no number"))
    };
    Ok(match ty {
        Type::Bool => Val::Bool(json.as_bool().context("a boolean")?),
        Type::U32 => Val::U32(number()?.try_into()?),
        Type::U64 => Val::U64(number()?),
        Type::S64 => Val::S64(json.as_i64().context("an integer")?),
        Type::String => Val::String(text(json)?),
        Type::Enum(_) => Val::Enum(text(json)?),
        Type::List(list) if list.ty() == Type::U8 => {
            Val::List(bytes(json)?.into_iter().map(Val::U8).collect())
        }
        Type::List(list) => {
            let items = json.as_array().context("a list")?;
            let items = items.iter().map(|item| to_val(&list.ty(), item));
            Val::List(items.collect::<Result<_>>()?)
        }
        Type::Option(_) if json.is_null() => Val::Option(None),
        Type::Option(option) => Val::Option(Some(Box::new(to_val(&option.ty(), json)?))),
        Type::Record(record) => {
            let fields = record.fields().map(|field| {
                let value = json.get(field.name);
                let value = value.with_context(|| format!("the field {}", field.name))?;
                let value = to_val(&field.ty, value).context(field.name.to_owned())?;
                Ok((field.name.to_owned(), value))
            });
            Val::Record(fields.collect::<Result<_>>()?)
        }
        Type::Variant(variant) => {
            let (name, payload) = match json.as_object().and_then(|object| object.iter().next()) {
                Some((name, payload)) => (name.clone(), Some(payload)),
                None => (text(json)?, None),
            };
            let case = variant.cases().find(|case| case.name == name);
            let case = case.with_context(|| format!("there is no case {name}"))?;
            let payload = match (case.ty, payload) {
                (Some(ty), Some(payload)) => Some(Box::new(to_val(&ty, payload)?)),
                (None, None) => None,
                _ => bail!("the payload of {name}"),
            };
            Val::Variant(name, payload)
        }
        ty => bail!("{ty:?} is not in the interface"),
    })
}

/// A value as JSON.
pub fn from_val(ty: &Type, val: &Val) -> Result<Json> {
    let payload = |ty: Option<Type>, value: &Option<Box<Val>>| match (ty, value) {
        (Some(ty), Some(value)) => from_val(&ty, value),
        _ => Ok(Json::Null),
    };
    Ok(match (ty, val) {
        (_, Val::Bool(value)) => json!(value),
        (_, Val::S32(value)) => json!(value),
        (_, Val::U32(value)) => json!(value),
        (_, Val::U64(value)) => json!(value),
        (_, Val::S64(value)) => json!(value),
        (_, Val::String(value) | Val::Enum(value)) => json!(value),
        (Type::List(list), Val::List(items)) if list.ty() == Type::U8 => {
            let bytes = items.iter().map(|item| match item {
                Val::U8(byte) => Ok(*byte),
                other => bail!("{other:?} is no byte"),
            });
            from_bytes(bytes.collect::<Result<_>>()?)
        }
        (Type::List(list), Val::List(items)) => {
            let items = items.iter().map(|item| from_val(&list.ty(), item));
            Json::Array(items.collect::<Result<_>>()?)
        }
        (Type::Tuple(tuple), Val::Tuple(items)) => {
            let items = tuple.types().zip(items);
            let items = items.map(|(ty, item)| from_val(&ty, item));
            Json::Array(items.collect::<Result<_>>()?)
        }
        (Type::Option(option), Val::Option(value)) => payload(Some(option.ty()), value)?,
        (Type::Record(record), Val::Record(fields)) => {
            let fields = record.fields().zip(fields);
            let fields = fields
                .map(|(field, (name, value))| Ok((name.clone(), from_val(&field.ty, value)?)));
            Json::Object(fields.collect::<Result<_>>()?)
        }
        (_, Val::Variant(name, None)) => json!(name),
        (Type::Variant(variant), Val::Variant(name, value)) => {
            let case = variant.cases().find(|case| case.name == name);
            json!({ name: payload(case.and_then(|case| case.ty), value)? })
        }
        (Type::Result(result), Val::Result(Ok(value))) => {
            json!({ "ok": payload(result.ok(), value)? })
        }
        (Type::Result(result), Val::Result(Err(value))) => {
            json!({ "err": payload(result.err(), value)? })
        }
        (_, val) => bail!("{val:?} is not in the interface"),
    })
}

/// The byte strings of a record `byte-strings`.
pub fn split(strings: &Json) -> Result<Vec<Json>> {
    let block = bytes(strings.get("bytes").context("the bytes")?)?;
    let ends = strings.get("ends").and_then(Json::as_array);
    let mut start = 0;
    let mut split = Vec::new();
    for end in ends.context("the ends")? {
        let end = usize::try_from(end.as_u64().context("an end")?)?;
        let bytes = block.get(start..end).context("ends in order")?;
        split.push(from_bytes(bytes.to_vec()));
        start = end;
    }
    Ok(split)
}

fn from_bytes(bytes: Vec<u8>) -> Json {
    match String::from_utf8(bytes) {
        Ok(text) => json!({ "utf8": text }),
        Err(error) => json!({ "base64": BASE64_STANDARD.encode(error.as_bytes()) }),
    }
}

fn bytes(json: &Json) -> Result<Vec<u8>> {
    if let Some(text) = json.get("utf8") {
        return Ok(text.as_str().context("a text")?.as_bytes().to_vec());
    }
    let text = json.get("base64").and_then(Json::as_str);
    Ok(BASE64_STANDARD.decode(text.context("bytes")?)?)
}

fn text(json: &Json) -> Result<String> {
    let text = json.as_str();
    Ok(text
        .with_context(|| format!("{json} is no text"))?
        .to_owned())
}
