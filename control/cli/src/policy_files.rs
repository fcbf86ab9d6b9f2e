//! Policy files on disk: a file, or a folder whose `*.yaml` and `*.yml` make one policy together.

use crate::failure::Failure;
use latencify_conf::bundle::{BUNDLE_BYTES_MAX, Bundle, File};
use std::{
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

/// The most files of one policy.
const FILES_MAX: usize = 1_000;

/// What a policy from stdin is called where errors name a file.
const STDIN: &str = "stdin.yaml";

/// A policy as read, and where from.
pub struct PolicyFiles {
    /// The files.
    pub bundle: Bundle,
    /// The folder that their names are relative to.
    pub folder: PathBuf,
}

/// Reads a policy: a file, a folder, or stdin as `-`.
pub fn load(path: &Path) -> Result<PolicyFiles, Failure> {
    if path == Path::new("-") {
        let file = File {
            name: STDIN.to_owned(),
            text: read_from(io::stdin(), path, BUNDLE_BYTES_MAX)?,
        };
        return Ok(PolicyFiles {
            bundle: Bundle::new(vec![file]),
            folder: PathBuf::new(),
        });
    }
    let about = fs::metadata(path).map_err(|error| Failure::file("read", path, &error))?;
    let (folder, names) = if about.is_dir() {
        (path.to_owned(), names_in(path)?)
    } else {
        split(path)?
    };
    let mut left = BUNDLE_BYTES_MAX;
    let mut files = Vec::with_capacity(names.len());
    for name in names {
        let text = read(&folder.join(&name), left)?;
        left = left.saturating_sub(text.len());
        files.push(File { name, text });
    }
    Ok(PolicyFiles {
        bundle: Bundle::new(files),
        folder,
    })
}

fn names_in(folder: &Path) -> Result<Vec<String>, Failure> {
    let unreadable = |error: &std::io::Error| Failure::file("read", folder, error);
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| unreadable(&error))? {
        let entry = entry.map_err(|error| unreadable(&error))?;
        let is_policy = entry
            .path()
            .extension()
            .is_some_and(|end| end == "yaml" || end == "yml");
        // Editors leave `.#shop.yaml` and the like beside the file that they work on.
        if let (true, Some(name)) = (is_policy, entry.file_name().to_str())
            && !name.starts_with('.')
            && entry.path().is_file()
        {
            names.push(name.to_owned());
        }
    }
    match names.len() {
        0 => Err(
            Failure::failed(format!("{} holds no *.yaml or *.yml", folder.display()))
                .with_help("name a policy file, or a folder with policy files directly in it"),
        ),
        count if count > FILES_MAX => Err(Failure::failed(format!(
            "{} holds {count} policy files; {FILES_MAX} is the most",
            folder.display()
        ))),
        _ => Ok(names),
    }
}

fn split(path: &Path) -> Result<(PathBuf, Vec<String>), Failure> {
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name
        .ok_or_else(|| Failure::failed(format!("the name of {} is not UTF-8", path.display())))?;
    Ok((
        path.parent().map(Path::to_owned).unwrap_or_default(),
        vec![name.to_owned()],
    ))
}

fn read(path: &Path, bytes_left: usize) -> Result<String, Failure> {
    let unreadable = |error: &io::Error| Failure::file("read", path, error);
    let file = fs::File::open(path).map_err(|error| unreadable(&error))?;
    read_from(file, path, bytes_left)
}

fn read_from(source: impl io::Read, path: &Path, bytes_left: usize) -> Result<String, Failure> {
    let unreadable = |error: &io::Error| Failure::file("read", path, error);
    let mut bytes = Vec::new();
    source
        .take(bytes_left as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| unreadable(&error))?;
    if bytes.len() > bytes_left {
        let most = BUNDLE_BYTES_MAX / (1024 * 1024);
        return Err(Failure::failed(format!(
            "the policy is larger than {most} MiB at {}",
            path.display()
        )));
    }
    String::from_utf8(bytes).map_err(|error| {
        Failure::failed(format!(
            "{} is not UTF-8: octet {}",
            path.display(),
            error.utf8_error().valid_up_to()
        ))
    })
}
