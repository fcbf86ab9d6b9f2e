//! `latencify dev`: a small CDN of real processes on this machine.
//!
//! Characters: the **origin**, one process that listens in three places; **control**; three **edges**, each on a loopback
//! address of its own; with `--kafka` a **broker**. [`Layout`] says where their files lie, [`ports`] which addresses they
//! want, [`Children`] starts and ends them, [`start`] brings them up in order, [`guide`] says what to try.
//!
//! Every child is started through `latencify dev-child`, which asks the kernel to send SIGTERM when its parent ends, and
//! then becomes the program: so that not even `kill -9` of `latencify dev` leaves programs behind, except an edge that has
//! taken over after SIGUSR2: its parent's end is what it waits for, so it can't end with it. (`setpriv` would do the same,
//! but is not everywhere; doing it between fork and exec here would need `unsafe`.)

mod certificates;
mod child;
mod children;
mod guide;
mod heir;
mod kafka;
mod layout;
mod origin;
mod policy;
mod ports;
mod programs;
mod record;
mod start;
mod steps;

pub use child::become_child;
pub use layout::cache_folder;
pub use origin::run as run_origin;

use crate::{
    failure::Failure,
    output::{Output, Progress},
};
use children::{Children, News};
use layout::Layout;
use record::Record;
use std::path::PathBuf;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// `latencify dev`
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  latencify dev                      from scratch; Ctrl-C ends it
  latencify dev --kafka              the change log is a Kafka topic, and events come from one
  latencify dev --keep               with the policies, purges and tokens of the last run
  latencify dev --ephemeral --dir D  ports chosen by the system; D/dev.json names them")]
pub struct DevArgs {
    /// With a real Kafka: the change log is a topic, and content events come from another.
    #[arg(long)]
    pub kafka: bool,
    /// Where everything of it lies. Default: dev in ${LATENCIFY_CACHE:-~/.cache/latencify}.
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Go on with what the last run left, instead of from scratch.
    #[arg(long)]
    pub keep: bool,
    /// Every port is chosen by the system; DIR/dev.json names them.
    #[arg(long)]
    pub ephemeral: bool,
}

/// Starts everything, says what to try, and ends everything when told to.
pub async fn run(args: DevArgs, output: &Output) -> Result<(), Failure> {
    let mut signals = Signals::new()?;
    let layout = Layout::prepare(args.dir.clone(), args.keep)?;
    let mut children = Children::new()?;
    let started = tokio::select! {
        started = start::all(&args, &layout, &mut children) => started.map(Some),
        () = signals.next() => Ok(None),
    };
    let ended = match started {
        Ok(Some(mut record)) => {
            output.answer(&record, guide::text)?;
            watch(&mut record, &layout, &mut children, &mut signals, output).await
        }
        Ok(None) => Ok(()),
        Err(failure) => Err(failure),
    };
    let progress = Progress::new(0);
    progress.at(0, "ending");
    tokio::select! {
        () = children.end() => {}
        // Whoever asks twice means it: dropping the children kills them.
        () = signals.next() => {}
    }
    ended
}

/// Until a signal comes. A child that ends meanwhile is reported and not restarted: ending one is something to try. So is
/// an upgrade: after it, the files name the process that took over.
async fn watch(
    record: &mut Record,
    layout: &Layout,
    children: &mut Children,
    signals: &mut Signals,
    output: &Output,
) -> Result<(), Failure> {
    loop {
        tokio::select! {
            () = signals.next() => return Ok(()),
            news = children.next() => match news {
                Some(News::Ended(ended)) => output.note(&format!("{ended}\nthe others go on; Ctrl-C ends them")),
                Some(News::TookOver { name, pid }) => {
                    record.took_over(&name, pid);
                    record.publish(layout)?;
                    output.note(&format!("{name}: process {pid} has taken over; {} says so too", record.env.display()));
                }
                None => return Err(Failure::failed("nothing runs any more")),
            },
        }
    }
}

/// What asks the program to end: Ctrl-C, SIGTERM, a terminal that is closed.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> Result<Self, Failure> {
        let listen = |kind| {
            signal(kind)
                .map_err(|error| Failure::failed(format!("signals can't be received: {error}")))
        };
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}
