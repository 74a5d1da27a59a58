//! The decoder of one connection: the fast scanner first, the general parser for the rest.

use crate::json::Parser;
use crate::limits::FRAME_BYTES_MAX;
use crate::scan::Window;
use crate::{StreamEvent, WireError, general, scan};

/// Decodes the frames of one connection. Owns reusable buffers: after the first frames it
/// allocates only for events that hold a `String` or a `Vec`.
#[derive(Debug)]
pub struct Decoder {
    window: Window,
    parser: Parser,
}

impl Decoder {
    /// A decoder with small buffers that grow to the largest frame seen.
    pub fn new() -> Self {
        Self { window: Window::new(), parser: Parser::new(1024) }
    }

    /// Decodes one text frame, either combined (`{"stream":…,"data":…}`) or raw.
    ///
    /// # Errors
    /// [`WireError`] says what is wrong with the frame. The decoder stays usable.
    #[inline]
    pub fn decode<'a>(&'a mut self, frame: &'a [u8]) -> Result<StreamEvent<'a>, WireError> {
        let slice = |from, to| std::str::from_utf8(frame.get(from..to)?).ok();
        match scan::trade(&mut self.window, frame, slice) {
            Some(event) => Ok(StreamEvent::Trade(event)),
            None => self.decode_general(frame),
        }
    }

    /// As [`Decoder::decode`], a little faster: a frame that is known to be UTF-8, as text frames
    /// of a WebSocket are, need not be proven to be.
    ///
    /// # Errors
    /// As [`Decoder::decode`].
    #[inline]
    pub fn decode_text<'a>(&'a mut self, frame: &'a str) -> Result<StreamEvent<'a>, WireError> {
        match scan::trade(&mut self.window, frame.as_bytes(), |from, to| frame.get(from..to)) {
            Some(event) => Ok(StreamEvent::Trade(event)),
            None => self.decode_general(frame.as_bytes()),
        }
    }

    /// Decodes one text frame with the general parser only. The same result as
    /// [`Decoder::decode`], slower; for tests and measurements that hold both against each other.
    ///
    /// # Errors
    /// As [`Decoder::decode`].
    #[inline(never)]
    pub fn decode_general<'a>(&'a mut self, frame: &[u8]) -> Result<StreamEvent<'a>, WireError> {
        self.parser.parse(frame, FRAME_BYTES_MAX, general::event)
    }
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}
