//! Two trees of parts → what differs.

use super::{
    ChangeKind, PolicyChange,
    part::{Fact, Part},
};
use std::collections::{HashMap, HashSet};

/// What differs from one tree to the other.
pub(super) fn parts(from: &Part, to: &Part) -> Vec<PolicyChange> {
    let mut changes = Vec::new();
    inside(&mut Vec::new(), from, to, &mut changes);
    changes
}

fn inside(path: &mut Vec<String>, from: &Part, to: &Part, changes: &mut Vec<PolicyChange>) {
    facts(path, from, to, changes);
    let (before, after) = (by_name(&from.parts), by_name(&to.parts));
    for part in &from.parts {
        path.push(part.name.clone());
        match after.get(part.name.as_str()) {
            Some(then) => inside(path, part, then, changes),
            None => changes.push(change(path, Some(part.short.clone()), None)),
        }
        path.pop();
    }
    for part in &to.parts {
        if !before.contains_key(part.name.as_str()) {
            path.push(part.name.clone());
            changes.push(change(path, None, Some(part.short.clone())));
            path.pop();
        }
    }
    order(path, from, to, changes);
}

fn facts(path: &mut Vec<String>, from: &Part, to: &Part, changes: &mut Vec<PolicyChange>) {
    let of = |part: &Part, name: &str| part.facts.iter().find(|fact| fact.name == name).cloned();
    let mut seen = HashSet::new();
    for name in from.facts.iter().chain(&to.facts).map(|fact| &fact.name) {
        let (was, is) = (of(from, name), of(to, name));
        if was == is || !seen.insert(name) {
            continue;
        }
        let differs_unseen = matches!((&was, &is), (Some(was), Some(is)) if was.shown == is.shown);
        let shown = |fact: Option<Fact>| fact.map(|fact| fact.shown);
        let to = if differs_unseen {
            is.map(|fact| format!("another {}", fact.shown))
        } else {
            shown(is)
        };
        path.push(name.clone());
        changes.push(change(path, shown(was), to));
        path.pop();
    }
}

/// Whether parts that are on both sides stand in another order, where that decides something.
fn order(path: &mut Vec<String>, from: &Part, to: &Part, changes: &mut Vec<PolicyChange>) {
    let Some(what) = to.order.or(from.order) else {
        return;
    };
    let names = |part: &Part, other: &Part| -> Vec<String> {
        let others = by_name(&other.parts);
        let both = |part: &&Part| others.contains_key(part.name.as_str());
        part.parts
            .iter()
            .filter(both)
            .map(|part| part.name.clone())
            .collect()
    };
    let (was, is) = (names(from, to), names(to, from));
    if was != is {
        path.push(what.to_owned());
        changes.push(change(path, Some(was.join(", ")), Some(is.join(", "))));
        path.pop();
    }
}

fn by_name(parts: &[Part]) -> HashMap<&str, &Part> {
    parts
        .iter()
        .map(|part| (part.name.as_str(), part))
        .collect()
}

fn change(path: &[String], from: Option<String>, to: Option<String>) -> PolicyChange {
    let kind = match (&from, &to) {
        (None, _) => ChangeKind::Added,
        (_, None) => ChangeKind::Removed,
        _ => ChangeKind::Changed,
    };
    PolicyChange {
        path: path.to_vec(),
        kind,
        from,
        to,
    }
}
