//! What we send.

use super::{ENHANCE_YOUR_CALM, Goodbye, INITIAL_WINDOW_SIZE, NO_ERROR, Watch};
use crate::{
    listen::http2::{
        frames::{Event, Frame, STREAM_MAX, kind},
        library::{PROVOKED, REFUSED_STREAM, of_library},
    },
    observe::Ended,
};
use std::time::Instant;

impl Watch {
    pub(super) fn our(&mut self, event: Event, now: Instant) {
        match event {
            Event::Begin(frame) => match frame.kind {
                kind::DATA => {
                    self.flow.send -= i64::from(frame.length);
                    self.data_sent += u64::from(frame.length);
                    self.credit.data_went(frame.length);
                    if let Some(stream) = self.streams.get_mut(&frame.stream) {
                        stream.sends(frame.length);
                    }
                }
                kind::SETTINGS if frame.is_ack() => self.terms.our_ack(),
                kind::SETTINGS => self.terms.our_settings(),
                kind::HEADERS => {
                    self.terms.our_head();
                    if let Some(stream) = self.streams.get_mut(&frame.stream) {
                        stream.response_begins();
                    }
                }
                kind::RST_STREAM => {
                    self.streams.remove(&frame.stream);
                }
                _ => {}
            },
            Event::Setting(INITIAL_WINDOW_SIZE, size) => {
                let size = i64::from(size);
                let change = size - self.flow.our_initial;
                self.flow.our_initial = size;
                for stream in self.streams.values_mut() {
                    stream.widen_receive(change);
                }
            }
            Event::Number(frame, number) => self.our_number(frame, number, now),
            Event::End(frame) if frame.ends_stream() => {
                if let Some(stream) = self.streams.get_mut(&frame.stream)
                    && stream.response_ends()
                {
                    self.streams.remove(&frame.stream);
                }
            }
            Event::LastStream(last) => self.terms.our_goodbye(last != STREAM_MAX),
            Event::Octets(..) | Event::Setting(..) | Event::End(_) => {}
        }
    }

    fn our_number(&mut self, frame: Frame, number: u32, now: Instant) {
        match (frame.kind, frame.stream) {
            (kind::WINDOW_UPDATE, 0) => self.flow.receive += i64::from(number),
            (kind::WINDOW_UPDATE, id) => {
                if let Some(stream) = self.streams.get_mut(&id) {
                    stream.widen_receive(i64::from(number));
                }
            }
            (kind::RST_STREAM, _) if PROVOKED.contains(&number) => {
                self.reset(number == REFUSED_STREAM, now);
            }
            (kind::GOAWAY, _) if number == NO_ERROR => {
                self.goodbye = match self.goodbye {
                    Goodbye::Unsaid => Goodbye::Begun(now),
                    Goodbye::Begun(_) | Goodbye::Done => Goodbye::Done,
                };
            }
            (kind::GOAWAY, _) if number == ENHANCE_YOUR_CALM => {
                let why = match of_library(frame.length) {
                    Ended::Resets => self.counts.why_resets(),
                    other => other,
                };
                self.end(why);
            }
            _ => {}
        }
    }
}
