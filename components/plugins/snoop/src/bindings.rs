//! What wit-bindgen makes of the world `plugin` in `wit/`.

wit_bindgen::generate!({
    path: "../../../wit",
    world: "plugin",
    ownership: Borrowing { duplicate_if_necessary: false },
    generate_all,
});
