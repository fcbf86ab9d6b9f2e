//! Several files, one document.

use super::{
    report::Report,
    tree::{Entry, NodeId, Place, Tree, push_key},
};
use crate::document::{Document, text::Flaw};
use std::collections::HashMap;

/// The sections that may be spread over files.
const SECTIONS: &[&str] = &["edge", "certificates", "origins", "sites"];

/// The document that all files make together, and its root. The error is of serde: the schema let something pass that
/// the types refuse.
pub(super) fn merge(
    tree: &mut Tree,
    files: &[NodeId],
    report: &mut Report<'_>,
) -> Result<(Document, NodeId), serde_json::Error> {
    let mut sections = Vec::new();
    for name in SECTIONS {
        if let Some(section) = merge_section(tree, files, name, report) {
            sections.push(section);
        }
    }
    let start = Place {
        file: 0,
        line: 1,
        column: 1,
    };
    let root = tree.gather(start, sections);
    let document = serde_json::from_value(tree.to_json(root))?;
    Ok((document, root))
}

fn merge_section(
    tree: &mut Tree,
    files: &[NodeId],
    name: &str,
    report: &mut Report<'_>,
) -> Option<Entry> {
    let written: Vec<Entry> = (files.iter())
        .filter_map(|file| {
            tree.entry(*file, name)
                .filter(|entry| tree.is_sound(entry.node))
                .cloned()
        })
        .collect();
    let first = written.first()?;
    if written.len() == 1 {
        return Some(first.clone());
    }
    let mut seen: HashMap<String, Place> = HashMap::new();
    let mut entries = Vec::new();
    for entry in written
        .iter()
        .flat_map(|section| tree.entries(section.node))
    {
        let Some(first) = seen.get(&entry.key) else {
            seen.insert(entry.key.clone(), entry.key_place);
            entries.push(entry.clone());
            continue;
        };
        let mut path = name.to_owned();
        push_key(&mut path, &entry.key);
        let flaw = Flaw::new(format!("`{}` is written twice", entry.key)).help(format!(
            "the first one is at {}; keep one of them",
            report.name_place(*first)
        ));
        report.add(entry.key_place, path, flaw);
    }
    let node = tree.gather(first.key_place, entries);
    Some(Entry {
        node,
        ..first.clone()
    })
}
