//! Effects that were imported from the native crate.
//!
//! It keeps effects under the last identifier of their scope only, which scopes of other
//! kinds and sessions may have too. So an imported effect is nobody's, until somebody
//! wants an effect of that identifier with the same replay key and the same digest. A
//! digest covers the session and the turn: that is the effect that was executed. With
//! another digest it is a conflict, as it is to the native crate.

use std::sync::OnceLock;

use lash_store_engine::Call;
use lash_store_engine::wit::effect_import::Adopted;
use lash_store_engine::wit::effects::Request;

use crate::error::Error;

/// Whether a database has effects that are nobody's. It is asked once: nothing is
/// imported into a database that exists.
#[derive(Default)]
pub(super) struct Imported(OnceLock<bool>);

impl Imported {
    /// Gives the effect that a request is for to its scope, if it was imported under
    /// this identifier. To be called before something is done about an effect that is
    /// not known.
    pub(super) fn adopt(
        &self,
        call: &mut Call<'_>,
        scope_id: &str,
        request: &Request,
    ) -> Result<Adopted, Error> {
        let has_imported = match self.0.get() {
            Some(has_imported) => *has_imported,
            None => {
                let found = call.effect_import().has_imported()?;
                *self.0.get_or_init(|| found)
            }
        };
        if !has_imported {
            return Ok(Adopted::Nothing);
        }
        Ok(call.effect_import().adopt(scope_id, request)?)
    }
}
