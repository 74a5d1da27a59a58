//! The table of allowed arrows between crates, and who may use which third-party crate.
//!
//! A new arrow is a design change: it is discussed, then written here and in
//! `docs/ARCHITECTURE.md`, in the same change.

/// Each crate of ours with what it may import of ours, lowest layer first.
pub(crate) const ARROWS: &[(&str, &[&str])] = &[
    // Seeded bugs, behind the feature `mutants` of those that have some.
    ("klagg-mutants", &[]),
    ("klagg-kline", &[]),
    ("klagg-symbols", &["klagg-kline", "klagg-mutants"]),
    ("klagg-wire", &["klagg-kline", "klagg-mutants"]),
    ("klagg-tape", &["klagg-kline", "klagg-wire"]),
    ("klagg-engine", &["klagg-kline", "klagg-mutants"]),
    ("klagg-store", &["klagg-kline", "klagg-mutants"]),
    ("klagg-binance", &["klagg-kline", "klagg-symbols", "klagg-wire", "klagg-mutants"]),
    ("klagg-sim", &["klagg-kline", "klagg-wire"]),
    ("klagg-gateway", &["klagg-kline", "klagg-engine", "klagg-mutants"]),
    (
        "klagg-backfill",
        &[
            "klagg-kline",
            "klagg-symbols",
            // Names the exchange's rows and errors that `klagg-binance` hands on.
            "klagg-wire",
            "klagg-engine",
            "klagg-binance",
            "klagg-store",
            "klagg-mutants",
        ],
    ),
    (
        "klagg-web",
        &[
            "klagg-kline",
            "klagg-symbols",
            // The compatible API speaks the exchange's JSON, which only `klagg-wire` may spell.
            "klagg-wire",
            "klagg-engine",
            "klagg-gateway",
            "klagg-store",
        ],
    ),
    (
        "klagg",
        &[
            "klagg-kline",
            "klagg-symbols",
            "klagg-wire",
            "klagg-tape",
            "klagg-engine",
            "klagg-store",
            "klagg-binance",
            "klagg-sim",
            "klagg-gateway",
            "klagg-backfill",
            "klagg-web",
        ],
    ),
    (
        "klagg-simulate",
        &[
            "klagg-mutants",
            "klagg-kline",
            "klagg-symbols",
            // The list of symbols and the news of a contract, as the machines take them.
            "klagg-wire",
            "klagg-engine",
            "klagg-store",
            "klagg-binance",
            "klagg-gateway",
            "klagg-backfill",
        ],
    ),
    (
        "klagg-bench",
        &[
            "klagg-kline",
            "klagg-symbols",
            "klagg-wire",
            "klagg-tape",
            "klagg-engine",
            "klagg-store",
            "klagg-binance",
            "klagg-sim",
            "klagg-gateway",
            "klagg-backfill",
        ],
    ),
    ("xtask", &[]),
];

/// What any crate of ours may use in its tests, beyond its arrows: the exchange that can be
/// broken on purpose, and recorded trades. Neither imports anything above layer 1.
pub(crate) const TEST_ONLY: &[&str] = &["klagg-sim", "klagg-tape"];

/// Third-party crates that belong to one place: a format or a resource stops at its border.
/// In tests and benches they may be used anywhere.
pub(crate) const OWNERS: &[(&str, &[&str])] = &[
    ("simd-json", &["klagg-wire"]),
    ("crossbeam-channel", &["klagg-engine"]),
    ("arc-swap", &["klagg-symbols"]),
    ("reqwest", &["klagg-binance"]),
    ("tokio-tungstenite", &["klagg-binance"]),
    ("rusqlite", &["klagg-store"]),
    ("axum", &["klagg-web", "klagg-sim"]),
    ("toml", &["klagg", "xtask"]),
    ("clap", &["klagg", "xtask"]),
    ("anyhow", &["klagg", "xtask"]),
    ("tracing-subscriber", &["klagg"]),
    ("core_affinity", &["klagg-engine"]),
];
