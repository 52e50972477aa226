//! Reading a transcript: one JSON object a line, with `role` and `content`.

use std::path::Path;

use lash_core::MessageRole;
use serde::Deserialize;

use crate::Failure;

/// The transcript that comes with the example.
const OWN: &str = include_str!("../transcript.jsonl");

/// One line.
#[derive(Clone)]
pub(crate) struct Said {
    /// Who said it. What a tool returned is an event to lash.
    pub(crate) role: MessageRole,
    /// What was said.
    pub(crate) content: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    role: String,
    content: String,
}

/// A turn: what the user said, and all that follows until the user speaks again.
pub(crate) type Turn = Vec<Said>;

/// Reads the turns of a file, or of the transcript that comes with the example.
pub(crate) fn read(path: Option<&Path>) -> Result<(String, Vec<Turn>), Failure> {
    match path {
        None => {
            let name = "the example's own transcript";
            Ok((name.to_owned(), parse(Path::new("transcript.jsonl"), OWN)?))
        }
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .map_err(|error| Failure::Input(format!("{}: {error}", path.display())))?;
            Ok((path.display().to_string(), parse(path, &text)?))
        }
    }
}

fn parse(path: &Path, text: &str) -> Result<Vec<Turn>, Failure> {
    let mut turns: Vec<Turn> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let said = said(line).map_err(|reason| {
            Failure::Input(format!("{}:{}: {reason}", path.display(), index + 1))
        })?;
        match turns.last_mut() {
            Some(turn) if said.role != MessageRole::User => turn.push(said),
            _ => turns.push(vec![said]),
        }
    }
    if turns.is_empty() {
        let path = path.display();
        return Err(Failure::Input(format!("{path}: the transcript is empty")));
    }
    Ok(turns)
}

fn said(line: &str) -> Result<Said, String> {
    let line: Line = serde_json::from_str(line).map_err(|error| {
        // The line is in the message already, and to the parser it is always 1.
        let error = error.to_string();
        let reason = error.split(" at line ").next().unwrap_or_default();
        format!("expected an object with the strings \"role\" and \"content\", but {reason}")
    })?;
    let role = match line.role.as_str() {
        "user" => MessageRole::User,
        "assistant" => MessageRole::Assistant,
        "system" => MessageRole::System,
        "tool" => MessageRole::Event,
        other => {
            return Err(format!(
                "the role is {other:?}; expected user, assistant, system or tool"
            ));
        }
    };
    Ok(Said {
        role,
        content: line.content,
    })
}
