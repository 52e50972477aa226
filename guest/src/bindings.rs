//! What wit-bindgen makes of `wit/`: the types that the logic is written in. What a
//! component exports is in its room of `component/`.

wit_bindgen::generate!({
    path: "../wit",
    inline: "
        package lash:guest;

        world imports {
            import lash:store/sqlite@0.1.0;
            import lash:store/types@0.1.0;
            import lash:store/format-types@0.1.0;
            import lash:store/session-types@0.1.0;
            import lash:store/process-types@0.1.0;
            import lash:store/host-event-types@0.1.0;
            import lash:store/effect-types@0.1.0;
            import lash:store/inspection-types@0.1.0;
            import lash:store/export-types@0.1.0;
            import lash:store/import-types@0.1.0;
            import wasi:clocks/wall-clock@0.2.0;
            import wasi:random/random@0.2.0;
        }
    ",
    world: "lash:guest/imports",
    ownership: Borrowing { duplicate_if_necessary: false },
    generate_all,
    generate_unused_types: true,
});

pub use self::lash::store::{
    effect_types, export_types, format_types, host_event_types, import_types, inspection_types,
    process_types, session_types, sqlite, types,
};

impl From<sqlite::Error> for types::Error {
    fn from(error: sqlite::Error) -> Self {
        match error.code {
            sqlite::ErrorCode::TooBig => Self::TooLarge(error.message),
            sqlite::ErrorCode::Interrupted => Self::Interrupted(error.message),
            sqlite::ErrorCode::OutcomeUnknown => Self::OutcomeUnknown(error),
            _ => Self::Sqlite(error),
        }
    }
}
