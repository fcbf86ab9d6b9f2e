//! From octets to fields.

use super::{Bad, field::Field, huffman, table::Table};
use bytes::Bytes;
use std::sync::Arc;

/// The size of the table that we let the client have, which is what we announce by saying nothing (RFC 9113 §6.5.2).
const TABLE_BYTES_MAX: usize = 4_096;
/// No index and no length is as large; more octets than these five make none larger.
const NUMBER_MAX: u64 = 1 << 28;
const NUMBER_OCTETS_MAX: u32 = 5;

/// Reads the blocks of one connection, in their order.
#[derive(Debug)]
pub struct Decoder {
    table: Table,
}

/// The fields of a block.
#[derive(Debug, Default)]
pub struct List {
    /// In their order, as far as they are within what was asked for.
    pub fields: Vec<Arc<Field>>,
    /// Of all of them (RFC 9113 §6.5.2).
    pub bytes: usize,
}

impl Default for Decoder {
    fn default() -> Self {
        Self {
            table: Table::new(TABLE_BYTES_MAX),
        }
    }
}

impl Decoder {
    /// Reads a whole block into a list that is empty. Fields beyond `bytes_max` are counted, and not kept.
    pub fn read(&mut self, mut block: &[u8], bytes_max: usize, list: &mut List) -> Result<(), Bad> {
        let mut may_resize = true;
        while let Some(first) = block.first().copied() {
            let field = match first {
                0x80.. => {
                    let index = number(&mut block, 7)?;
                    self.table.get(index).cloned().ok_or(Bad)?
                }
                0x40.. => {
                    let field = Arc::new(self.literal(&mut block, 6, false)?);
                    self.table.insert(field.clone());
                    field
                }
                0x20.. => {
                    let bytes = number(&mut block, 5)?;
                    if !may_resize || bytes > TABLE_BYTES_MAX {
                        return Err(Bad);
                    }
                    self.table.resize(bytes);
                    continue;
                }
                _ => Arc::new(self.literal(&mut block, 4, first & 0x10 != 0)?),
            };
            may_resize = false;
            let bytes = field.bytes();
            if list.bytes + bytes <= bytes_max {
                list.fields.push(field);
            }
            list.bytes = list.bytes.saturating_add(bytes);
        }
        Ok(())
    }

    fn literal(&self, block: &mut &[u8], prefix: u32, is_secret: bool) -> Result<Field, Bad> {
        match number(block, prefix)? {
            0 => {
                let name = string(block)?;
                Ok(Field::new(name, string(block)?, is_secret))
            }
            index => {
                let known = self.table.get(index).ok_or(Bad)?;
                Ok(known.with(string(block)?, is_secret))
            }
        }
    }

    #[cfg(test)]
    pub(super) fn table_bytes(&self) -> usize {
        self.table.bytes()
    }
}

/// A number whose first octet has so many bits of it (§5.1).
fn number(octets: &mut &[u8], prefix: u32) -> Result<usize, Bad> {
    let mask = (1_u64 << prefix) - 1;
    let mut value = u64::from(take(octets)?) & mask;
    if value < mask {
        return Ok(value as usize);
    }
    for place in 0..NUMBER_OCTETS_MAX {
        let octet = take(octets)?;
        value += u64::from(octet & 0x7f) << (7 * place);
        if value > NUMBER_MAX {
            return Err(Bad);
        }
        if octet & 0x80 == 0 {
            return Ok(value as usize);
        }
    }
    Err(Bad)
}

/// A string (§5.2).
fn string(octets: &mut &[u8]) -> Result<Bytes, Bad> {
    let is_coded = octets.first().ok_or(Bad)? & 0x80 != 0;
    let length = number(octets, 7)?;
    let (text, rest) = octets.split_at_checked(length).ok_or(Bad)?;
    *octets = rest;
    if !is_coded {
        return Ok(Bytes::copy_from_slice(text));
    }
    let mut decoded = Vec::with_capacity(length + length / 2);
    huffman::decode(text, &mut decoded)?;
    Ok(decoded.into())
}

fn take(octets: &mut &[u8]) -> Result<u8, Bad> {
    let (first, rest) = octets.split_first().ok_or(Bad)?;
    *octets = rest;
    Ok(*first)
}
