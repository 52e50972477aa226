//! The beginning and the end of a session database.

use crate::Result;
use crate::bindings::exports::lash::store::format::Initialized;
use crate::digests::{Digests, SessionDigests};
use crate::format;
use crate::schema;
use crate::seam::Environment;
use crate::transaction::SessionTransaction;

/// The WIT function `session.initialize`.
pub fn initialize(env: &impl Environment) -> Result<Initialized> {
    format::initialize(env, &schema::SESSION, |tx| SessionDigests::new().store(tx))
}

/// The WIT function `session.retire`.
pub fn retire(env: &impl Environment) -> Result<()> {
    let mut session = SessionTransaction::write_durably(env)?;
    session.digests.retired = 1;
    session.commit()
}
