//! The beginning and the end of a session database.

use crate::Result;
use crate::bindings::format_types::Initialized;
use crate::format;
use crate::session::digests::SessionDigests;
use crate::storage::digests::Digests;
use crate::storage::seam::Environment;

use super::schema;
use crate::session::digests::SessionTransaction;

/// The WIT function `session.initialize`.
pub fn initialize(env: &impl Environment) -> Result<Initialized> {
    format::initialize(env, &format::SESSION, schema::STATEMENTS, |tx| {
        SessionDigests::new().store(tx)
    })
}

/// The WIT function `session.retire`.
pub fn retire(env: &impl Environment) -> Result<()> {
    let mut session = SessionTransaction::write_durably(env)?;
    session.digests.retired = 1;
    session.commit()
}
