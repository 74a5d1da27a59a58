//! The views for people who open the file with SQL: plain decimals, readable times, names.
//!
//! `klines` gives numbers (the nearest double), for charts, pandas and arithmetic;
//! `klines_exact` gives the same rows with every decimal exact, as text. Both hold the closed
//! klines and the open ones. The joins are `CROSS` to fix their order: with a symbol and a period
//! named, a query visits that symbol's rows alone.

/// 10^8, the scale of prices and volumes.
const E8: &str = "100000000";

/// The SQL that makes both views.
pub(crate) fn create_views() -> String {
    let double = |column: &str| format!("h.{column} / 1e8 AS {column}");
    let wide_double = |column: &str, upper: &str, scale: &str| {
        format!("h.{column}_high * {upper} + h.{column} / {scale} AS {column}")
    };
    let text = |column: &str| {
        format!("printf('%d.%08d', h.{column} / {E8}, abs(h.{column} % {E8})) AS {column}")
    };
    // The digits of the number are the upper part followed by 18 digits of the lower one; the
    // dot stands `scale` digits from the end.
    let wide_text = |column: &str, scale: usize| {
        let digits = format!("(h.{column}_high || printf('%018d', h.{column}))");
        let whole = format!("ltrim(substr({digits}, 1, length({digits}) - {scale}), '0')");
        format!(
            "printf('%s.%s', iif({whole} = '', '0', {whole}), substr({digits}, -{scale})) \
             AS {column}"
        )
    };
    let doubles = [
        double("open"),
        double("high"),
        double("low"),
        double("close"),
        wide_double("volume", "1e10", "1e8"),
        wide_double("quote_volume", "1e2", "1e16"),
        wide_double("taker_buy_volume", "1e10", "1e8"),
        wide_double("taker_buy_quote_volume", "1e2", "1e16"),
    ];
    let texts = [
        text("open"),
        text("high"),
        text("low"),
        text("close"),
        wide_text("volume", 8),
        wide_text("quote_volume", 16),
        wide_text("taker_buy_volume", 8),
        wide_text("taker_buy_quote_volume", 16),
    ];
    format!("{}{}", create_view("klines", &doubles), create_view("klines_exact", &texts))
}

fn create_view(name: &str, values: &[String; 8]) -> String {
    let [open, high, low, close, volume, quote, taker, taker_quote] = values;
    let columns = format!(
        "SELECT s.name AS symbol, p.name AS period, \
         strftime('%Y-%m-%dT%H:%M:%SZ', h.open_time / 1000, 'unixepoch') AS open_time, \
         {open}, {high}, {low}, {close}, {volume}, \
         strftime('%Y-%m-%dT%H:%M:%S', iif(p.millis IS NULL, \
             unixepoch(h.open_time / 1000, 'unixepoch', '+1 month'), \
             (h.open_time + p.millis) / 1000) - 1, 'unixepoch') || '.999Z' AS close_time, \
         {quote}, h.trade_count AS trade_count, {taker}, {taker_quote}, \
         CASE h.status WHEN 0 THEN 'open' WHEN 1 THEN 'provisional' WHEN 2 THEN 'closed' \
             ELSE 'confirmed' END AS status, \
         h.revision AS revision, h.open_time AS open_time_ms, s.number AS symbol_number \
         FROM symbol s CROSS JOIN period p"
    );
    format!(
        "CREATE VIEW {name} AS \
         {columns} CROSS JOIN chunk c ON c.period = p.number \
         CROSS JOIN history h ON h.chunk = c.number AND h.symbol = s.number \
         UNION ALL \
         {columns} CROSS JOIN open h ON h.symbol = s.number AND h.period = p.number;"
    )
}
