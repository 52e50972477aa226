//! How a test runs itself again under the conditions of another machine or user.

use std::path::Path;
use std::process::Output;

use lash_wasm_store_testing::child;
use tempfile::TempDir;

/// A user that has no files and no processes.
pub(crate) const NOBODY: u32 = 54321;

/// As seccomp filters and `PR_SET_MDWE` of a service with `MemoryDenyWriteExecute`, which
/// is one or the other by the version of systemd.
const NO_EXECUTABLE_MEMORY: &str = r#"
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
def allowed(result):
    if result != 0:
        sys.exit(77)
if sys.argv[1] == "mdwe":
    allowed(libc.prctl(65, 1, 0, 0, 0))
else:
    if os.uname().machine != "x86_64":
        sys.exit(77)
    op = lambda code, jt, jf, k: struct.pack("HBBI", code, jt, jf, k)
    load, equal, mask, ret = 0x20, 0x15, 0x54, 0x06
    program = [
        op(load, 0, 0, 0),               # 0: the number of the call
        op(equal, 3, 0, 10),             # 1: mprotect: to 5
        op(equal, 2, 0, 329),            # 2: pkey_mprotect: to 5
        op(equal, 4, 0, 9),              # 3: mmap: to 8
        op(ret, 0, 0, 0x7fff0000),       # 4: allow
        op(load, 0, 0, 32),              # 5: its protection
        op(mask, 0, 0, 4),
        op(equal, 4, 3, 4),              # 7: to execute?
        op(load, 0, 0, 32),              # 8
        op(mask, 0, 0, 6),
        op(equal, 1, 0, 6),              # 10: to write and to execute?
        op(ret, 0, 0, 0x7fff0000),
        op(ret, 0, 0, 0x00050001),       # 12: EPERM
    ]
    code = ctypes.create_string_buffer(b"".join(program))
    filter = struct.pack("HxxxxxxQ", len(program), ctypes.addressof(code))
    allowed(libc.prctl(38, 1, 0, 0, 0))
    allowed(libc.prctl(22, 2, filter, 0, 0))
os.execv(sys.argv[2], sys.argv[2:])
"#;

/// A directory that every user can write to, in which a child works.
pub(crate) fn open_directory() -> TempDir {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    directory
}

/// Runs a test again after a piece of shell. It must succeed there.
pub(crate) fn after(script: &str, test: impl Fn(), path: &Path) {
    passed(&child::command_after(script, test, path).output().unwrap());
}

/// Runs a test again as a user without privileges.
pub(crate) fn unprivileged(script: &str, test: impl Fn(), path: &Path) {
    if !rustix::process::geteuid().is_root() {
        return after(script, test, path);
    }
    let switch = format!(
        "{script}; exec setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups \
         env HOME={} \"$@\"",
        path.display()
    );
    let output = child::command_after(&switch, test, path).output().unwrap();
    if matches!(output.status.code(), Some(126 | 127)) {
        println!(
            "skipped: another user, because setpriv cannot run this program as one: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        return;
    }
    passed(&output);
}

/// Runs a test again where executable memory is forbidden, by `mdwe` or by `seccomp`.
pub(crate) fn without_executable_memory(by: &str, test: impl Fn(), path: &Path) {
    let script = format!("exec python3 -c '{NO_EXECUTABLE_MEMORY}' {by} \"$@\"");
    let output = child::command_after(&script, test, path).output().unwrap();
    if matches!(output.status.code(), Some(77 | 127)) {
        println!("skipped: {by}, because the kernel or python3 does not have it");
        return;
    }
    passed(&output);
}

fn passed(output: &Output) {
    let said = format!(
        "{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{}: {said}", output.status);
    assert!(said.contains("1 passed"), "{said}");
}
