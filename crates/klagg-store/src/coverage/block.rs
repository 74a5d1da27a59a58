//! The table `coverage`: the slots of a period, [`BLOCK_SYMBOLS`] symbols in a row.
//!
//! When a minute ends, every symbol's watermark moves. A row for each would cost nearly as much as
//! its kline does; packed, all symbols of a minute are a few dozen rows. A block holds its slots
//! in the order of their symbols, those of which nothing is known at its end left out, and then a
//! CRC-32 over all that and the block's place.

use klagg_kline::{Period, SymbolId, UnixMillis};
use rusqlite::{Connection, OptionalExtension, params};

use crate::Coverage;
use crate::coverage::{Slot, SlotKey, Slots};
use crate::schema::{period_number, period_of};

/// Symbols in a block; five blocks fill a page. Part of the schema.
const BLOCK_SYMBOLS: u32 = 32;

/// Bits of a block's place below the period's.
const PLACE_BITS: u32 = 32;

/// Which of the three pairs are there, and the pairs.
const SLOT_BYTES: usize = 1 + 3 * 16;

/// Where the slots of a block lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    period: Period,
    number: u32,
}

impl Place {
    /// The block that a slot is in.
    fn of((symbol, period): SlotKey) -> Self {
        Self { period, number: symbol.0 / BLOCK_SYMBOLS }
    }

    /// The slots that it holds.
    fn keys(self) -> impl Iterator<Item = SlotKey> {
        let first = self.number.saturating_mul(BLOCK_SYMBOLS);
        let symbols = first..first.saturating_add(BLOCK_SYMBOLS);
        symbols.map(move |symbol| (SymbolId(symbol), self.period))
    }

    fn to_column(self) -> i64 {
        (period_number(self.period) << PLACE_BITS) | i64::from(self.number)
    }

    fn from_column(column: i64) -> Option<Self> {
        let period = period_of(column >> PLACE_BITS)?;
        let number = u32::try_from(column & ((1 << PLACE_BITS) - 1)).ok()?;
        Some(Self { period, number })
    }
}

/// Where in its block a symbol stands.
fn place_in_block(symbol: SymbolId) -> usize {
    (symbol.0 % BLOCK_SYMBOLS) as usize
}

/// Writes the blocks that hold `changed`, which are sorted by period, then symbol; their other
/// slots are as they are `known`.
pub(crate) fn save(
    changed: &[(SlotKey, Slot)],
    known: &Slots,
    connection: &Connection,
) -> rusqlite::Result<()> {
    debug_assert!(changed.is_sorted_by_key(|((symbol, period), _)| (*period, *symbol)));
    let mut saving = connection
        .prepare_cached("INSERT OR REPLACE INTO coverage (place, slots) VALUES (?1, ?2)")?;
    for changed in changed.chunk_by(|(left, _), (right, _)| Place::of(*left) == Place::of(*right)) {
        let place = Place::of(changed[0].0);
        let mut slots: Vec<Slot> = place.keys().map(|key| known.get(key)).collect();
        for ((symbol, _), slot) in changed {
            slots[place_in_block(*symbol)] = *slot;
        }
        saving.execute(params![place.to_column(), pack(place, &slots)])?;
    }
    Ok(())
}

/// Hands out everything that is known. False if a block is damaged.
pub(crate) fn load(
    connection: &Connection,
    mut each: impl FnMut(SlotKey, Slot),
) -> rusqlite::Result<bool> {
    let mut statement = connection.prepare("SELECT place, slots FROM coverage")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let packed = row.get_ref(1)?.as_blob()?;
        let Some(place) = Place::from_column(row.get(0)?) else { return Ok(false) };
        let Some(slots) = proven(place, packed) else { return Ok(false) };
        place.keys().zip(slots).for_each(|(key, slot)| each(key, unpack(slot)));
    }
    Ok(true)
}

/// What is known of one slot. `None` if its block is damaged.
pub(crate) fn read(connection: &Connection, key: SlotKey) -> rusqlite::Result<Option<Slot>> {
    let place = Place::of(key);
    let of = |slots: &[_]| slots.get(place_in_block(key.0)).map(unpack).unwrap_or_default();
    let slot = connection
        .prepare_cached("SELECT slots FROM coverage WHERE place = ?1")?
        .query_row([place.to_column()], |row| Ok(proven(place, row.get_ref(0)?.as_blob()?).map(of)))
        .optional()?;
    Ok(slot.unwrap_or_else(|| Some(Slot::default())))
}

fn pack(place: Place, slots: &[Slot]) -> Vec<u8> {
    let used = slots.iter().rposition(|slot| slot.stored.is_some()).map_or(0, |last| last + 1);
    let mut packed = Vec::with_capacity(used * SLOT_BYTES + size_of::<u32>());
    for slot in &slots[..used] {
        let pairs = [slot.run.map(|run| (run.from, run.until)), slot.confirmed, slot.stored];
        packed.push((0..).zip(pairs).map(|(bit, pair)| u8::from(pair.is_some()) << bit).sum());
        for pair in pairs {
            let (first, second) = pair.unwrap_or_default();
            packed.extend_from_slice(&first.0.to_le_bytes());
            packed.extend_from_slice(&second.0.to_le_bytes());
        }
    }
    let proof = checksum(place, &packed);
    packed.extend_from_slice(&proof.to_le_bytes());
    packed
}

/// The slots of a block, as many as it holds. `None` if it is damaged.
fn proven(place: Place, packed: &[u8]) -> Option<&[[u8; SLOT_BYTES]]> {
    let (slots, proof) = packed.split_last_chunk()?;
    if u32::from_le_bytes(*proof) != checksum(place, slots) {
        return None;
    }
    let (slots, rest) = slots.as_chunks();
    (rest.is_empty() && slots.len() <= BLOCK_SYMBOLS as usize).then_some(slots)
}

fn unpack(bytes: &[u8; SLOT_BYTES]) -> Slot {
    let (times, _) = bytes[1..].as_chunks();
    let time = |at: usize| UnixMillis(i64::from_le_bytes(times[at]));
    let pair = |at: usize| {
        let is_there = (bytes[0] >> at) & 1 == 1;
        is_there.then(|| (time(2 * at), time(2 * at + 1)))
    };
    let run = pair(0).map(|(from, until)| Coverage { from, until });
    Slot { run, confirmed: pair(1), stored: pair(2), open: None }
}

fn checksum(place: Place, slots: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&place.to_column().to_le_bytes());
    hasher.update(slots);
    hasher.finalize()
}
