//! Klines as text: the exchange's dump layout, or one JSON object a line.

use std::borrow::Cow;
use std::io::{self, BufWriter, Write};

use super::Format;
use super::fold::NamedKline;

const HEADER: &str = "symbol,period,open_time,open,high,low,close,volume,close_time,quote_volume,\
                      count,taker_buy_volume,taker_buy_quote_volume,ignore";

/// What is printed of a kline.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Columns {
    pub(crate) format: Format,
    /// CSV: one more column. JSON always tells the status.
    pub(crate) with_status: bool,
}

/// Writes all klines and returns how many. A reader that has gone away ends it without an error.
///
/// # Errors
/// Any other error of the writer.
pub(crate) fn write(out: impl Write, klines: &[NamedKline], columns: Columns) -> io::Result<usize> {
    let mut out = BufWriter::with_capacity(256 * 1024, out);
    let written = write_all(&mut out, klines, columns).and_then(|()| out.flush());
    match written {
        Ok(()) => Ok(klines.len()),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
            // What the buffer still holds has nowhere to go.
            drop(out.into_parts());
            Ok(klines.len())
        }
        Err(error) => Err(error),
    }
}

fn write_all(out: &mut impl Write, klines: &[NamedKline], columns: Columns) -> io::Result<()> {
    header(out, columns)?;
    rows(out, klines, columns)
}

/// Writes what stands above the first kline.
///
/// # Errors
/// Any error of the writer.
pub(crate) fn header(out: &mut impl Write, columns: Columns) -> io::Result<()> {
    if columns.format == Format::Csv {
        writeln!(out, "{HEADER}{}", if columns.with_status { ",status" } else { "" })?;
    }
    Ok(())
}

/// Writes klines, a line each.
///
/// # Errors
/// Any error of the writer.
pub(crate) fn rows(
    out: &mut impl Write,
    klines: &[NamedKline],
    columns: Columns,
) -> io::Result<()> {
    for named in klines {
        match columns.format {
            Format::Csv => csv(out, named, columns.with_status)?,
            Format::Jsonl => json(out, named)?,
        }
    }
    Ok(())
}

fn csv(out: &mut impl Write, named: &NamedKline, with_status: bool) -> io::Result<()> {
    let (kline, precision) = (&named.record.kline, named.precision);
    let (price, volume, quote) = (precision.price(), precision.quantity(), precision.quote());
    write!(
        out,
        "{},{},{},{},{},{},{},{},{},{},{},{},{},0",
        csv_text(&named.symbol),
        named.period,
        kline.open_time,
        kline.open.display(price),
        kline.high.display(price),
        kline.low.display(price),
        kline.close.display(price),
        kline.volume.display(volume),
        named.period.close_time(kline.open_time),
        kline.quote_volume.display(quote),
        kline.trade_count,
        kline.taker_buy_volume.display(volume),
        kline.taker_buy_quote_volume.display(quote),
    )?;
    if with_status {
        write!(out, ",{}", named.record.status)?;
    }
    writeln!(out)
}

fn json(out: &mut impl Write, named: &NamedKline) -> io::Result<()> {
    let (kline, precision) = (&named.record.kline, named.precision);
    let (price, volume, quote) = (precision.price(), precision.quantity(), precision.quote());
    write!(
        out,
        r#"{{"symbol":{},"period":"{}","open_time":{},"close_time":{},"#,
        json_text(&named.symbol),
        named.period,
        kline.open_time,
        named.period.close_time(kline.open_time),
    )?;
    write!(
        out,
        r#""open":"{}","high":"{}","low":"{}","close":"{}","volume":"{}","quote_volume":"{}","#,
        kline.open.display(price),
        kline.high.display(price),
        kline.low.display(price),
        kline.close.display(price),
        kline.volume.display(volume),
        kline.quote_volume.display(quote),
    )?;
    writeln!(
        out,
        r#""count":{},"taker_buy_volume":"{}","taker_buy_quote_volume":"{}","status":"{}"}}"#,
        kline.trade_count,
        kline.taker_buy_volume.display(volume),
        kline.taker_buy_quote_volume.display(quote),
        named.record.status,
    )
}

/// The exchange's symbols need no quotes; a frame may claim any.
fn csv_text(text: &str) -> Cow<'_, str> {
    if text.contains(['"', ',', '\n', '\r']) {
        Cow::Owned(format!("\"{}\"", text.replace('"', "\"\"")))
    } else {
        Cow::Borrowed(text)
    }
}

fn json_text(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            letter if letter.is_control() => {
                let code = format!("\\u{:04x}", u32::from(letter));
                quoted.push_str(&code);
            }
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use klagg_kline::{
        Kline, KlineRecord, KlineStatus, Period, Precision, Price, UnixMillis, Volume,
    };

    use super::*;

    fn kline(symbol: &str) -> NamedKline {
        let price = Price::parse("0.7097").unwrap();
        let volume = Volume::parse("19").unwrap();
        let kline = Kline { volume, ..Kline::flat(UnixMillis(1_729_209_600_000), price) };
        NamedKline {
            symbol: Arc::from(symbol),
            period: Period::M1,
            precision: Precision::new(4, 0).unwrap(),
            record: KlineRecord { kline, revision: 0, status: KlineStatus::Open },
        }
    }

    fn text(symbol: &str, format: Format, with_status: bool) -> String {
        let mut out = Vec::new();
        write(&mut out, &[kline(symbol)], Columns { format, with_status }).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn klines_print_in_the_exchange_s_layout() {
        let row = "APEUSDT,1m,1729209600000,0.7097,0.7097,0.7097,0.7097,19,1729209659999,0.0000,0,\
                   0,0.0000,0";
        assert_eq!(text("APEUSDT", Format::Csv, false), format!("{HEADER}\n{row}\n"));
        assert_eq!(text("APEUSDT", Format::Csv, true), format!("{HEADER},status\n{row},open\n"));
    }

    #[test]
    fn json_lines_are_objects_whatever_the_symbol_is() {
        let line = text("A\"\\\n", Format::Jsonl, false);
        let start = r#"{"symbol":"A\"\\\u000a","period":"1m","open_time":1729209600000,"#;
        assert!(line.starts_with(start), "{line}");
        assert!(line.ends_with("\"taker_buy_quote_volume\":\"0.0000\",\"status\":\"open\"}\n"));
        assert!(text("A,B", Format::Csv, false).contains("\"A,B\",1m,"));
    }

    #[test]
    fn a_reader_that_has_gone_away_is_no_error() {
        struct Gone;
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let columns = Columns { format: Format::Csv, with_status: false };
        assert_eq!(write(Gone, &[kline("A")], columns).unwrap(), 1);
    }
}
