//! The types of the parameters of all exports, as JSON, for languages whose bindings
//! cannot be asked.

use serde_json::{Map, Value as Json, json};
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Type};
use wasmtime::{Result, bail};

use crate::database::Runtime;

/// The list of types of each function, by its name; the database is left out.
pub fn types(runtime: &Runtime) -> Result<Json> {
    let mut functions = Map::new();
    let engine = runtime.engine();
    let types = runtime.components().map(Component::component_type);
    for (interface, item) in types.iter().flat_map(|ty| ty.exports(engine)) {
        let ComponentItem::ComponentInstance(instance) = item.ty else {
            continue;
        };
        let short = interface.trim_start_matches("lash:store/");
        let short = short.split('@').next().unwrap_or(short);
        for (name, item) in instance.exports(engine) {
            if let ComponentItem::ComponentFunc(function) = item.ty {
                let params = function.params().map(|(_, ty)| ty);
                let params = params.filter(|ty| !matches!(ty, Type::Borrow(_)));
                let params = params.map(|ty| describe(&ty)).collect::<Result<_>>()?;
                functions.insert(format!("{short}.{name}"), Json::Array(params));
            }
        }
    }
    Ok(Json::Object(functions))
}

fn describe(ty: &Type) -> Result<Json> {
    Ok(match ty {
        Type::Bool => json!("bool"),
        Type::U32 => json!("u32"),
        Type::U64 => json!("u64"),
        Type::S64 => json!("s64"),
        Type::String => json!("string"),
        Type::Enum(_) => json!("enum"),
        Type::List(list) if list.ty() == Type::U8 => json!("bytes"),
        Type::List(list) => json!({ "list": describe(&list.ty())? }),
        Type::Option(option) => json!({ "option": describe(&option.ty())? }),
        Type::Record(record) => {
            let fields = record.fields();
            let fields = fields.map(|field| Ok((field.name.to_owned(), describe(&field.ty)?)));
            json!({ "record": fields.collect::<Result<Map<_, _>>>()? })
        }
        Type::Variant(variant) => {
            let cases = variant.cases().map(|case| {
                let payload = case.ty.as_ref().map_or(Ok(Json::Null), describe);
                Ok((case.name.to_owned(), payload?))
            });
            json!({ "variant": cases.collect::<Result<Map<_, _>>>()? })
        }
        ty => bail!("{ty:?} is not in a parameter"),
    })
}
