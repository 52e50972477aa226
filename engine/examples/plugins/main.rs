//! Two plugins that persist through one session: `notes` keeps notes across its runs,
//! `snoop` tries to read them. Their sources are in `components/plugins/` of the
//! repository, and are built first, which needs `rustup target add wasm32-wasip2`.
//!
//! ```text
//! cargo run --example plugins [-- FILE]
//! ```
//!
//! `FILE` is a session database, `./plugins.db` by default. Run it again: the notes are
//! still there. It checks what it shows, and fails if `snoop` finds anything.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use lash_store_engine::plugin::{Access, Error, Grant, GrantedPlugin, Namespace, Plugin};
use lash_store_engine::wit::types::{BlobKind, BlobProfile};
use lash_store_engine::{COMPONENT, Database, DatabaseKind, Limits, OpenOptions};

#[tokio::main]
async fn main() -> Result<()> {
    let file = std::env::args_os().nth(1);
    let file = file.map_or_else(|| PathBuf::from("plugins.db"), PathBuf::from);
    let notes_wasm = build("lash-plugin-notes")?;
    let snoop_wasm = build("lash-plugin-snoop")?;
    let store = Database::open(&file, DatabaseKind::Session, &OpenOptions::new()).await?;

    section("notes, with its own names and 64 KiB to write");
    let grant = Grant::new(Namespace::new("notes")?)
        .artifacts(Access::Write)
        .most_bytes(64 << 10);
    let notes = Plugin::new(&notes_wasm, Limits::default())?.with(&store, grant)?;
    let before = call(&notes, "list").await?.lines().count();
    for note in ["Water the plants.", "The door code is 4711."] {
        call(&notes, &format!("add {note}")).await?;
    }
    let kept = call(&notes, "list").await?;
    ensure!(kept.lines().count() == before + 2, "a note was lost");
    println!("  used: {:?}", notes.usage());

    section("snoop, with names of its own, looks for what others have");
    let secret = store
        .write("put blob", |call| {
            let content = b"what only the application knows";
            let profile = BlobProfile::LowLatency;
            call.blobs().put(content, BlobKind::Generic, false, profile)
        })
        .await?;
    let grant = Grant::new(Namespace::new("snoop")?)
        .artifacts(Access::Write)
        .blobs(Access::Write)
        .queue(Access::Write);
    let snoop = Plugin::new(&snoop_wasm, Limits::default())?.with(&store, grant)?;
    let places = format!(
        "artifact notes\nartifact plugin/notes/notes\nartifact ../notes/notes\n\
         blob {}\nblob blake3:{}\nqueue session",
        secret,
        "0".repeat(64)
    );
    let found = call(&snoop, &places).await?;
    for line in found.lines() {
        let nothing = line.ends_with(": nothing") || line.ends_with(": 0 batches");
        ensure!(nothing, "snoop has found something: {line}");
    }

    section("notes, for reading only");
    let grant = Grant::new(Namespace::new("notes")?).artifacts(Access::Read);
    let reader = Plugin::new(&notes_wasm, Limits::default())?.with(&store, grant)?;
    ensure!(call(&reader, "list").await? == kept, "a note is not read");
    refused(reader.run("add One more.").await)?;

    section("notes, with 16 bytes to write");
    let grant = Grant::new(Namespace::new("notes")?)
        .artifacts(Access::Write)
        .most_bytes(16);
    let small = Plugin::new(&notes_wasm, Limits::default())?.with(&store, grant)?;
    refused(small.run("add This is more than that.").await)?;
    ensure!(call(&notes, "list").await? == kept, "a note was changed");

    section("snoop, with artifacts only");
    let grant = Grant::new(Namespace::new("snoop")?).artifacts(Access::Read);
    refused(Plugin::new(&snoop_wasm, Limits::default())?.with(&store, grant))?;

    section("a component that speaks SQL");
    refused(Plugin::new(COMPONENT, Limits::default()))?;
    Ok(())
}

/// Builds a plugin of the repository, as its author does.
fn build(package: &str) -> Result<Vec<u8>> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let directory = repository.join("target/plugins");
    let built = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--quiet", "--release", "--package", package])
        .args(["--target", "wasm32-wasip2", "--target-dir"])
        .arg(&directory)
        // Those of the repository's .cargo/config.toml are used.
        .env_remove("RUSTFLAGS")
        .current_dir(&repository)
        .status()
        .context("cannot run cargo")?;
    ensure!(
        built.success(),
        "cannot build {package}: this example runs in a checkout of the repository, \
         after `rustup target add wasm32-wasip2`"
    );
    let file = package.replace('-', "_") + ".wasm";
    let path = directory.join("wasm32-wasip2/release").join(file);
    std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
}

/// Calls a plugin and prints what was said.
async fn call(plugin: &GrantedPlugin, input: &str) -> Result<String> {
    let answer = plugin.run(input).await?;
    let answer = String::from_utf8(answer).context("the answer is not UTF-8")?;
    for line in input.lines() {
        println!("  > {line}");
    }
    for line in answer.lines() {
        println!("    {line}");
    }
    Ok(answer)
}

/// Prints why something was refused, as it must be.
fn refused<T>(result: Result<T, Error>) -> Result<()> {
    match result {
        Ok(_) => bail!("it was let through"),
        Err(error) => println!("  {}: {error}", error.code()),
    }
    Ok(())
}

fn section(title: &str) {
    println!("\n{title}");
}
