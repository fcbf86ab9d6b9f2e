//! Passwords: argon2id, a few at a time.
//!
//! A hash takes 19 MiB and tens of milliseconds on purpose, so that whoever steals the hashes guesses slowly. At most
//! [`HASHES_MAX`] are made at a time, and [`WAITING_MAX`] wait; then logging in is busy, and the rest of control is not.

use super::Denied;
use argon2::{
    Argon2,
    password_hash::{PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash},
};
use std::sync::Arc;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

/// Hashes that are made at a time.
pub const HASHES_MAX: usize = 2;
/// Those that wait for that.
pub const WAITING_MAX: usize = 32;
/// The least characters of a password.
pub const PASSWORD_CHARS_MIN: usize = 12;
/// The most bytes of a password.
pub const PASSWORD_BYTES_MAX: usize = 1024;

/// Makes and compares hashes. A clone is the same.
#[derive(Clone)]
pub struct Passwords {
    working: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    /// What is compared when there is no account, so that the answer takes as long.
    nobodys: Arc<str>,
}

impl Passwords {
    /// With a hash that no password has.
    pub fn new() -> Result<Self, Denied> {
        let nobodys = hash(&rand::random::<[u8; 32]>())?;
        Ok(Self {
            working: Arc::new(Semaphore::new(HASHES_MAX)),
            waiting: Arc::new(Semaphore::new(HASHES_MAX + WAITING_MAX)),
            nobodys: nobodys.into(),
        })
    }

    /// The hash of a password, as a PHC string.
    pub async fn hash(&self, password: Zeroizing<String>) -> Result<String, Denied> {
        self.work(move || hash(password.as_bytes())).await?
    }

    /// Whether a password is that of the hash. None: there is no hash, which takes as long to say.
    pub async fn verify(
        &self,
        password: Zeroizing<String>,
        hash: Option<String>,
    ) -> Result<bool, Denied> {
        let is_any = hash.is_some();
        let hash = hash.unwrap_or_else(|| self.nobodys.to_string());
        let matches = self
            .work(move || {
                PasswordHash::new(&hash).is_ok_and(|parsed| {
                    Argon2::default()
                        .verify_password(password.as_bytes(), &parsed)
                        .is_ok()
                })
            })
            .await?;
        Ok(matches && is_any)
    }

    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Denied> {
        let _waits = self.waiting.try_acquire().map_err(|_| Denied::Busy)?;
        let permit = self.working.clone().acquire_owned().await;
        let permit = permit.map_err(|_| Denied::Busy)?;
        tokio::task::spawn_blocking(move || {
            // Held as long as it works, even if nobody waits for it any more.
            let _works = permit;
            work()
        })
        .await
        .map_err(|_| Denied::Busy)
    }
}

/// Why a password may not be chosen; none: it may.
pub fn unfit(password: &str) -> Option<String> {
    if password.chars().count() < PASSWORD_CHARS_MIN {
        return Some(format!(
            "a password has at least {PASSWORD_CHARS_MIN} characters"
        ));
    }
    (password.len() > PASSWORD_BYTES_MAX)
        .then(|| format!("a password has at most {PASSWORD_BYTES_MAX} bytes"))
}

fn hash(password: &[u8]) -> Result<String, Denied> {
    // The defaults are argon2id with 19 MiB, two passes and one lane.
    let hashed = Argon2::default().hash_password(password);
    hashed
        .map(|hash| hash.to_string())
        .map_err(|_| Denied::Busy)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Zeroizing<String> {
        Zeroizing::new(text.to_owned())
    }

    #[tokio::test]
    async fn a_password_is_its_own_and_nobody_has_one() {
        let passwords = Passwords::new().unwrap();
        let hash = passwords.hash(text("correct horse battery")).await.unwrap();
        assert!(
            hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{hash}"
        );
        let cases = [
            ("correct horse battery", Some(hash.clone()), true),
            ("correct horse batterz", Some(hash.clone()), false),
            ("", Some(hash), false),
            ("", None, false),
            ("x", Some("not a hash".to_owned()), false),
        ];
        for (password, hash, expected) in cases {
            let matches = passwords.verify(text(password), hash).await;
            assert_eq!(matches, Ok(expected), "{password}");
        }
    }

    #[tokio::test]
    async fn more_than_may_wait_are_told_to_come_again() {
        let passwords = Passwords::new().unwrap();
        let all = HASHES_MAX + WAITING_MAX;
        let held: Vec<_> = (0..all)
            .map(|_| passwords.waiting.clone().try_acquire_owned().unwrap())
            .collect();
        let refused = passwords.verify(text("x"), None).await;
        assert_eq!(refused, Err(Denied::Busy));
        drop(held);
        assert_eq!(passwords.verify(text("x"), None).await, Ok(false));
    }

    #[test]
    fn short_passwords_are_unfit() {
        assert!(unfit("eleven char").is_some());
        assert!(unfit("twelve chars").is_none());
        assert!(unfit(&"x".repeat(PASSWORD_BYTES_MAX + 1)).is_some());
    }
}
