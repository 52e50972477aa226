//! Plugins: components that are not trusted, and persist through a store.
//!
//! A [`Plugin`] is a component of the world `plugin` in `wit/`. It is bound to one
//! [`Database`](crate::Database) of a session, or to what has one, under a [`Grant`],
//! which says which interfaces of the store it has, whether it may write, what its
//! [`Namespace`] is, and how much it may write and call altogether. What is not granted does
//! not exist for it. It never sees SQL: a component that imports a function of `sqlite` is
//! refused.
//!
//! ```no_run
//! use lash_store_engine::plugin::{Access, Grant, Namespace, Plugin};
//! use lash_store_engine::{Database, DatabaseKind, Limits, OpenOptions};
//!
//! # async fn example(wasm: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
//! let options = OpenOptions::new();
//! let store = Database::open("session.db".as_ref(), DatabaseKind::Session, &options).await?;
//! let plugin = Plugin::new(wasm, Limits::default())?;
//! let grant = Grant::new(Namespace::new("notes")?)
//!     .artifacts(Access::Write)
//!     .most_bytes(1 << 20);
//! let notes = plugin.with(&store, grant)?;
//! let answer = notes.run(b"add Water the plants.").await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What a plugin can do
//!
//! - Artifacts: what it calls `a` is stored as `plugin/NAME SPACE/a`. An application
//!   that keeps names of its own away from `plugin/` shares none with a plugin.
//! - Blobs: it stores content, and reads by their keys those that it stored through the
//!   same [`GrantedPlugin`]. For any other key the answer is "none", and the store is
//!   not asked: whether others have such a blob cannot be learned from it. As always,
//!   a blob that nothing refers to is removed by garbage collection; what is to stay is
//!   an artifact.
//! - Queue: it has queues of its own, under whatever session identifiers it likes, which
//!   are stored as `plugin/NAME SPACE/...` too. With [`Grant::deliver_to`] it puts input
//!   into the queue of a session of the application, always with a source key, which
//!   says whose it is. It sees and cancels only what it has put there itself, and claims
//!   nothing.
//! - Session: with [`Grant::session`] it reads the head, the graph and the checkpoint of
//!   the store's session, all of it. It cannot write there.
//! - It knows the time, and has random numbers.
//!
//! What the store returns on a failure reaches it without details, which may name what
//! others have stored. They are in [`Error::Failed`].
//!
//! # What bounds it
//!
//! Its calls of the store run like all others, on the threads of the store and in the
//! store's own component, one after the other with those of the application. The plugin
//! itself runs on another thread, in a new instance for every call of
//! [`GrantedPlugin::run`], under [`Limits`](crate::Limits), of which those about SQL do
//! not concern it. The quotas of the grant hold over all calls
//! together, as long as the [`GrantedPlugin`] or a clone of it exists; [`Usage`] says
//! what is used, and a later grant can begin with it.
//!
//! # What it learns all the same
//!
//! How long a call takes depends on what is in the store: content that is there already
//! is stored faster, and "there is no such artifact" costs what the table of all
//! artifacts is long. Where that is too much, give the plugin a store of its own.

mod component;
mod error;
mod grant;
mod granted;
mod imports;
mod namespace;
mod state;
mod threads;
mod usage;

pub use component::Plugin;
pub use error::{Error, Quota};
pub use grant::{Access, Grant};
pub use granted::GrantedPlugin;
pub use namespace::Namespace;
pub use usage::Usage;
