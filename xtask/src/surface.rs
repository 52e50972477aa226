//! What a component asks of its embedder, and what it offers.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};
use wasmparser::{Parser, Payload, Validator};

/// The names of a component's imports and exports.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Surface {
    /// Its capabilities: everything that it can reach.
    pub imports: BTreeSet<String>,
    /// What it can be called with.
    pub exports: BTreeSet<String>,
}

/// Reads the surface of a component. What is inside of it, nested components and
/// core modules, is validated but not listed: it is linked already.
///
/// # Errors
///
/// If the bytes are not a valid component.
pub fn read(component: &[u8]) -> Result<Surface> {
    Validator::new()
        .validate_all(component)
        .context("not a valid component")?;
    if !Parser::is_component(component) {
        bail!("a core module, not a component");
    }

    let mut surface = Surface::default();
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(component) {
        match payload? {
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(imports) if depth == 1 => {
                for import in imports {
                    surface.imports.insert(import?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(exports) if depth == 1 => {
                for export in exports {
                    surface.exports.insert(export?.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    Ok(surface)
}
