//! A network namespace: a machine of its own as far as TCP can tell, with two cables to this one. One can be pulled
//! while the other stays: an edge that lost control and still has its clients.
//!
//! ```text
//!   this machine                        the namespace
//!   control  10.213.N.1  ── control ──  10.213.N.2
//!   clients  10.213.N.5  ── clients ──  10.213.N.6  edge
//! ```

use std::{
    net::{IpAddr, Ipv4Addr},
    process::Command,
    sync::atomic::{AtomicU8, Ordering},
};

/// Namespaces that this program has made. Each takes a network 10.213.N.0/24 that is free.
static MADE: AtomicU8 = AtomicU8::new(0);

/// A network namespace. It goes away with this value.
pub struct Namespace {
    name: String,
    number: u8,
}

/// One of its cables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cable {
    /// Towards control.
    Control,
    /// Towards clients and origins.
    Clients,
}

impl Cable {
    fn host_octet(self) -> u8 {
        match self {
            Self::Control => 1,
            Self::Clients => 5,
        }
    }

    fn letter(self) -> char {
        match self {
            Self::Control => 'a',
            Self::Clients => 'b',
        }
    }
}

impl Namespace {
    /// Whether this user may make one here.
    pub fn is_permitted() -> bool {
        let name = format!("latencify-try-{}", std::process::id());
        let made = ip(&["netns", "add", &name]);
        made.is_ok() && ip(&["netns", "del", &name]).is_ok()
    }

    /// A namespace with both cables plugged in.
    ///
    /// # Panics
    /// When the kernel refuses; see [`is_permitted`](Self::is_permitted).
    pub fn new() -> Self {
        loop {
            let number = MADE.fetch_add(1, Ordering::Relaxed);
            assert!(number < 250, "no network 10.213.N.0/24 is free");
            let name = format!("latencify-{}-{number}", std::process::id());
            let namespace = Self { name, number };
            namespace.run(&["netns", "add", &namespace.name]);
            namespace.run(&["-n", &namespace.name, "link", "set", "lo", "up"]);
            // Another program of tests may have that network.
            if namespace.plug(Cable::Control).is_ok() {
                namespace.plug(Cable::Clients).unwrap();
                return namespace;
            }
        }
    }

    /// Its name, for `ip netns exec`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// This machine's address on a cable.
    pub fn here(&self, cable: Cable) -> IpAddr {
        self.address(cable.host_octet())
    }

    /// The namespace's address on a cable.
    pub fn there(&self, cable: Cable) -> IpAddr {
        self.address(cable.host_octet() + 1)
    }

    /// Pulls a cable out on the side of the namespace: nothing passes any more, and this side is told nothing.
    pub fn pull(&self, cable: Cable) {
        let device = self.device(cable, 1);
        self.run(&["-n", &self.name, "link", "set", &device, "down"]);
    }

    /// Plugs it in again.
    pub fn mend(&self, cable: Cable) {
        let device = self.device(cable, 1);
        self.run(&["-n", &self.name, "link", "set", &device, "up"]);
    }

    fn address(&self, last: u8) -> IpAddr {
        Ipv4Addr::new(10, 213, self.number, last).into()
    }

    /// Names of devices are at most 15 characters.
    fn device(&self, cable: Cable, end: u8) -> String {
        let process = std::process::id() % 1_000_000;
        format!("lt{process}{}{}{end}", cable.letter(), self.number)
    }

    fn plug(&self, cable: Cable) -> Result<(), String> {
        let (here, there) = (self.device(cable, 0), self.device(cable, 1));
        let network = |address: IpAddr| format!("{address}/30");
        let in_use = ip(&["-o", "address", "show"]).unwrap_or_default();
        if in_use.contains(&network(self.here(cable))) {
            return Err(format!("{} is taken", self.here(cable)));
        }
        let name = &self.name;
        self.run(&["link", "add", &here, "type", "veth", "peer", "name", &there]);
        self.run(&["link", "set", &there, "netns", name]);
        self.run(&["address", "add", &network(self.here(cable)), "dev", &here]);
        self.run(&["link", "set", &here, "up"]);
        let address = network(self.there(cable));
        self.run(&["-n", name, "address", "add", &address, "dev", &there]);
        self.run(&["-n", name, "link", "set", &there, "up"]);
        Ok(())
    }

    fn run(&self, arguments: &[&str]) {
        if let Err(error) = ip(arguments) {
            panic!("{}: ip {}: {error}", self.name, arguments.join(" "));
        }
    }
}

impl Default for Namespace {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // Its devices go with it, and so do their other ends.
        let _ = ip(&["netns", "del", &self.name]);
    }
}

fn ip(arguments: &[&str]) -> Result<String, String> {
    let ran = Command::new("ip").args(arguments).output();
    let ran = ran.map_err(|error| error.to_string())?;
    if ran.status.success() {
        Ok(String::from_utf8_lossy(&ran.stdout).into_owned())
    } else {
        Err(String::from_utf8_lossy(&ran.stderr).into_owned())
    }
}
