//! Who this edge is to control, and who control is to it.
//!
//! # Characters
//! - [`Identity`]: key and certificate, and the CAs that vouch for control; saved in the state folder.
//! - [`pin`]: finds control's CA by the fingerprint in the join token.
//! - [`Passport`]: gets the first certificate with the join token, shows the present one on every connection, and takes over the
//!   next.
//! - [`renewal`]: gets the next one in time.
//!
//! # What must hold
//! - The private key never leaves this machine, and the join token goes to nobody but who shows the CA that it names (or the one
//!   of `--control-ca`; or, on loopback alone, whoever listens there).
//! - An edge starts without control: what was saved is used, whoever answers.
//! - A stream that is open goes on over its connection, whatever is renewed beside it; the next one shows the next certificate.
//! - Two processes of one edge share the folder during an upgrade: either takes over what the other has got.

mod command;
mod identity;
mod pin;
mod renewal;

pub use command::Enroll;
pub use identity::{FILE, Identity};

use super::{
    FleetError,
    client::stub::fleet_client::FleetClient,
    settings::{Link, Trust},
    status::Broken,
};
use identity::{Key, Unfit};
use latencify_conf::link::{
    message::{EnrollRequest, Enrolled, RenewRequest},
    trust::fingerprint,
};
use parking_lot::Mutex;
use pin::NoAuthority;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::time::timeout;
use tonic::{Request, Status, transport::Channel};
use tracing::{error, info, warn};

/// A certificate must come within this.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// What this edge shows to control.
pub struct Passport {
    link: Link,
    folder: PathBuf,
    current: Mutex<Option<Current>>,
    /// The key of a certificate that did not come: control gives it out again for the same key, if only its answer was lost.
    pending: tokio::sync::Mutex<Option<Key>>,
}

struct Current {
    identity: Arc<Identity>,
    channel: Channel,
    /// Control does not take it any more.
    refused: bool,
}

impl Passport {
    /// With what the state folder has. Without that there must be a join token.
    pub fn open(link: Link, folder: &Path) -> Result<Self, FleetError> {
        let passport = Self {
            current: Mutex::new(None),
            pending: tokio::sync::Mutex::new(None),
            folder: folder.to_owned(),
            link,
        };
        match Identity::load(folder) {
            Ok(Some(identity)) => passport.take(Arc::new(identity))?,
            Ok(None) if passport.link.token.is_none() => {
                return Err(FleetError::Settings(format!(
                    "{} has no certificate of this edge yet: `latencify edge invite {}` makes a join token, for \
                     --join-token-file FILE or LATENCIFY_JOIN_TOKEN",
                    folder.display(),
                    passport.link.edge
                )));
            }
            Ok(None) => {}
            Err(unfit) => {
                error!(%unfit, file = %folder.join(FILE).display(), "this edge's certificate can't be read; it gets another with its join token");
            }
        }
        passport.link.check_enrolment()?;
        Ok(passport)
    }

    /// Calls with the present certificate.
    pub fn client(&self) -> Result<FleetClient<Channel>, Status> {
        let current = self.current.lock();
        let channel = current.as_ref().map(|current| current.channel.clone());
        let channel = channel.ok_or_else(|| {
            Status::unavailable("this edge has no certificate yet, and has asked control for one")
        })?;
        Ok(super::client::stub(channel))
    }

    /// Sees that there is a certificate that control may take, before a stream is opened.
    pub async fn ready(&self) -> Result<(), Broken> {
        self.take_over().await;
        let why = {
            let current = self.current.lock();
            match current.as_ref() {
                Some(current) if current.refused && self.link.token.is_some() => {
                    "control does not take its certificate".into()
                }
                Some(current) if current.identity.holds().is_some() => return Ok(()),
                Some(current) => format!("its certificate expired at {}", current.identity.until()),
                None => "it has no certificate".to_owned(),
            }
        };
        if self.link.token.is_none() {
            let edge = &self.link.edge;
            return Err(Broken::Unauthorised(format!(
                "{why}, and it has no join token to get another with: `latencify edge invite {edge}` makes one, for `latencify \
                 edge enroll`"
            )));
        }
        let enrolled = self.enrol().await;
        let edge = enrolled.map_err(|broken| match broken {
            Broken::Unauthorised(said) => {
                self.may_be_taken_again();
                Broken::Unauthorised(format!("{why}, and the join token gets no other: {said}"))
            }
            other => other,
        })?;
        info!(edge, "this edge has its certificate");
        Ok(())
    }

    /// Control does not take the present certificate: revoked, most likely. A join token is tried next, if there is one, and then
    /// the certificate again, by turns: what control goes by may have been wrong.
    pub fn refused(&self) {
        if let Some(current) = self.current.lock().as_mut() {
            current.refused = true;
        }
    }

    fn may_be_taken_again(&self) {
        if let Some(current) = self.current.lock().as_mut() {
            current.refused = false;
        }
    }

    /// Gets the first certificate with the join token, and tells the name in it.
    pub async fn enrol(&self) -> Result<String, Broken> {
        let Some(token) = &self.link.token else {
            return Err(Broken::Unauthorised("there is no join token".into()));
        };
        let trust = self.trust_before().await?;
        let channel = self
            .link
            .channel(&trust, None)
            .map_err(|error| Broken::Unreachable(error.to_string()))?;
        let mut pending = self.pending.lock().await;
        let key = match &*pending {
            Some(key) => key.clone(),
            None => pending.insert(new_key()?).clone(),
        };
        let mut request = Request::new(EnrollRequest {
            edge: self.link.edge.clone(),
            request: request(&key)?,
        });
        let bearer = token
            .bearer()
            .map_err(|error| Broken::Unauthorised(error.to_string()))?;
        request.metadata_mut().insert("authorization", bearer);
        let mut client = super::client::stub(channel);
        let answered = timeout(ANSWER_WITHIN, client.enroll(request)).await;
        let enrolled = answered
            .map_err(|_| Broken::Unreachable(format!("no answer within {ANSWER_WITHIN:?}")))??
            .into_inner();
        if let Some(wanted) = token.ca()
            && !enrolled
                .authorities
                .iter()
                .any(|der| fingerprint(der) == wanted)
        {
            return Err(Broken::Untrusted(format!(
                "control answers with other CAs than the one that the join token names, {wanted}"
            )));
        }
        self.certified(key, &enrolled)?;
        *pending = None;
        Ok(enrolled.edge)
    }

    /// Gets the next certificate over the present one.
    async fn renew(&self) -> Result<(), Broken> {
        let key = new_key()?;
        let request = RenewRequest {
            request: request(&key)?,
        };
        let mut client = self.client()?;
        let answered = timeout(ANSWER_WITHIN, client.renew(request)).await;
        let enrolled = answered
            .map_err(|_| Broken::Unreachable(format!("no answer within {ANSWER_WITHIN:?}")))??
            .into_inner();
        self.certified(key, &enrolled)
    }

    fn certified(&self, key: Key, enrolled: &Enrolled) -> Result<(), Broken> {
        let unfit =
            |unfit: Unfit| Broken::Stream(format!("control's certificate can't be used: {unfit}"));
        // Whoever enrols it by hand need not say its name.
        if !self.link.edge.is_empty() && enrolled.edge != self.link.edge {
            return Err(Broken::Unauthorised(format!(
                "the join token is for {}, and this edge is called {}",
                enrolled.edge, self.link.edge
            )));
        }
        let identity = key.certified(&enrolled.chain, &enrolled.authorities);
        let identity = Arc::new(identity.map_err(unfit)?);
        if let Err(error) = identity.save(&self.folder) {
            error!(%error, folder = %self.folder.display(), "this edge's certificate is in memory only: the state folder can't be written, and the next start will need another join token");
        }
        self.take(identity)
            .map_err(|error| Broken::Stream(error.to_string()))
    }

    /// Shows this one from now on.
    fn take(&self, identity: Arc<Identity>) -> Result<(), FleetError> {
        let trust = match &self.link.control_ca {
            Some(file) => Trust::operators(file)?,
            None => Trust::Fleet(identity.authorities_pem().map_err(unusable)?),
        };
        let channel = self.link.channel(&trust, Some(&identity))?;
        *self.current.lock() = Some(Current {
            identity,
            channel,
            refused: false,
        });
        Ok(())
    }

    /// What is in the folder by now: another process of this edge has renewed it, or the operator has enrolled the edge anew.
    async fn take_over(&self) {
        let folder = self.folder.clone();
        let loaded = tokio::task::spawn_blocking(move || Identity::load(&folder)).await;
        let Ok(Ok(Some(found))) = loaded else { return };
        let is_known = {
            let current = self.current.lock();
            current
                .as_ref()
                .is_some_and(|current| current.identity.is(&found))
        };
        if !is_known
            && found.holds().is_some()
            && let Err(error) = self.take(Arc::new(found))
        {
            warn!(%error, "a certificate that was put into the state folder can't be used");
        }
    }

    /// Who is trusted before there is a certificate.
    async fn trust_before(&self) -> Result<Trust, Broken> {
        if let Some(file) = &self.link.control_ca {
            return Trust::operators(file).map_err(|error| Broken::Unreachable(error.to_string()));
        }
        let wanted = self
            .link
            .token
            .as_ref()
            .and_then(super::settings::JoinToken::ca);
        let url = self.link.url.clone();
        let found = tokio::task::spawn_blocking(move || pin::authority(&url, wanted)).await;
        match found {
            Ok(Ok(pem)) => Ok(Trust::Fleet(pem)),
            Ok(Err(NoAuthority::Unreachable(error))) => Err(Broken::Unreachable(error.to_string())),
            Ok(Err(other)) => Err(Broken::Untrusted(other.to_string())),
            Err(error) => Err(Broken::Unreachable(error.to_string())),
        }
    }

    fn identity(&self) -> Option<Arc<Identity>> {
        let current = self.current.lock();
        current.as_ref().map(|current| current.identity.clone())
    }
}

fn new_key() -> Result<Key, Broken> {
    Key::make().map_err(|error| Broken::Stream(format!("a key can't be made: {error}")))
}

fn request(key: &Key) -> Result<bytes::Bytes, Broken> {
    let request = key.request();
    let request = request.map_err(|error| Broken::Stream(error.to_string()))?;
    Ok(request.into())
}

fn unusable(error: openssl::error::ErrorStack) -> FleetError {
    FleetError::Settings(format!("this edge's certificate can't be used: {error}"))
}
