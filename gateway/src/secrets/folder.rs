//! A folder of secrets, for edges without control: one file a secret, named as the policy names it. Mounted folders of
//! Kubernetes and of systemd (`LoadCredential=`) have this form.

use super::{SECRETS_MAX, Secrets, Value};
use latencify_conf::{
    document::text::{Name, Text as _},
    policy::{SECRET_BYTES_MAX, SecretName},
};
use std::{fs, io::Read as _, os::unix::fs::PermissionsExt as _, path::Path};
use zeroize::Zeroizing;

/// What nobody else may do with a file of a secret: read it at all, or write it as one of its group. That its group may read it
/// is how Kubernetes gives a secret to a container's user.
const OTHERS: u32 = 0o027;

/// The secrets in a folder. Hidden files are passed by; any other file that is no secret is an error, so that a slip is seen.
pub fn read(folder: &Path) -> Result<Secrets, String> {
    let in_folder = |error: std::io::Error| format!("--secrets {}: {error}", folder.display());
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(in_folder)? {
        let path = entry.map_err(in_folder)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with('.') || path.is_dir() {
            continue;
        }
        if found.len() >= SECRETS_MAX {
            return Err(format!(
                "--secrets {}: more than {SECRETS_MAX} files",
                folder.display()
            ));
        }
        let in_file = |why: String| format!("--secrets {}: {why}", path.display());
        let Name(name) = Name::parse(&name).map_err(|flaw| in_file(flaw.to_string()))?;
        let value = value(&path).map_err(in_file)?;
        found.push((SecretName::from(name.as_str()), value));
    }
    Ok(found.into_iter().collect())
}

fn value(path: &Path) -> Result<Value, String> {
    let file = fs::File::open(path).map_err(|error| error.to_string())?;
    let about = file.metadata().map_err(|error| error.to_string())?;
    let mode = about.permissions().mode() & 0o777;
    if mode & OTHERS != 0 {
        return Err(format!(
            "others on this machine may read or change it (mode {mode:03o}): chmod 600 {}",
            path.display()
        ));
    }
    let mut octets = Zeroizing::new(Vec::with_capacity(SECRET_BYTES_MAX.min(4096)));
    file.take(SECRET_BYTES_MAX as u64 + 1)
        .read_to_end(&mut octets)
        .map_err(|error| error.to_string())?;
    if octets.len() > SECRET_BYTES_MAX {
        return Err(format!("larger than {SECRET_BYTES_MAX} bytes"));
    }
    Ok(Value::of(octets))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, name: &str, text: &str, mode: u32) {
        let file = folder.join(name);
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn each_file_is_a_secret_and_one_that_others_may_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "a.b-c", "one\n", 0o600);
        write(folder.path(), ".hidden", "two", 0o644);
        fs::create_dir(folder.path().join("..data")).unwrap();
        let secrets = read(folder.path()).unwrap();
        assert_eq!(secrets.get(&"a.b-c".into()), Some(&b"one"[..]));
        assert_eq!(secrets.iter().count(), 1);
        for mode in [0o604, 0o620, 0o602, 0o777] {
            write(folder.path(), "a.b-c", "one\n", mode);
            let error = read(folder.path()).unwrap_err();
            assert!(
                error.contains("chmod 600") && error.contains("a.b-c"),
                "{error}"
            );
            assert!(!error.contains("one"), "{error}");
        }
        write(folder.path(), "a.b-c", "one\n", 0o440);
        assert!(read(folder.path()).is_ok());
        write(folder.path(), "no name", "x", 0o600);
        assert!(read(folder.path()).unwrap_err().contains("no name"));
        assert!(
            read(&folder.path().join("gone"))
                .unwrap_err()
                .contains("gone")
        );
    }

    #[test]
    fn a_file_beyond_the_bound_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        write(
            folder.path(),
            "large",
            &"x".repeat(SECRET_BYTES_MAX + 1),
            0o600,
        );
        assert!(read(folder.path()).unwrap_err().contains("larger"));
    }
}
