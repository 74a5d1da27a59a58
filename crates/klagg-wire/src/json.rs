//! The general JSON reader: simd-json's tape, typed getters with named errors over it.
//!
//! Invariant: whatever reads a field goes through [`Json::fields`], which refuses a key that
//! stands twice.

use klagg_kline::{DecimalError, Price, Quantity, QuoteVolume, UnixMillis, Volume};
use simd_json::{Buffers, ErrorType, Node, StaticNode, Tape};

use crate::limits::{DEPTH_MAX, ID_MAX, SYMBOL_BYTES_MAX, TIME_MAX};
use crate::{Row, WireError};

/// Parses documents, one after the other, into the same buffers.
pub(crate) struct Parser {
    /// The document; strings are unescaped in place.
    bytes: Vec<u8>,
    buffers: Buffers,
    /// Empty between documents; kept for its capacity.
    tape: Tape<'static>,
}

impl Parser {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(capacity),
            buffers: Buffers::with_max_depth(capacity, DEPTH_MAX),
            tape: Tape(Vec::with_capacity(64)),
        }
    }

    /// Parses `input` and hands its root to `read`, whose result may borrow strings.
    pub(crate) fn parse<'p, T>(
        &'p mut self,
        input: &[u8],
        limit: usize,
        read: impl FnOnce(Json<'_, 'p>) -> Result<T, WireError>,
    ) -> Result<T, WireError> {
        if input.len() > limit {
            return Err(WireError::TooLarge { length: input.len(), limit });
        }
        if input.is_empty() {
            return Err(WireError::Syntax { offset: 0, fault: "no bytes at all" });
        }
        self.bytes.clear();
        self.bytes.extend_from_slice(input);
        let mut tape: Tape<'p> = std::mem::replace(&mut self.tape, Tape(Vec::new())).reset();
        let result = simd_json::fill_tape(&mut self.bytes, &mut self.buffers, &mut tape)
            .map_err(|error| syntax_error(&error, input))
            .and_then(|()| read(Json { nodes: &tape.0 }));
        self.tape = tape.reset();
        result
    }
}

impl std::fmt::Debug for Parser {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Parser")
            .field("capacity", &self.bytes.capacity())
            .finish_non_exhaustive()
    }
}

#[cold]
fn syntax_error(error: &simd_json::Error, input: &[u8]) -> WireError {
    let offset = error.index();
    let fault = match error.error() {
        ErrorType::DepthLimitExceeded => return WireError::TooDeep { offset },
        ErrorType::InvalidEscape
        | ErrorType::InvalidUnicodeEscape
        | ErrorType::InvalidUnicodeCodepoint => "a bad escape",
        ErrorType::InvalidNumber | ErrorType::InvalidExponent => "a bad number",
        ErrorType::TrailingData => "more bytes than one value",
        // Faults of the first pass, which does not say where.
        _ if offset == 0 => return broken_text(input),
        ErrorType::Eof | ErrorType::Syntax => "cut short or broken",
        _ => "an unexpected byte",
    };
    WireError::Syntax { offset, fault }
}

/// Finds what is wrong with the texts of a document: not UTF-8, a bare control character inside,
/// no end. Texts may also be fine.
fn broken_text(input: &[u8]) -> WireError {
    if let Err(error) = std::str::from_utf8(input) {
        return WireError::Syntax { offset: error.valid_up_to(), fault: "not UTF-8" };
    }
    let mut start = None;
    let mut bytes = input.iter().enumerate();
    while let Some((offset, &byte)) = bytes.next() {
        match (byte, start) {
            (b'"', None) => start = Some(offset),
            (b'"', Some(_)) => start = None,
            (b'\\', Some(_)) => drop(bytes.next()),
            (0..b' ', Some(_)) => {
                return WireError::Syntax { offset, fault: "a control character in a text" };
            }
            _ => {}
        }
    }
    match start {
        Some(offset) => WireError::Syntax { offset, fault: "a text without an end" },
        None => WireError::Syntax { offset: 0, fault: "cut short, or an unexpected byte" },
    }
}

/// One value of a document.
#[derive(Clone, Copy)]
pub(crate) struct Json<'t, 'i> {
    /// The value's node and all behind it. Empty never, but nothing relies on that.
    nodes: &'t [Node<'i>],
}

impl<'t, 'i> Json<'t, 'i> {
    pub(crate) fn text(self) -> Option<&'i str> {
        match self.nodes.first() {
            Some(&Node::String(text)) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn int(self) -> Option<i64> {
        match self.nodes.first() {
            Some(&Node::Static(StaticNode::I64(value))) => Some(value),
            Some(&Node::Static(StaticNode::U64(value))) => i64::try_from(value).ok(),
            _ => None,
        }
    }

    pub(crate) fn unsigned(self) -> Option<u64> {
        match self.nodes.first() {
            Some(&Node::Static(StaticNode::I64(value))) => u64::try_from(value).ok(),
            Some(&Node::Static(StaticNode::U64(value))) => Some(value),
            _ => None,
        }
    }

    pub(crate) fn flag(self) -> Option<bool> {
        match self.nodes.first() {
            Some(&Node::Static(StaticNode::Bool(value))) => Some(value),
            _ => None,
        }
    }

    pub(crate) fn is_null(self) -> bool {
        matches!(self.nodes.first(), Some(Node::Static(StaticNode::Null)))
    }

    pub(crate) fn is_object(self) -> bool {
        matches!(self.nodes.first(), Some(Node::Object { .. }))
    }

    /// The elements, if this is an array.
    pub(crate) fn elements(self) -> Option<Elements<'t, 'i>> {
        match self.nodes.first() {
            Some(&Node::Array { len, .. }) => {
                Some(Elements { nodes: self.nodes.get(1..)?, left: len })
            }
            _ => None,
        }
    }

    /// Picks the fields with these names; everything else in the object is ignored.
    pub(crate) fn fields<const N: usize>(
        self,
        names: [&'static str; N],
        row: Row,
    ) -> Result<[Field<'t, 'i>; N], WireError> {
        let mut fields = names.map(|name| Field { name, row, value: None });
        let Some(&Node::Object { len, .. }) = self.nodes.first() else {
            return Err(WireError::Shape { row, expected: "an object" });
        };
        let mut members = Elements { nodes: self.nodes.get(1..).unwrap_or(&[]), left: len * 2 };
        while let (Some(key), Some(value)) = (members.next(), members.next()) {
            let Some(key) = key.text() else { continue };
            let Some(field) = fields.iter_mut().find(|field| field.name == key) else { continue };
            if field.value.is_some() {
                return Err(WireError::Duplicate { row, field: field.name });
            }
            field.value = Some(value);
        }
        Ok(fields)
    }
}

/// Values that follow one another: the elements of an array.
pub(crate) struct Elements<'t, 'i> {
    nodes: &'t [Node<'i>],
    left: usize,
}

impl<'t, 'i> Iterator for Elements<'t, 'i> {
    type Item = Json<'t, 'i>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let value = Json { nodes: self.nodes };
        let size = match self.nodes.first()? {
            Node::Object { count, .. } | Node::Array { count, .. } => count + 1,
            Node::String(_) | Node::Static(_) => 1,
        };
        self.nodes = self.nodes.get(size..)?;
        Some(value)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.left))
    }
}

/// A named value that may be missing.
#[derive(Clone, Copy)]
pub(crate) struct Field<'t, 'i> {
    pub(crate) name: &'static str,
    pub(crate) row: Row,
    pub(crate) value: Option<Json<'t, 'i>>,
}

impl<'t, 'i> Field<'t, 'i> {
    pub(crate) fn required(self) -> Result<Json<'t, 'i>, WireError> {
        self.value.ok_or(WireError::Missing { row: self.row, field: self.name })
    }

    pub(crate) fn fault(self, expected: &'static str) -> WireError {
        WireError::Field { row: self.row, field: self.name, expected }
    }

    pub(crate) fn text(self) -> Result<&'i str, WireError> {
        self.required()?.text().ok_or_else(|| self.fault("a text"))
    }

    /// A text that can name a symbol: neither empty nor absurdly long.
    pub(crate) fn symbol(self) -> Result<&'i str, WireError> {
        let text = self.text()?;
        if text.is_empty() || text.len() > SYMBOL_BYTES_MAX {
            return Err(self.fault("a symbol of 1 to 64 bytes"));
        }
        Ok(text)
    }

    pub(crate) fn flag(self) -> Result<bool, WireError> {
        self.required()?.flag().ok_or_else(|| self.fault("true or false"))
    }

    pub(crate) fn int(self) -> Result<i64, WireError> {
        self.required()?.int().ok_or_else(|| self.fault("an integer"))
    }

    pub(crate) fn unsigned(self) -> Result<u64, WireError> {
        self.required()?.unsigned().ok_or_else(|| self.fault("an unsigned integer"))
    }

    pub(crate) fn time(self) -> Result<UnixMillis, WireError> {
        match self.int()? {
            time @ 0..=TIME_MAX => Ok(UnixMillis(time)),
            _ => Err(self.fault("a time in milliseconds from 1970 to 9999")),
        }
    }

    pub(crate) fn id(self) -> Result<i64, WireError> {
        match self.int()? {
            id @ 0..=ID_MAX => Ok(id),
            _ => Err(self.fault("an id from 0 to 2^62 - 1")),
        }
    }

    /// Whether an optional `st` says COIN-M.
    pub(crate) fn is_coin_margined(self) -> Result<bool, WireError> {
        match self.value {
            None => Ok(false),
            Some(_) => Ok(self.int()? == 2),
        }
    }

    fn decimal<T>(self, parse: fn(&str) -> Result<T, DecimalError>) -> Result<T, WireError> {
        parse(self.text()?).map_err(|source| WireError::Decimal {
            row: self.row,
            field: self.name,
            source,
        })
    }

    pub(crate) fn price(self) -> Result<Price, WireError> {
        self.decimal(|text| Price::parse(text))
    }

    pub(crate) fn quantity(self) -> Result<Quantity, WireError> {
        self.decimal(|text| Quantity::parse(text))
    }

    pub(crate) fn volume(self) -> Result<Volume, WireError> {
        self.decimal(|text| Volume::parse(text))
    }

    pub(crate) fn quote_volume(self) -> Result<QuoteVolume, WireError> {
        self.decimal(|text| QuoteVolume::parse(text))
    }

    /// How many decimals the text prints, at most 8.
    pub(crate) fn decimals(self) -> Result<u8, WireError> {
        let text = self.text()?;
        let decimals = text.find('.').map_or(0, |dot| text.len() - dot - 1);
        Ok(u8::try_from(decimals).unwrap_or(8).min(8))
    }
}
