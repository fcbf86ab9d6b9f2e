//! Content events: each purges what it names, once, however old it is.

use super::{Control, Purged, Refused, purges::Purge};
use crate::{
    fold::{event_name, within_window},
    identity::Caller,
};
use latencify_conf::{
    api::PurgeTarget,
    change::Mode,
    event::{Content, ContentEvent},
};

/// The most bytes of a source that are repeated as the author of an entry.
const BY_BYTES_MAX: usize = 200;

impl Control {
    /// Takes a content event: purges what it names, if the caller may (none: it came by Kafka), unless the same event was
    /// there before.
    pub async fn take_event(
        &self,
        event: ContentEvent,
        caller: Option<&Caller>,
    ) -> Result<Purged, Refused> {
        let earlier = self.fleet.store.original(&event_name(&event.id)).await?;
        let applied = self.fleet.fold.state().applied;
        if let Some(original) = earlier.filter(|original| within_window(original, applied)) {
            return Ok(Purged {
                id: original.id,
                epoch: original.epoch,
                repeat: true,
            });
        }
        let mode = if event.content.soft {
            Mode::Soft
        } else {
            Mode::Hard
        };
        let by = format!("event:{}", cut(&event.id.source));
        let targets = targets(event.content);
        let purge = Purge {
            by: &by,
            key: None,
            mode,
            event: Some(event.id),
        };
        self.purge_named(purge, &targets, caller).await
    }
}

fn targets(content: Content) -> Vec<PurgeTarget> {
    let Content {
        urls,
        prefixes,
        tags,
        site,
        ..
    } = content;
    if let (true, Some(site)) = (
        urls.is_empty() && prefixes.is_empty() && tags.is_empty(),
        &site,
    ) {
        return vec![PurgeTarget::Site(site.clone())];
    }
    let tags = tags.into_iter().map(|tag| PurgeTarget::Tag {
        tag,
        site: site.clone(),
    });
    urls.into_iter()
        .map(PurgeTarget::Url)
        .chain(prefixes.into_iter().map(PurgeTarget::Prefix))
        .chain(tags)
        .collect()
}

fn cut(text: &str) -> &str {
    let end = (0..=BY_BYTES_MAX.min(text.len()))
        .rev()
        .find(|&at| text.is_char_boundary(at))
        .unwrap_or(0);
    text.get(..end).unwrap_or_default()
}
