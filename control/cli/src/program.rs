//! Where other programs of latencify are.

use crate::failure::Failure;
use std::{env, path::PathBuf};

/// A program beside this one, else on the PATH.
pub fn find(program: &str) -> Result<PathBuf, Failure> {
    let this = env::current_exe()
        .map_err(|error| Failure::failed(format!("this program is not found: {error}")))?;
    let beside = this.parent().map(|folder| folder.join(program));
    let path = env::var_os("PATH").unwrap_or_default();
    let candidates = beside
        .into_iter()
        .chain(env::split_paths(&path).map(|folder| folder.join(program)));
    candidates
        .into_iter()
        .find(|path| path.is_file())
        .ok_or_else(|| {
            Failure::failed(format!(
                "{program} is neither beside {} nor on the PATH",
                this.display()
            ))
            .with_help("build it with `make build`")
        })
}
