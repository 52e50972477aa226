//! Runs the scenarios that the languages share, see `tests/embedding/README.md`.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use serde_json::{Map, Value as Json, json};
use wasmtime::error::Context;
use wasmtime::{Result, bail};

use crate::database::{Database, Runtime};
use crate::imports::bindings::lash::store::format_types::Kind;

/// One scenario that runs.
struct Run<'a> {
    runtime: &'a Runtime,
    path: &'a Path,
    scenario: &'a Json,
    values: &'a Json,
    connections: BTreeMap<String, Database<'a>>,
    lock: Option<Connection>,
    now: Option<Duration>,
    kept: Map<String, Json>,
}

/// Runs a scenario on a file. `values` are what its arguments may be `$like`.
pub fn run(runtime: &Runtime, scenario: &Json, values: &Json, path: &Path) -> Result<()> {
    let mut run = Run {
        runtime,
        path,
        scenario,
        values,
        connections: BTreeMap::new(),
        lock: None,
        now: None,
        kept: Map::new(),
    };
    let steps = scenario
        .get("steps")
        .and_then(Json::as_array)
        .context("steps")?;
    for (number, step) in steps.iter().enumerate() {
        run.step(step)
            .with_context(|| format!("step {}: {step}", number + 1))?;
    }
    Ok(())
}

impl<'a> Run<'a> {
    fn step(&mut self, step: &Json) -> Result<()> {
        if let Some(milliseconds) = step.get("clock-ms") {
            let milliseconds = milliseconds.as_u64().context("a time")?;
            self.now = Some(Duration::from_millis(milliseconds));
        } else if step.get("reopen").is_some() {
            self.connections.clear();
        } else if let Some(locked) = step.get("lock") {
            self.lock = None;
            if locked == &Json::Bool(true) {
                let lock = Connection::open(self.path)?;
                lock.execute_batch("BEGIN IMMEDIATE")?;
                self.lock = Some(lock);
            }
        } else {
            self.call(step)?;
        }
        Ok(())
    }

    fn call(&mut self, step: &Json) -> Result<()> {
        let name = step.get("call").and_then(Json::as_str).context("a call")?;
        let args = step.get("args").and_then(Json::as_array);
        let args = args.into_iter().flatten().map(|arg| self.resolve(arg));
        let args = args.collect::<Result<Vec<_>>>()?;
        let on = step.get("on").and_then(Json::as_str).unwrap_or("first");
        let now = self.now;
        let database = self.connection(on)?;
        database.set_now(now);
        let answer = database.call_json(name, &args)?;
        if let Some(pattern) = step.get("answer") {
            let pattern = self.resolve(pattern)?;
            if !matches(&pattern, &answer) {
                bail!("the answer is {answer}");
            }
        }
        for (variable, path) in step
            .get("keep")
            .and_then(Json::as_object)
            .into_iter()
            .flatten()
        {
            let path = path.as_str().context("a path")?;
            let found = answer.pointer(path);
            let found = found.with_context(|| format!("no {path} in {answer}"))?;
            self.kept.insert(variable.clone(), found.clone());
        }
        Ok(())
    }

    fn connection(&mut self, name: &str) -> Result<&mut Database<'a>> {
        if !self.connections.contains_key(name) {
            let wait = self.scenario.get("busy-timeout-ms").and_then(Json::as_u64);
            let wait = Duration::from_millis(wait.unwrap_or(15_000));
            let database = if self.connections.is_empty() {
                Database::open(self.runtime, self.path, kind(self.scenario)?, wait)?
            } else {
                Database::connect(self.runtime, self.path, wait)?
            };
            self.connections.insert(name.to_owned(), database);
        }
        self.connections.get_mut(name).context("a connection")
    }

    /// Puts in what `$var`, `$zeros` and `$like` stand for.
    fn resolve(&self, json: &Json) -> Result<Json> {
        Ok(match json {
            Json::Object(fields) => {
                if let Some(name) = fields.get("$var").and_then(Json::as_str) {
                    let value = self.kept.get(name);
                    return Ok(value.with_context(|| format!("no {name}"))?.clone());
                }
                if let Some(length) = fields.get("$zeros").and_then(Json::as_u64) {
                    return Ok(json!({ "utf8": "0".repeat(length.try_into()?) }));
                }
                let mut resolved = Map::new();
                if let Some(name) = fields.get("$like").and_then(Json::as_str) {
                    let base = self.values.get(name).and_then(Json::as_object);
                    resolved.clone_from(base.with_context(|| format!("no value {name}"))?);
                }
                for (name, value) in fields.iter().filter(|(name, _)| *name != "$like") {
                    resolved.insert(name.clone(), self.resolve(value)?);
                }
                Json::Object(resolved)
            }
            Json::Array(items) => Json::Array(
                items
                    .iter()
                    .map(|item| self.resolve(item))
                    .collect::<Result<_>>()?,
            ),
            other => other.clone(),
        })
    }
}

fn kind(scenario: &Json) -> Result<Kind> {
    Ok(match scenario.get("kind").and_then(Json::as_str) {
        Some("session") => Kind::Session,
        Some("processes") => Kind::Processes,
        Some("host-events") => Kind::HostEvents,
        Some("effects") => Kind::Effects,
        other => bail!("{other:?} is no kind of database"),
    })
}

/// Whether an answer is what a pattern asks for: an object may have more fields, and
/// `"$any"` stands for anything.
fn matches(pattern: &Json, answer: &Json) -> bool {
    match (pattern, answer) {
        (Json::String(any), _) if any == "$any" => true,
        (Json::Object(pattern), Json::Object(answer)) => pattern.iter().all(|(name, pattern)| {
            answer
                .get(name)
                .is_some_and(|found| matches(pattern, found))
        }),
        (Json::Array(pattern), Json::Array(answer)) => {
            pattern.len() == answer.len()
                && pattern
                    .iter()
                    .zip(answer)
                    .all(|(pattern, found)| matches(pattern, found))
        }
        _ => pattern == answer,
    }
}
