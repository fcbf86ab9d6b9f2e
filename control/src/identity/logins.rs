//! Logging in, staying logged in, logging out.

use super::{
    Caller, Denied, Error, Identity,
    access::{self, ACCESS_FOR, Subject},
    now_ms,
};
use crate::store::{accounts, entity::sessions, entity::users, sessions::Used};
use latencify_conf::{
    api::{LoggedIn, Login},
    change::Revoked,
    digest::Digest,
};
use std::{
    net::IpAddr,
    time::{Duration, Instant},
};
use uuid::Uuid;
use zeroize::Zeroizing;

/// How long a session counts, whatever it is used for.
pub const SESSION_FOR: Duration = Duration::from_hours(30 * 24);
/// Sessions of one account at a time; a further login ends the oldest.
pub const SESSIONS_MAX: u64 = 50;
/// What refresh tokens begin with.
const REFRESH_PREFIX: &str = "lat_ref_";
/// The most bytes of a refresh token that are looked at.
const REFRESH_BYTES_MAX: usize = 200;

impl Identity {
    /// Begins a session for whoever knows an account's password.
    pub async fn log_in(&self, login: Login, from: Option<IpAddr>) -> Result<LoggedIn, Error> {
        let Login { user, password } = login;
        let row = self
            .believe_password(&user, Zeroizing::new(password), from)
            .await?;
        let created_ms = now_ms();
        let session = sessions::Model {
            id: Uuid::new_v4(),
            account: user,
            created_ms,
            expires_ms: created_ms + SESSION_FOR.as_millis() as i64,
            ended_ms: None,
        };
        let refresh_token = random_token(REFRESH_PREFIX);
        let hash = hash_of(&refresh_token);
        self.store()
            .begin_session(session.clone(), hash, SESSIONS_MAX)
            .await?;
        self.logged_in(&session, &row, refresh_token).await
    }

    /// The account whose password this is. Whatever is wrong looks the same from outside, and takes as long.
    pub(super) async fn believe_password(
        &self,
        user: &str,
        password: Zeroizing<String>,
        from: Option<IpAddr>,
    ) -> Result<users::Model, Error> {
        let tried = name_to_count(user);
        let begun = self
            .inner
            .attempts
            .lock()
            .begin(&tried, from, Instant::now());
        begun.map_err(Denied::Locked)?;
        let row = self.store().user(user).await?;
        let open = row.filter(|row| row.disabled == 0);
        let hash = open.as_ref().and_then(|row| row.password.clone());
        let is_right = match self.inner.passwords.verify(password, hash).await {
            Ok(is_right) => is_right,
            Err(busy) => {
                self.inner.attempts.lock().take_back(&tried, from);
                return Err(busy.into());
            }
        };
        match open.filter(|_| is_right) {
            Some(row) => {
                self.inner.attempts.lock().succeeded(&tried, from);
                Ok(row)
            }
            None => Err(Denied::BadCredentials.into()),
        }
    }

    /// New tokens for the newest refresh token. Err(…[`Reused`](Denied::Reused)): the session is ended, and what it gave is
    /// revoked. Beside the error stands whose it was.
    pub async fn refresh(&self, token: &str) -> Result<LoggedIn, (Option<String>, Error)> {
        let nobody = |error: Error| (None, error);
        if !token.starts_with(REFRESH_PREFIX) || token.len() > REFRESH_BYTES_MAX {
            return Err(nobody(Denied::SessionOver.into()));
        }
        let next = random_token(REFRESH_PREFIX);
        let used = self
            .store()
            .use_refresh_token(&hash_of(token), hash_of(&next), now_ms())
            .await
            .map_err(|error| nobody(error.into()))?;
        let session = match used {
            Used::Once(session) => session,
            Used::Over | Used::Unknown => return Err(nobody(Denied::SessionOver.into())),
            Used::Again(session) => {
                let by = format!("user:{}", session.account);
                tracing::warn!(user = session.account, session = %session.id, "a refresh token was shown again: its session is ended");
                let revoked = self.revoke(&by, Revoked::Family(session.id)).await;
                let error = revoked.map_or_else(Error::from, |()| Denied::Reused.into());
                return Err((Some(session.account), error));
            }
        };
        let whose = |error: Error| (Some(session.account.clone()), error);
        let row = self
            .store()
            .user(&session.account)
            .await
            .map_err(|error| whose(error.into()))?
            .filter(|row| row.disabled == 0)
            .ok_or_else(|| whose(Denied::SessionOver.into()))?;
        self.logged_in(&session, &row, next).await.map_err(whose)
    }

    /// Ends the caller's session: its refresh tokens at once, its access tokens through the log.
    pub async fn log_out(&self, caller: &Caller) -> Result<bool, Error> {
        let Some(session) = caller.session() else {
            return Ok(false);
        };
        self.store().end_session(session, now_ms()).await?;
        self.revoke(caller.name(), Revoked::Family(session)).await?;
        Ok(true)
    }

    /// Ends every session of an account, and revokes what they gave.
    pub(super) async fn end_sessions(&self, by: &str, user: &str) -> Result<(), Error> {
        self.store().end_sessions_of(user, now_ms()).await?;
        self.revoke(by, Revoked::Subject(user.to_owned())).await?;
        Ok(())
    }

    async fn logged_in(
        &self,
        session: &sessions::Model,
        row: &users::Model,
        refresh_token: String,
    ) -> Result<LoggedIn, Error> {
        let by = format!("user:{}", row.name);
        let (kid, key) = self.signing_key(&by).await?;
        let now = now_ms();
        let subject = Subject {
            user: row.name.clone(),
            session: session.id,
            roles: accounts::names(&row.roles)?,
            sites: accounts::sites(row.sites.as_deref())?,
        };
        let access_token = access::sign(&access::claims(subject, now), &kid, &key)?;
        Ok(LoggedIn {
            access_token,
            token_type: "Bearer".to_owned(),
            expires_in: ACCESS_FOR.as_secs(),
            refresh_token,
            refresh_expires_in: ((session.expires_ms - now).max(0) / 1000) as u64,
            session: session.id,
        })
    }
}

/// What attempts are counted by: no longer than a name can be.
fn name_to_count(user: &str) -> String {
    if user.len() <= super::NAME_CHARS_MAX {
        user.to_owned()
    } else {
        Digest::of_text(user).to_string()
    }
}

/// 256 random bits behind a prefix.
pub(super) fn random_token(prefix: &str) -> String {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    let random = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
    format!("{prefix}{random}")
}

/// How a token is kept.
pub(super) fn hash_of(token: &str) -> String {
    Digest::of_text(token).to_string()
}
