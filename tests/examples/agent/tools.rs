//! The tools of the agent. They keep the notes of the user in a real file.

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use async_trait::async_trait;
use lash::tools::{
    StaticToolExecute, StaticToolProvider, ToolCall, ToolDefinition, ToolProvider, ToolResult,
};
use serde_json::{Value, json};

use crate::ledger::Ledger;

/// The names of the tools, as Lashlang programs call them too.
pub(crate) const NAMES: [&str; 2] = ["add_note", "word_count"];

/// The tools, ready for a core.
pub(crate) fn notes(ledger: Ledger) -> Arc<dyn ToolProvider> {
    let text = json!({
        "type": "object",
        "properties": { "text": { "type": "string" } },
        "additionalProperties": false,
    });
    let [add_note, word_count] = NAMES;
    let definitions = vec![
        ToolDefinition::raw_named(
            add_note,
            "Adds a line to the notes of the user.",
            text.clone(),
            json!({ "type": "string" }),
        ),
        ToolDefinition::raw_named(
            word_count,
            "Counts the words of a text, or of all notes if there is none.",
            text,
            json!({ "type": "integer" }),
        ),
    ];
    Arc::new(StaticToolProvider::new(definitions, Notes { ledger }))
}

struct Notes {
    ledger: Ledger,
}

#[async_trait]
impl StaticToolExecute for Notes {
    async fn execute(&self, call: ToolCall<'_>) -> ToolResult {
        match self.answer(call.name, call.args).await {
            Ok(value) => ToolResult::ok(value),
            Err(error) => ToolResult::err_fmt(format!("{error:#}")),
        }
    }
}

impl Notes {
    async fn answer(&self, name: &str, input: &Value) -> Result<Value> {
        let text = input.get("text").and_then(Value::as_str);
        match name {
            "add_note" => {
                let text = text.context("a note needs a text")?;
                self.ledger.noted(text).await?;
                Ok(json!(format!("added: {text}")))
            }
            "word_count" => {
                let notes = match text {
                    Some(text) => text.to_owned(),
                    None => self.ledger.notes()?.join(" "),
                };
                Ok(json!(notes.split_whitespace().count()))
            }
            other => bail!("there is no tool {other}"),
        }
    }
}
