//! Policy files from disk.

use anyhow::{Context as _, Result, bail};
use latencify_conf::bundle::{BUNDLE_BYTES_MAX, Bundle, File};
use std::path::{Path, PathBuf};

/// The bundle of a file, or of all `*.yaml` and `*.yml` directly in a folder.
pub fn read_bundle(path: &Path) -> Result<Bundle> {
    let metadata = std::fs::metadata(path).with_context(|| format!("policy {}", path.display()))?;
    let files = if metadata.is_dir() {
        files_of(path)?
    } else {
        vec![path.to_owned()]
    };
    if files.is_empty() {
        bail!("{} holds no *.yaml or *.yml file", path.display());
    }
    let mut room = BUNDLE_BYTES_MAX;
    let mut read = Vec::with_capacity(files.len());
    for file in files {
        let bytes =
            std::fs::read(&file).with_context(|| format!("policy file {}", file.display()))?;
        room = room.checked_sub(bytes.len()).with_context(|| {
            format!(
                "the policy in {} is larger than {} MiB",
                path.display(),
                BUNDLE_BYTES_MAX >> 20
            )
        })?;
        let text = String::from_utf8(bytes)
            .with_context(|| format!("policy file {} is not UTF-8", file.display()))?;
        read.push(File {
            name: name_of(&file),
            text,
        });
    }
    Ok(Bundle::new(read))
}

fn files_of(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in
        std::fs::read_dir(folder).with_context(|| format!("policy folder {}", folder.display()))?
    {
        let path = entry
            .with_context(|| format!("policy folder {}", folder.display()))?
            .path();
        let is_yaml = path
            .extension()
            .is_some_and(|extension| extension == "yaml" || extension == "yml");
        // Editors leave hidden copies beside the file that is being written.
        if is_yaml && !name_of(&path).starts_with('.') && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn name_of(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_gives_its_yaml_files_sorted() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.yaml", "a.yml", "notes.txt", ".a.yml"] {
            std::fs::write(folder.path().join(name), "x: 1").unwrap();
        }
        let bundle = read_bundle(folder.path()).unwrap();
        let names: Vec<_> = bundle
            .files()
            .iter()
            .map(|file| file.name.as_str())
            .collect();
        assert_eq!(names, ["a.yml", "b.yaml"]);
        let single = read_bundle(&folder.path().join("b.yaml")).unwrap();
        assert_eq!(single.files().len(), 1);
    }

    #[test]
    fn nothing_to_read_says_where() {
        let folder = tempfile::tempdir().unwrap();
        assert!(
            read_bundle(folder.path())
                .unwrap_err()
                .to_string()
                .contains("no *.yaml")
        );
        assert!(
            read_bundle(&folder.path().join("gone"))
                .unwrap_err()
                .to_string()
                .contains("gone")
        );
    }
}
