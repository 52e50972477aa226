//! What a machine may refuse to a process, and how that is recognised.

use std::{fmt, io};

/// What wasmtime says before the cause when code could not be made executable.
/// `tests/tests/field/machine.rs` reaches it.
const NOT_EXECUTABLE: &str = "unable to make memory executable";

/// What a machine, or a limit of the process on it, can refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Resource {
    /// Memory, or addresses for it.
    Memory,
    /// Threads.
    Threads,
    /// Open files.
    Descriptors,
    /// Memory that holds machine code.
    ExecutableMemory,
}

impl Resource {
    /// What to do to get more of it.
    #[must_use]
    pub fn advice(self) -> &'static str {
        match self {
            Self::Memory => {
                "raise the memory limit of the container or service, or of addresses (`ulimit -v`)"
            }
            Self::Threads => {
                "raise the limit of processes of the container (`pids.max`), service (`TasksMax`) \
                 or user (`ulimit -u`), or of addresses (`ulimit -v`)"
            }
            Self::Descriptors => "raise the limit of open files (`ulimit -n`)",
            Self::ExecutableMemory => {
                "allow it to this program (systemd's MemoryDenyWriteExecute, SELinux's execmem, \
                 a seccomp filter, PaX)"
            }
        }
    }

    /// The resource that the operating system refused, if it is one.
    pub(crate) fn of_io(error: &io::Error) -> Option<Self> {
        match error.kind() {
            io::ErrorKind::OutOfMemory => Some(Self::Memory),
            _ if is_descriptors(error) => Some(Self::Descriptors),
            _ => None,
        }
    }

    /// The resource for want of which a component could not be compiled, instantiated or
    /// run, if that is why.
    pub(crate) fn of(error: &wasmtime::Error) -> Option<Self> {
        if let Some(resource) = error.downcast_ref::<Self>() {
            return Some(*resource);
        }
        if error.is::<wasmtime::OutOfMemory>() {
            return Some(Self::Memory);
        }
        let cause = error.chain().find_map(os_error)?;
        match cause.kind() {
            io::ErrorKind::PermissionDenied
                if error
                    .chain()
                    .any(|error| error.to_string() == NOT_EXECUTABLE) =>
            {
                Some(Self::ExecutableMemory)
            }
            _ => Self::of_io(&cause),
        }
    }

    /// Says of a thread that could not be started what was missing.
    pub(crate) fn no_thread(error: io::Error) -> wasmtime::Error {
        wasmtime::Error::from(error).context(Self::Threads)
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Memory => "the system has no more memory or addresses for this process",
            Self::Threads => "the system starts no more threads for this process",
            Self::Descriptors => "the system opens no more files for this process",
            Self::ExecutableMemory => {
                "the system forbids executable memory, which compiled WebAssembly needs"
            }
        })
    }
}

/// What the operating system returned, through the standard library or rustix.
fn os_error(error: &(dyn std::error::Error + 'static)) -> Option<io::Error> {
    #[cfg(unix)]
    if let Some(error) = error.downcast_ref::<rustix::io::Errno>() {
        return Some((*error).into());
    }
    let error = error.downcast_ref::<io::Error>()?;
    error.raw_os_error().map(io::Error::from_raw_os_error)
}

#[cfg(unix)]
fn is_descriptors(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let error = Errno::from_io_error(error);
    matches!(error, Some(Errno::MFILE | Errno::NFILE))
}

#[cfg(not(unix))]
fn is_descriptors(_: &io::Error) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_recognised_below_what_was_said_about_it() {
        let denied = || wasmtime::Error::from(io::Error::from(io::ErrorKind::PermissionDenied));
        assert_eq!(Resource::of(&denied()), None);
        let thread = Resource::no_thread(io::Error::from(io::ErrorKind::WouldBlock));
        assert_eq!(
            Resource::of(&thread.context("cannot load")),
            Some(Resource::Threads)
        );
        assert_eq!(Resource::of(&wasmtime::Error::msg("another")), None);
    }

    #[cfg(unix)]
    #[test]
    fn a_refusal_is_recognised_by_its_number() {
        use rustix::io::Errno;
        for (errno, resource) in [
            (Errno::NOMEM, Resource::Memory),
            (Errno::MFILE, Resource::Descriptors),
            (Errno::NFILE, Resource::Descriptors),
        ] {
            let direct = wasmtime::Error::from(errno).context("cannot map");
            assert_eq!(Resource::of(&direct), Some(resource));
            let through = wasmtime::Error::from(io::Error::from(errno));
            assert_eq!(Resource::of(&through), Some(resource));
        }
        for errno in [Errno::ACCESS, Errno::PERM] {
            let error = wasmtime::Error::from(errno).context(NOT_EXECUTABLE);
            assert_eq!(Resource::of(&error), Some(Resource::ExecutableMemory));
        }
    }
}
