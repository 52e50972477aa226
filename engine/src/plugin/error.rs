//! Why a plugin was not bound, or did not answer.

use std::fmt;

use crate::error::Source;
use crate::limits::Limit;
use crate::resource::Resource;

/// What a grant bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Quota {
    /// Calls of functions of the store.
    Calls,
    /// Bytes stored.
    Bytes,
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Calls => "calls of the store",
            Self::Bytes => "bytes to store",
        })
    }
}

/// Why a plugin was not bound, or did not answer.
///
/// Each of its calls of the store is done or not done by itself: those that ended before
/// the plugin was stopped are done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Not a name of a namespace.
    #[error(
        "{name:?} is no name of a namespace; use 1 to 64 characters of a to z, 0 to 9, `-`, `_` and `.`"
    )]
    Namespace {
        /// The name.
        name: String,
    },

    /// The bytes are no component of the world `plugin`.
    #[error("this is no plugin; build a component of the world `plugin` in lash:store")]
    NotAPlugin {
        /// What is wrong with it.
        #[source]
        source: Source,
    },

    /// The component imports something that no grant can give, such as a function of
    /// `sqlite`.
    #[error(
        "the component imports {import}, which no plugin can have; see the world `plugin` in lash:store"
    )]
    ForeignImport {
        /// The interface and the function.
        import: String,
    },

    /// The component imports something that its grant does not give.
    #[error(
        "plugin {namespace} imports {import}, which its grant does not include; grant the interface, or do not run the plugin"
    )]
    NotGranted {
        /// The plugin's namespace.
        namespace: String,
        /// The interface and the function.
        import: String,
    },

    /// The plugin has reached one of its [`Limits`](crate::Limits), and was stopped.
    #[error(
        "plugin {namespace} has reached its limit {limit}; raise it, or give the plugin less to do"
    )]
    Limit {
        /// The plugin's namespace.
        namespace: String,
        /// The limit and its value.
        limit: Limit,
    },

    /// A call of the plugin was refused because a quota of its grant was used up. The
    /// plugin was told, and may have coped with it: its answer is here.
    #[error(
        "plugin {namespace} went beyond its grant of {most} {quota}; bind it with a larger one"
    )]
    Quota {
        /// The plugin's namespace.
        namespace: String,
        /// Which one.
        quota: Quota,
        /// How much is granted.
        most: u64,
        /// What the plugin returned all the same.
        answer: Result<Vec<u8>, String>,
    },

    /// The plugin returned an error.
    #[error("plugin {namespace} failed: {message}")]
    Failed {
        /// The plugin's namespace.
        namespace: String,
        /// What it says.
        message: String,
        /// The last failure of the store in this call, if there was one.
        #[source]
        source: Option<Box<crate::Error>>,
    },

    /// The plugin trapped, or broke the rules of the component model.
    #[error("plugin {namespace} stopped; the store is as its finished calls left it")]
    Stopped {
        /// The plugin's namespace.
        namespace: String,
        /// Why.
        #[source]
        source: Source,
    },

    /// The machine, or a limit of this process on it, refuses what running the plugin
    /// takes. Nothing remembers it, and the store is as its finished calls left it.
    #[error(
        "cannot run plugin {}: {resource}; {}, and try again",
        namespace.as_deref().unwrap_or("that was to be compiled"),
        resource.advice()
    )]
    Resource {
        /// The plugin's namespace; `None` while it is compiled, because it has none then.
        namespace: Option<String>,
        /// What is missing.
        resource: Resource,
        /// What the operating system returned.
        #[source]
        source: Source,
    },

    /// No thread could be started for the plugin.
    #[error("no thread could be started for plugin {namespace}")]
    Thread {
        /// The plugin's namespace.
        namespace: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl Error {
    /// A word for programs: the name of the variant, in lower case with hyphens. It is
    /// the outcome of a run in spans, and stays as it is.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Namespace { .. } => "namespace",
            Self::NotAPlugin { .. } => "not-a-plugin",
            Self::ForeignImport { .. } => "foreign-import",
            Self::NotGranted { .. } => "not-granted",
            Self::Limit { .. } => "limit",
            Self::Quota { .. } => "quota",
            Self::Failed { .. } => "failed",
            Self::Stopped { .. } => "stopped",
            Self::Resource { .. } => "resource",
            Self::Thread { .. } => "thread",
        }
    }

    /// What the engine says about a component.
    pub(super) fn unusable(error: wasmtime::Error) -> Self {
        match Resource::of(&error) {
            Some(resource) => Self::Resource {
                namespace: None,
                resource,
                source: error.into_boxed_dyn_error(),
            },
            None => Self::not_a_plugin(error.into_boxed_dyn_error()),
        }
    }

    pub(super) fn not_a_plugin(source: impl Into<Source>) -> Self {
        Self::NotAPlugin {
            source: source.into(),
        }
    }
}
