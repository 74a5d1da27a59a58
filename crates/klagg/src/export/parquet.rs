//! Klines as Parquet: the columns of the CSV under the same names.
//!
//! Times are UTC timestamps in milliseconds. Numbers are the doubles nearest to their decimals,
//! or exact decimals when asked for: prices `DECIMAL(19, 8)`, volumes `DECIMAL(38, 8)`, quote
//! volumes `DECIMAL(38, 16)`.

mod number;

use std::io::Write;
use std::sync::Arc;

use klagg_kline::{Kline, KlineRecord};
use parquet::basic::{Compression, ZstdLevel};
use parquet::data_type::{
    ByteArray, ByteArrayType, DataType, DoubleType, FixedLenByteArray, FixedLenByteArrayType,
    Int64Type,
};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;

use crate::export::parquet::number::{decimal_bytes, nearest};
use crate::export::span;
use crate::replay::fold::NamedKline;

/// Rows of a row group: what is held in memory, about 30 MiB.
const GROUP_ROWS: usize = 131_072;

const LEVEL: i32 = 3;

/// Bytes of a decimal: enough for its digits.
const PRICE_BYTES: usize = 9;
const VOLUME_BYTES: usize = 16;
/// As many digits as a decimal may have that all readers know.
const DIGITS_MAX: u32 = 38;

/// Where a number stands in a kline and how it is scaled.
#[derive(Debug, Clone, Copy)]
struct Number {
    name: &'static str,
    scale: u32,
    bytes: usize,
    of: fn(&Kline) -> i128,
}

const fn price(name: &'static str, of: fn(&Kline) -> i128) -> Number {
    Number { name, scale: 8, bytes: PRICE_BYTES, of }
}

const fn volume(name: &'static str, scale: u32, of: fn(&Kline) -> i128) -> Number {
    Number { name, scale, bytes: VOLUME_BYTES, of }
}

const PRICES: [Number; 4] = [
    price("open", |kline| i128::from(kline.open.scaled())),
    price("high", |kline| i128::from(kline.high.scaled())),
    price("low", |kline| i128::from(kline.low.scaled())),
    price("close", |kline| i128::from(kline.close.scaled())),
];
const VOLUME: Number = volume("volume", 8, |kline| kline.volume.scaled());
const QUOTE_VOLUME: Number = volume("quote_volume", 16, |kline| kline.quote_volume.scaled());
const TAKER: [Number; 2] = [
    volume("taker_buy_volume", 8, |kline| kline.taker_buy_volume.scaled()),
    volume("taker_buy_quote_volume", 16, |kline| kline.taker_buy_quote_volume.scaled()),
];

/// Gathers a row group, then writes it column by column.
pub(crate) struct ParquetOutput<W: Write + Send> {
    writer: SerializedFileWriter<W>,
    held: Vec<NamedKline>,
    with_status: bool,
    decimal: bool,
}

impl<W: Write + Send> ParquetOutput<W> {
    /// Writes the head.
    pub(crate) fn new(sink: W, with_status: bool, decimal: bool) -> anyhow::Result<Self> {
        let schema = Arc::new(parse_message_type(&schema(with_status, decimal))?);
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(LEVEL)?))
            .set_created_by(concat!("klagg version ", env!("CARGO_PKG_VERSION")).to_owned())
            .build();
        let writer = SerializedFileWriter::new(sink, schema, Arc::new(properties))?;
        Ok(Self { writer, held: Vec::new(), with_status, decimal })
    }

    /// Takes klines; writes whenever a row group is full.
    pub(crate) fn write(&mut self, klines: Vec<NamedKline>) -> anyhow::Result<()> {
        self.held.extend(klines);
        while self.held.len() >= GROUP_ROWS {
            let rest = self.held.split_off(GROUP_ROWS);
            self.write_group()?;
            self.held = rest;
        }
        Ok(())
    }

    /// Writes what is held, and the foot.
    pub(crate) fn finish(&mut self) -> anyhow::Result<()> {
        if !self.held.is_empty() {
            self.write_group()?;
        }
        self.writer.finish()?;
        self.writer.inner_mut().flush()?;
        Ok(())
    }

    fn write_group(&mut self) -> anyhow::Result<()> {
        let rows = std::mem::take(&mut self.held);
        let mut group = self.writer.next_row_group()?;
        texts(&mut group, &rows, |row| ByteArray::from(row.symbol.as_bytes().to_vec()))?;
        texts(&mut group, &rows, |row| ByteArray::from(row.period.as_str()))?;
        integers(&mut group, &rows, |row| row.record.kline.open_time.0)?;
        for number in PRICES.iter().chain([&VOLUME]) {
            numbers(&mut group, &rows, *number, self.decimal)?;
        }
        integers(&mut group, &rows, |row| row.period.close_time(row.record.kline.open_time).0)?;
        numbers(&mut group, &rows, QUOTE_VOLUME, self.decimal)?;
        integers(&mut group, &rows, |row| row.record.kline.trade_count.cast_signed())?;
        for number in TAKER {
            numbers(&mut group, &rows, number, self.decimal)?;
        }
        if self.with_status {
            let status = |record: &KlineRecord| ByteArray::from(record.status.as_str());
            texts(&mut group, &rows, |row| status(&row.record))?;
        }
        group.close()?;
        Ok(())
    }
}

/// The columns, in the order in which groups are written.
fn schema(with_status: bool, decimal: bool) -> String {
    let number = |number: &Number| {
        let Number { name, scale, bytes, .. } = *number;
        let digits = if bytes == PRICE_BYTES { 19 } else { DIGITS_MAX };
        if decimal {
            format!("REQUIRED FIXED_LEN_BYTE_ARRAY({bytes}) {name} (DECIMAL({digits},{scale}));\n")
        } else {
            format!("REQUIRED DOUBLE {name};\n")
        }
    };
    let prices: String = PRICES.iter().map(number).collect();
    let (volume, quote_volume) = (number(&VOLUME), number(&QUOTE_VOLUME));
    let taker: String = TAKER.iter().map(number).collect();
    let status = if with_status { "REQUIRED BYTE_ARRAY status (STRING);\n" } else { "" };
    format!(
        "message klines {{
            REQUIRED BYTE_ARRAY symbol (STRING);
            REQUIRED BYTE_ARRAY period (STRING);
            REQUIRED INT64 open_time (TIMESTAMP(MILLIS,true));
            {prices}{volume}
            REQUIRED INT64 close_time (TIMESTAMP(MILLIS,true));
            {quote_volume}
            REQUIRED INT64 count;
            {taker}{status}
        }}"
    )
}

fn column<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, impl Write + Send>,
    values: &[T::T],
) -> anyhow::Result<()> {
    let column = group.next_column()?;
    let mut column = column.ok_or_else(|| anyhow::anyhow!("a column too many"))?;
    column.typed::<T>().write_batch(values, None, None)?;
    column.close()?;
    Ok(())
}

fn texts(
    group: &mut SerializedRowGroupWriter<'_, impl Write + Send>,
    rows: &[NamedKline],
    of: impl Fn(&NamedKline) -> ByteArray,
) -> anyhow::Result<()> {
    column::<ByteArrayType>(group, &rows.iter().map(of).collect::<Vec<_>>())
}

fn integers(
    group: &mut SerializedRowGroupWriter<'_, impl Write + Send>,
    rows: &[NamedKline],
    of: impl Fn(&NamedKline) -> i64,
) -> anyhow::Result<()> {
    column::<Int64Type>(group, &rows.iter().map(of).collect::<Vec<_>>())
}

fn numbers(
    group: &mut SerializedRowGroupWriter<'_, impl Write + Send>,
    rows: &[NamedKline],
    number: Number,
    decimal: bool,
) -> anyhow::Result<()> {
    let scaled = rows.iter().map(|row| (number.of)(&row.record.kline));
    if decimal {
        // An `i128` has half a digit more than the column.
        let is_too_large = |value: i128| value.unsigned_abs() >= 10_u128.pow(DIGITS_MAX);
        if let Some(row) = rows.iter().find(|row| is_too_large((number.of)(&row.record.kline))) {
            let open_time = span::shown(row.record.kline.open_time);
            let (name, symbol, period) = (number.name, &row.symbol, row.period);
            anyhow::bail!(
                "the {name} of {symbol} {period} at {open_time} has more than {DIGITS_MAX} digits: \
                 export without --decimal"
            );
        }
        let bytes = |value| FixedLenByteArray::from(decimal_bytes(value, number.bytes));
        return column::<FixedLenByteArrayType>(group, &scaled.map(bytes).collect::<Vec<_>>());
    }
    let doubles: Vec<f64> = scaled.map(|value| nearest(value, number.scale)).collect();
    column::<DoubleType>(group, &doubles)
}
