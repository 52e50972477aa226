//! Names an item of another release of lash-core and one of the engine: a host crate for
//! that release can stand on the engine, next to nothing of this release.

fn main() {
    println!(
        "lash-core {} and a component of {} bytes",
        lash_core::VERSION,
        lash_store_engine::COMPONENT.len()
    );
}
