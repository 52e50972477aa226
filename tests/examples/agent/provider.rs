//! A provider that answers from a script: the one part that is not real, because
//! a real one needs a network and an account.
//!
//! The script is a function of the conversation that lash sends, so its answers
//! tell what of the session is there. A call of a tool is named after the process
//! of the operating system that asked for it: where the name turns up later, it
//! tells which process was answered.

use std::sync::Arc;

use async_trait::async_trait;
use lash::direct::{LlmOutputPart, LlmResponse, LlmTerminalReason, LlmUsage};
use lash::provider::{
    Provider, ProviderComponents, ProviderHandle, ProviderOptions, StaticModelPolicy,
};
use lash_core::llm::transport::LlmTransportError;
use lash_core::llm::types::{LlmContentBlock, LlmMessage, LlmRequest, LlmRole};
use serde_json::{Value, json};

use crate::ledger::Ledger;

/// The scripted provider, ready for a core.
pub(crate) fn scripted(ledger: Ledger) -> ProviderHandle {
    let script = Script {
        ledger,
        options: ProviderOptions::default(),
    };
    let policy = Arc::new(StaticModelPolicy::new());
    ProviderHandle::new(ProviderComponents::new(Box::new(script), policy))
}

/// The name of a process of the operating system in the names of tool calls.
pub(crate) fn signature(process: u32) -> String {
    format!("for-process-{process}")
}

#[derive(Clone, Debug)]
struct Script {
    ledger: Ledger,
    options: ProviderOptions,
}

#[async_trait]
impl Provider for Script {
    fn kind(&self) -> &'static str {
        "script"
    }

    fn options(&self) -> ProviderOptions {
        self.options.clone()
    }

    fn set_options(&mut self, options: ProviderOptions) {
        self.options = options;
    }

    fn serialize_config(&self) -> Value {
        json!({})
    }

    async fn complete(&mut self, request: LlmRequest) -> Result<LlmResponse, LlmTransportError> {
        let conversation = Conversation::of(&request.messages);
        self.ledger
            .called(conversation.asked)
            .await
            .map_err(|error| LlmTransportError::new(format!("{error:#}")))?;
        Ok(conversation.answer())
    }

    fn clone_boxed(&self) -> Box<dyn Provider> {
        Box::new(self.clone())
    }
}

/// What the script looks at.
#[derive(Default)]
struct Conversation<'a> {
    /// The first thing that was asked in the session.
    first: Option<&'a str>,
    /// The last thing that was asked.
    asked: &'a str,
    /// What the tools have answered since.
    results: Vec<&'a str>,
    /// How many tools were called in the session.
    calls: usize,
}

impl<'a> Conversation<'a> {
    fn of(messages: &'a [LlmMessage]) -> Self {
        let mut conversation = Self::default();
        for message in messages {
            for block in message.blocks.iter() {
                match block {
                    LlmContentBlock::Text { text, .. } if message.role == LlmRole::User => {
                        conversation.first.get_or_insert(text);
                        conversation.asked = text;
                        conversation.results.clear();
                    }
                    LlmContentBlock::ToolCall { .. } => conversation.calls += 1,
                    LlmContentBlock::ToolResult { content, .. } => {
                        conversation.results.push(content);
                    }
                    _ => {}
                }
            }
        }
        conversation
    }

    /// The script.
    fn answer(&self) -> LlmResponse {
        if let Some(notes) = self.asked.strip_prefix("Note: ") {
            // One note after the other, each with a call of its own.
            match notes.split("; ").nth(self.results.len()) {
                Some(note) => self.call("add_note", &json!({ "text": note })),
                None => say(format!("I took {} notes.", self.results.len())),
            }
        } else if self.asked.starts_with("How long") {
            match self.results.last() {
                None => self.call("word_count", &json!({})),
                Some(count) => say(format!("Your notes have {count} words.")),
            }
        } else if let Some((_, wake)) = self.asked.split_once("Wake input:\n") {
            say(format!("A process tells me {wake}."))
        } else {
            let first = self.first.unwrap_or_default();
            say(format!("You began with {first:?}."))
        }
    }

    fn call(&self, tool: &str, input: &Value) -> LlmResponse {
        let number = self.calls + 1;
        let part = LlmOutputPart::ToolCall {
            call_id: format!("call-{number}-{}", signature(std::process::id())),
            tool_name: tool.to_owned(),
            input_json: input.to_string(),
            replay: None,
        };
        respond(String::new(), part, LlmTerminalReason::ToolUse)
    }
}

fn say(text: String) -> LlmResponse {
    let part = LlmOutputPart::Text {
        text: text.clone(),
        response_meta: None,
    };
    respond(text, part, LlmTerminalReason::Stop)
}

fn respond(text: String, part: LlmOutputPart, reason: LlmTerminalReason) -> LlmResponse {
    LlmResponse {
        full_text: text,
        parts: vec![part],
        usage: LlmUsage {
            input_tokens: 100,
            output_tokens: 10,
            ..LlmUsage::default()
        },
        terminal_reason: reason,
        ..LlmResponse::default()
    }
}
