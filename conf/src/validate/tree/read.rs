//! From YAML text to nodes. Bounded in nodes and depth, aliases expanded, merge keys (`<<`) obeyed; whatever YAML allows
//! and a policy has no use for is an error at its place.

use super::{
    DEPTH_MAX, Entry, NodeId, Place, Step, Tree, Value,
    copy::Bound,
    open::{Inside, Key, Open, path_of},
    scalar,
};
use crate::document::text::Flaw;
use crate::validate::report::Report;
use serde_saphyr::granit_parser::{Event, Marker, Options, Parser, ScalarStyle, Span, Tag};
use std::collections::HashMap;

/// The root of one file; none when the text can't be read or says nothing. What is wrong is in the report.
pub(in crate::validate) fn read(
    tree: &mut Tree,
    file: usize,
    text: &str,
    report: &mut Report<'_>,
) -> Read {
    let mut reader = Reader {
        tree,
        report,
        file,
        open: Vec::new(),
        anchors: HashMap::new(),
        root: None,
        documents: 0,
    };
    let mut options = Options::default();
    options.set_emit_comments(false);
    for event in Parser::new_from_str_with_options(text, options) {
        let outcome = match event {
            Ok((event, span)) => reader.event(event, &span),
            Err(error) => Err(Stop::new(
                reader.place(error.marker()),
                syntax(&error.info()),
            )),
        };
        if let Err(stop) = outcome {
            reader.report.add(stop.place, String::new(), stop.flaw);
            return Read::Broken;
        }
    }
    reader.root.map_or(Read::Empty, Read::Root)
}

/// What became of a file.
#[derive(Debug, Clone, Copy)]
pub(in crate::validate) enum Read {
    /// It has a value.
    Root(NodeId),
    /// It has none: comments at most.
    Empty,
    /// It is not understood.
    Broken,
}

/// Why reading can't go on.
struct Stop {
    place: Place,
    flaw: Flaw,
}

impl Stop {
    fn new(place: Place, flaw: Flaw) -> Self {
        Self { place, flaw }
    }
}

struct Reader<'r, 'b> {
    tree: &'r mut Tree,
    report: &'r mut Report<'b>,
    file: usize,
    open: Vec<Open>,
    anchors: HashMap<usize, NodeId>,
    root: Option<NodeId>,
    documents: usize,
}

impl Reader<'_, '_> {
    fn place(&self, marker: &Marker) -> Place {
        Place {
            file: self.file,
            line: marker.line(),
            column: marker.col() + 1,
        }
    }

    fn event(&mut self, event: Event<'_>, span: &Span) -> Result<(), Stop> {
        let place = self.place(&span.start);
        match event {
            Event::DocumentStart(..) => self.begin_document(place),
            Event::Scalar(text, style, anchor, tag) => {
                self.scalar(&text, style, anchor, tag.as_deref(), span)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.begin(Inside::List(Vec::new()), anchor, tag.as_deref(), span)
            }
            Event::MappingStart(_, anchor, tag) => {
                let inside = Inside::Map {
                    entries: Vec::new(),
                    seen: HashMap::new(),
                    key: None,
                    merged: Vec::new(),
                };
                self.begin(inside, anchor, tag.as_deref(), span)
            }
            Event::SequenceEnd | Event::MappingEnd => {
                self.end();
                Ok(())
            }
            Event::Alias(anchor) => self.alias(anchor, place),
            _ => Ok(()),
        }
    }

    fn begin_document(&mut self, place: Place) -> Result<(), Stop> {
        self.documents += 1;
        if self.documents > 1 {
            let flaw =
                Flaw::new("a second YAML document in one file").help("put it in a file of its own");
            return Err(Stop::new(place, flaw));
        }
        Ok(())
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Tag>,
        span: &Span,
    ) -> Result<(), Stop> {
        let place = self.place(&span.start);
        let forced_text = self.tag(tag, span);
        if self.expects_key() {
            self.key(text, style, place);
            return Ok(());
        }
        if self.is_under_secret() {
            self.report
                .hide(self.file, span.start.line()..=span.end.line());
        }
        let value = match style {
            ScalarStyle::Plain if !forced_text => scalar::resolve(text),
            _ => Value::Text(text.to_owned()),
        };
        let id = self.add(place, value)?;
        self.complete(id, anchor);
        Ok(())
    }

    /// Whether the tag makes a text of a plain scalar. Tags of other kinds have no meaning in a policy.
    fn tag(&mut self, tag: Option<&Tag>, span: &Span) -> bool {
        let Some(tag) = tag else { return false };
        if !tag.is_yaml_core_schema() {
            let flaw = Flaw::new(format!("the tag `{}` means nothing here", tag.original()))
                .help("leave it out");
            let place = self.place(&span.tag_start().unwrap_or(span.start));
            self.report.add(place, String::new(), flaw);
        }
        tag.is_yaml_core_schema_tag("str")
    }

    fn begin(
        &mut self,
        inside: Inside,
        anchor: usize,
        tag: Option<&Tag>,
        span: &Span,
    ) -> Result<(), Stop> {
        let place = self.place(&span.start);
        self.tag(tag, span);
        if self.expects_key() {
            return Err(Stop::new(
                place,
                Flaw::new("a key must be text, not a list or a mapping"),
            ));
        }
        if self.open.len() >= DEPTH_MAX {
            return Err(Stop::new(place, Bound::Depth.flaw()));
        }
        let id = self.add(place, Value::Null)?;
        self.open.push(Open { id, anchor, inside });
        Ok(())
    }

    fn end(&mut self) {
        let Some(open) = self.open.pop() else { return };
        let value = match open.inside {
            Inside::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.tree.attach(*item, open.id, Step::Index(index));
                }
                Value::List(items)
            }
            Inside::Map {
                mut entries,
                mut seen,
                merged,
                ..
            } => {
                for source in merged {
                    self.merge(source, &mut entries, &mut seen);
                }
                for entry in &entries {
                    self.tree
                        .attach(entry.node, open.id, Step::Key(entry.key.clone()));
                }
                Value::Map(entries)
            }
        };
        self.tree.nodes[open.id.0].value = value;
        self.complete(open.id, open.anchor);
    }

    /// Takes over the entries of a merged mapping that are not written here.
    fn merge(
        &mut self,
        source: NodeId,
        entries: &mut Vec<Entry>,
        seen: &mut HashMap<String, Place>,
    ) {
        match &self.tree.node(source).value {
            Value::Map(theirs) => {
                for entry in theirs.clone() {
                    if seen.insert(entry.key.clone(), entry.key_place).is_none() {
                        entries.push(entry);
                    }
                }
            }
            Value::List(sources)
                if sources
                    .iter()
                    .all(|id| matches!(self.tree.node(*id).value, Value::Map(_))) =>
            {
                for source in sources.clone() {
                    self.merge(source, entries, seen);
                }
            }
            _ => {
                let flaw = Flaw::new("`<<` takes a mapping or a list of mappings")
                    .help("write `<<: *anchor`");
                self.report
                    .add(self.tree.node(source).place, String::new(), flaw);
            }
        }
    }

    fn expects_key(&self) -> bool {
        matches!(
            self.open.last(),
            Some(Open {
                inside: Inside::Map { key: None, .. },
                ..
            })
        )
    }

    /// Whether what comes now stands under a key whose value is never shown, however deep.
    fn is_under_secret(&self) -> bool {
        self.open.iter().any(|open| match &open.inside {
            Inside::Map {
                key: Some(Key::Named(name, _)),
                ..
            } => holds_secret(name),
            _ => false,
        })
    }

    fn key(&mut self, text: &str, style: ScalarStyle, place: Place) {
        let Some(Open {
            inside: Inside::Map { seen, key, .. },
            ..
        }) = self.open.last_mut()
        else {
            return;
        };
        if text == "<<" && style == ScalarStyle::Plain {
            *key = Some(Key::Merge);
            return;
        }
        let first = seen.get(text).copied();
        *key = Some(match first {
            None => {
                seen.insert(text.to_owned(), place);
                Key::Named(text.to_owned(), place)
            }
            Some(_) => Key::Refused,
        });
        if let Some(first) = first {
            let mut path = path_of(&self.open);
            super::push_key(&mut path, text);
            let flaw = Flaw::new(format!("`{text}` is written twice")).help(format!(
                "the first one is in line {}; keep one of them",
                first.line
            ));
            self.report.add(place, path, flaw);
        }
    }

    fn alias(&mut self, anchor: usize, place: Place) -> Result<(), Stop> {
        if self.expects_key() {
            return Err(Stop::new(
                place,
                Flaw::new("a key can't be an alias").help("write the key itself"),
            ));
        }
        let Some(target) = self.anchors.get(&anchor).copied() else {
            return Err(Stop::new(
                place,
                Flaw::new("an alias can't stand inside of what it names"),
            ));
        };
        let copy = self
            .tree
            .copy(target, self.open.len())
            .map_err(|bound| Stop::new(place, bound.flaw()))?;
        self.complete(copy, 0);
        Ok(())
    }

    /// A finished value goes to where it belongs.
    fn complete(&mut self, id: NodeId, anchor: usize) {
        if anchor != 0 {
            self.anchors.insert(anchor, id);
        }
        match self.open.last_mut().map(|open| &mut open.inside) {
            None => self.root = Some(id),
            Some(Inside::List(items)) => items.push(id),
            Some(Inside::Map {
                entries,
                key,
                merged,
                ..
            }) => match key.take() {
                Some(Key::Named(name, key_place)) => entries.push(Entry {
                    key: name,
                    key_place,
                    node: id,
                }),
                Some(Key::Merge) => merged.push(id),
                Some(Key::Refused) | None => {}
            },
        }
    }

    fn add(&mut self, place: Place, value: Value) -> Result<NodeId, Stop> {
        self.tree
            .add_bounded(place, value)
            .map_err(|bound| Stop::new(place, bound.flaw()))
    }
}

/// Keys whose values are never shown: secrets, and what should name one and may be one by mistake.
pub(in crate::validate) fn holds_secret(key: &str) -> bool {
    const KEYS: [&str; 6] = [
        "secret",
        "access_key",
        "secret_key",
        "session_token",
        "value",
        "ref",
    ];
    KEYS.contains(&key) || key.eq_ignore_ascii_case("authorization")
}

fn syntax(info: &str) -> Flaw {
    let flaw = Flaw::new(format!("not YAML: {info}"));
    match info {
        _ if info.contains("tab") => flaw.help("indent with spaces"),
        _ if info.contains("expected key") => {
            flaw.help("keys of one mapping start in one column: check the indentation")
        }
        _ if info.contains("unknown anchor") => {
            flaw.help("`&name` stands before `*name`, in the same file")
        }
        _ => flaw,
    }
}
