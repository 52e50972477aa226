//! Which sessions may address which processes.

use std::path::Path;

use lash_core::runtime::ProcessHandleGrantEntry;
use lash_core::{
    PluginError, ProcessHandleDescriptor, ProcessHandleGrant, ProcessSessionDeleteReport,
    SessionScope,
};
use lash_store_engine::wit::process_handles::Grant;
use lash_store_engine::wit::processes::Selection;

use super::outcome::not_granted;
use super::{SqliteProcessRegistry, record};
use crate::encoding::{from_json, to_json};
use crate::error::{Error, unknown_process};

const DESCRIPTOR: &str = "the descriptor of a process handle";

pub(crate) fn to_grant(
    path: &Path,
    scope_id: &str,
    grant: &ProcessHandleGrant,
) -> Result<Grant, Error> {
    Ok(Grant {
        session_id: grant.session_id.clone(),
        scope_id: scope_id.to_owned(),
        process_id: grant.process_id.clone(),
        descriptor: to_json(path, DESCRIPTOR, &grant.process_id, &grant.descriptor)?,
    })
}

pub(crate) fn from_grant(path: &Path, grant: Grant) -> Result<ProcessHandleGrant, Error> {
    Ok(ProcessHandleGrant {
        descriptor: from_json(path, DESCRIPTOR, &grant.process_id, &grant.descriptor)?,
        session_id: grant.session_id,
        process_id: grant.process_id,
    })
}

impl SqliteProcessRegistry {
    pub(super) async fn handles(
        &self,
        session_scope: &SessionScope,
        selection: Selection,
    ) -> Result<Vec<ProcessHandleGrantEntry>, PluginError> {
        let scope_id = session_scope.id();
        Ok(self
            .shared
            .db
            .read("list process handles", move |call| {
                let scope_id = scope_id.as_str();
                let pages = call.list(|call, cursor| {
                    call.process_handles().of_scope(scope_id, selection, cursor)
                })?;
                let handles = pages.into_iter().flat_map(|page| page.handles);
                let mut entries = handles
                    .map(|(grant, process)| {
                        Ok((
                            from_grant(call.path(), grant)?,
                            record::to_record(call.path(), None, process)?,
                        ))
                    })
                    .collect::<Result<Vec<ProcessHandleGrantEntry>, Error>>()?;
                entries.sort_by(|(_, a), (_, b)| a.id.cmp(&b.id));
                Ok(entries)
            })
            .await?)
    }

    pub(super) async fn grant(
        &self,
        session_scope: &SessionScope,
        process_id: &str,
        descriptor: ProcessHandleDescriptor,
    ) -> Result<ProcessHandleGrant, PluginError> {
        let scope_id = session_scope.id();
        let grant = ProcessHandleGrant {
            session_id: session_scope.session_id.clone(),
            process_id: process_id.to_owned(),
            descriptor,
        };
        let draft = to_grant(self.shared.db.path(), scope_id.as_str(), &grant)?;
        self.shared
            .db
            .write("grant process handle", move |call| {
                call.of_session(&grant.session_id);
                call.of_process(&grant.process_id);
                let granted = call.process_handles().grant_handle(&draft)?;
                Ok(if granted {
                    Ok(grant)
                } else {
                    Err(unknown_process(&grant.process_id))
                })
            })
            .await?
    }

    pub(super) async fn revoke(
        &self,
        session_scope: &SessionScope,
        process_id: &str,
    ) -> Result<(), PluginError> {
        let scope_id = session_scope.id();
        let process_id = process_id.to_owned();
        Ok(self
            .shared
            .db
            .write("revoke process handle", move |call| {
                call.of_process(&process_id);
                Ok(call
                    .process_handles()
                    .revoke(scope_id.as_str(), &process_id)?)
            })
            .await?)
    }

    pub(super) async fn transfer(
        &self,
        from_scope: &SessionScope,
        to_scope: &SessionScope,
        process_ids: &[String],
    ) -> Result<(), PluginError> {
        let from_scope_id = from_scope.id();
        let to_scope_id = to_scope.id();
        let to_session_id = to_scope.session_id.clone();
        let process_ids = process_ids.to_vec();
        let missing = self
            .shared
            .db
            .write("transfer process handles", move |call| {
                call.of_session(&to_session_id);
                Ok(call.process_handles().transfer(
                    from_scope_id.as_str(),
                    &to_session_id,
                    to_scope_id.as_str(),
                    &process_ids,
                )?)
            })
            .await?;
        match missing {
            Some(process_id) => Err(not_granted(&process_id, &from_scope.session_id)),
            None => Ok(()),
        }
    }

    pub(super) async fn is_granted(
        &self,
        session_scope: &SessionScope,
        process_id: &str,
    ) -> Result<bool, PluginError> {
        let scope_id = session_scope.id();
        let process_id = process_id.to_owned();
        Ok(self
            .shared
            .db
            .read("look for process handle", move |call| {
                call.of_process(&process_id);
                Ok(call
                    .process_handles()
                    .is_granted(scope_id.as_str(), &process_id)?)
            })
            .await?)
    }

    pub(super) async fn handles_of(
        &self,
        process_id: &str,
    ) -> Result<Vec<ProcessHandleGrant>, PluginError> {
        let id = process_id.to_owned();
        let grants: Option<Vec<_>> = self
            .shared
            .db
            .read("list handles of process", move |call| {
                call.of_process(&id);
                call.process_handles()
                    .of_process(&id)?
                    .map(|grants| {
                        let grants = grants.into_iter();
                        grants.map(|grant| from_grant(call.path(), grant)).collect()
                    })
                    .transpose()
            })
            .await?;
        grants.ok_or_else(|| unknown_process(process_id))
    }

    pub(super) async fn revoke_session(
        &self,
        session_id: &str,
    ) -> Result<ProcessSessionDeleteReport, PluginError> {
        let id = session_id.to_owned();
        let revocation = self
            .shared
            .db
            .write("revoke handles of session", move |call| {
                call.of_session(&id);
                Ok(call.process_handles().revoke_session(&id)?)
            })
            .await?;
        Ok(ProcessSessionDeleteReport {
            session_id: session_id.to_owned(),
            revoked_handle_count: usize::try_from(revocation.handles).unwrap_or(usize::MAX),
            // Acknowledgements belong to processes, which other sessions may know.
            deleted_wake_count: 0,
            orphaned_process_ids: revocation.orphaned,
            preserved_process_ids: revocation.preserved,
        })
    }
}
