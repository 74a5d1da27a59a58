//! The elements of a JSON array, one at a time, however long the array is.
//!
//! Only brackets and strings are understood here; each element is judged by whoever parses it.
//! Arrays may follow one another, as when the pages of a REST reply were appended to one file.

use std::io;

use crate::input::PartReader;
use crate::rows::{ROW_BYTES_MAX, fill};

pub(crate) enum ElementEnd {
    /// A whole element is in the buffer, or its beginning if it is too `long`.
    Element { long: bool },
    /// Nothing is left.
    Part,
    /// The text ended within an array.
    BrokenOff,
}

/// Where in the text the reader stands.
#[derive(Debug, Default)]
pub(crate) struct Elements {
    /// Between the brackets of the outer array.
    in_array: bool,
    /// Brackets open within the element; zero in a bare word.
    depth: u32,
    in_string: bool,
    escaped: bool,
}

/// What a byte did.
enum Step {
    Skip,
    Keep,
    KeepAndEnd,
    EndBefore,
}

impl Elements {
    /// Reads the next element.
    pub(crate) fn read(
        &mut self,
        reader: &mut PartReader,
        element: &mut Vec<u8>,
    ) -> io::Result<ElementEnd> {
        element.clear();
        (self.depth, self.in_string, self.escaped) = (0, false, false);
        let (mut started, mut long) = (false, false);
        loop {
            let Some(bytes) = fill(reader)? else { return Ok(ElementEnd::BrokenOff) };
            if bytes.is_empty() {
                let broken = started || self.in_array;
                return Ok(if broken { ElementEnd::BrokenOff } else { ElementEnd::Part });
            }
            let mut ended = None;
            for (at, &byte) in bytes.iter().enumerate() {
                let step = if started { self.inside(byte) } else { self.between(byte) };
                if let Step::Keep | Step::KeepAndEnd = step {
                    started = true;
                    long |= element.len() == ROW_BYTES_MAX;
                    if !long {
                        element.push(byte);
                    }
                }
                match step {
                    Step::KeepAndEnd => ended = Some(at + 1),
                    Step::EndBefore => ended = Some(at),
                    Step::Skip | Step::Keep => continue,
                }
                break;
            }
            let length = bytes.len();
            reader.consume(ended.unwrap_or(length));
            if ended.is_some() {
                return Ok(ElementEnd::Element { long });
            }
        }
    }

    fn between(&mut self, byte: u8) -> Step {
        match byte {
            b',' | b' ' | b'\t' | b'\r' | b'\n' => return Step::Skip,
            b'[' if !self.in_array => {
                self.in_array = true;
                return Step::Skip;
            }
            b']' if self.in_array => {
                self.in_array = false;
                return Step::Skip;
            }
            b'[' | b'{' => self.depth = 1,
            _ => {}
        }
        Step::Keep
    }

    fn inside(&mut self, byte: u8) -> Step {
        if self.depth == 0 {
            // A bare word: no element we know, but it must not swallow its neighbours.
            return match byte {
                b',' | b'\n' | b'[' | b']' | b'{' => Step::EndBefore,
                _ => Step::Keep,
            };
        }
        if self.in_string {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return Step::Keep;
        }
        match byte {
            b'"' => self.in_string = true,
            b'[' | b'{' => self.depth = self.depth.saturating_add(1),
            b']' | b'}' => self.depth -= 1,
            _ => {}
        }
        if self.depth == 0 { Step::KeepAndEnd } else { Step::Keep }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Cursor};

    use super::*;

    fn check(text: &str, expected: &[&str], broken: bool) {
        for capacity in [1, 3, 4096] {
            let cursor = Cursor::new(text.as_bytes().to_vec());
            let mut reader: PartReader = Box::new(BufReader::with_capacity(capacity, cursor));
            let (mut elements, mut buffer) = (Elements::default(), Vec::new());
            let mut found = Vec::new();
            let end = loop {
                match elements.read(&mut reader, &mut buffer).unwrap() {
                    ElementEnd::Element { .. } => {
                        found.push(String::from_utf8(buffer.clone()).unwrap());
                    }
                    end => break end,
                }
            };
            assert_eq!(found, expected, "{text}");
            assert_eq!(matches!(end, ElementEnd::BrokenOff), broken, "{text}");
        }
    }

    #[test]
    fn elements_are_cut_at_their_own_brackets() {
        check("[]", &[], false);
        check("[{\"a\":1},{\"a\":[2,{}]}]", &["{\"a\":1}", "{\"a\":[2,{}]}"], false);
        check("[[1,\"x\"],\n [2]]\n", &["[1,\"x\"]", "[2]"], false);
        check("[{\"a\":\"]}\\\"{\"}]", &["{\"a\":\"]}\\\"{\"}"], false);
        check("[{\"a\":1}][{\"a\":2}]", &["{\"a\":1}", "{\"a\":2}"], false);
    }

    #[test]
    fn what_is_no_element_does_not_swallow_its_neighbours() {
        check("[null,{\"a\":1}]", &["null", "{\"a\":1}"], false);
        check("[{\"a\":1}] tail", &["{\"a\":1}"], true);
        check("[{\"a\":1},{\"a\":", &["{\"a\":1}"], true);
        check("[{\"a\":1}", &["{\"a\":1}"], true);
    }
}
