//! A disk that may lose power: what a process wrote and synced, and what could be found of it.
//!
//! As unkind as disks are allowed to be: of what was not synced each sector of 512 bytes may be
//! there or not, each as it was at another moment; a file may be there without what is in it, or
//! its name be missing while its folder was not synced. A failed sync leaves each sector as the
//! dice fall, for good: no later sync brings it to the disk unless it is written again.

use std::collections::BTreeMap;

use crate::model::Dice;
use crate::shim::Record;

const SECTOR: usize = 512;

/// The files in the one folder that is watched.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    files: Vec<File>,
    /// Names as the running system sees them.
    live: BTreeMap<String, usize>,
    /// Names as they are on the disk, and what may have come to it since.
    durable: BTreeMap<String, usize>,
    unsynced_names: Vec<(String, Option<usize>)>,
}

#[derive(Debug, Default)]
struct File {
    durable: Vec<u8>,
    unsynced: Vec<Change>,
}

#[derive(Debug)]
enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Truncate(usize),
}

impl Disk {
    /// Takes in what happened next. `dice` decide what a failed sync loses.
    pub(crate) fn apply(&mut self, record: &Record, dice: &mut Dice) {
        match record {
            Record::Write { name, offset, bytes } => {
                let change = Change::Write { offset: *offset, bytes: bytes.clone() };
                self.file(name).unsynced.push(change);
            }
            Record::Truncate { name, length } => {
                self.file(name).unsynced.push(Change::Truncate(*length));
            }
            Record::Sync { name } if name.is_empty() => {
                self.durable = self.live.clone();
                self.unsynced_names.clear();
            }
            Record::Sync { name } => self.file(name).settle(&Luck::whole()),
            Record::SyncFailed { name } if name.is_empty() => {}
            Record::SyncFailed { name } => self.file(name).settle(&Luck::draw(dice)),
            Record::Unlink { name } => {
                self.live.remove(name);
                self.unsynced_names.push((name.clone(), None));
            }
            Record::Said(_) => {}
        }
    }

    /// What may be found after a power cut now.
    pub(crate) fn image(&self, dice: &mut Dice) -> BTreeMap<String, Vec<u8>> {
        let mut names = self.durable.clone();
        let reached = dice.within(0..self.unsynced_names.len() as u64 + 1);
        for (name, file) in self.unsynced_names.iter().take(usize::try_from(reached).unwrap()) {
            match file {
                Some(file) => names.insert(name.clone(), *file),
                None => names.remove(name),
            };
        }
        let luck = Luck::draw(dice);
        names.into_iter().map(|(name, file)| (name, self.files[file].after(&luck))).collect()
    }

    fn file(&mut self, name: &str) -> &mut File {
        let file = *self.live.entry(name.to_owned()).or_insert_with(|| {
            self.files.push(File::default());
            self.unsynced_names.push((name.to_owned(), Some(self.files.len() - 1)));
            self.files.len() - 1
        });
        &mut self.files[file]
    }
}

impl File {
    /// Its bytes if the unsynced changes fare as `luck` has it.
    fn after(&self, luck: &Luck) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        let count = self.unsynced.len();
        for (at, change) in self.unsynced.iter().enumerate() {
            match change {
                Change::Truncate(length) if luck.reaches(None, at, count) => {
                    bytes.resize(*length, 0);
                }
                Change::Truncate(_) => {}
                Change::Write { offset, bytes: written } => {
                    let mut from = *offset;
                    let end = offset + written.len();
                    while from < end {
                        let to = end.min((from / SECTOR + 1) * SECTOR);
                        if luck.reaches(Some(from / SECTOR), at, count) {
                            if bytes.len() < to {
                                bytes.resize(to, 0);
                            }
                            bytes[from..to].copy_from_slice(&written[from - offset..to - offset]);
                        }
                        from = to;
                    }
                }
            }
        }
        bytes
    }

    fn settle(&mut self, luck: &Luck) {
        self.durable = self.after(luck);
        self.unsynced.clear();
    }
}

/// Which sectors reach the disk: decided for each by itself, the same whenever it is asked.
#[derive(Debug)]
struct Luck {
    seed: u64,
    /// Of a hundred sectors, so many are on the disk as they were last.
    percent: u64,
}

impl Luck {
    fn whole() -> Self {
        Self { seed: 0, percent: 100 }
    }

    fn draw(dice: &mut Dice) -> Self {
        let percent = [0, 10, 50, 90, 100][usize::try_from(dice.within(0..5)).unwrap()];
        Self { seed: dice.next(), percent }
    }

    /// Whether change `at` of `count` reached the disk in this sector, or in the file's length.
    fn reaches(&self, sector: Option<usize>, at: usize, count: usize) -> bool {
        let mixed = sector.map_or(u64::MAX, |sector| sector as u64);
        let mut dice = Dice::new(self.seed ^ mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        dice.within(0..100) < self.percent || (at as u64) < dice.within(0..count as u64 + 1)
    }
}
