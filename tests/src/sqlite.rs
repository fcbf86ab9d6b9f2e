//! Another program at a database of ours.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
};

/// A transaction of another program, until its end or the drop.
pub struct OtherTransaction {
    sqlite: Child,
    statements: ChildStdin,
}

impl OtherTransaction {
    /// Has the write lock of a database: nothing else is written. None: there is no `sqlite3` here.
    pub fn writing(file: &Path) -> Option<Self> {
        Self::begin(file, "BEGIN IMMEDIATE;")
    }

    /// Reads a table: what is written meanwhile can't be brought from the journal into the file. None: there is no `sqlite3`
    /// here.
    pub fn reading(file: &Path, table: &str) -> Option<Self> {
        Self::begin(file, &format!("BEGIN;\nSELECT count(*) FROM {table};"))
    }

    fn begin(file: &Path, statements: &str) -> Option<Self> {
        let mut sqlite = Command::new("sqlite3")
            .arg(file)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        let mut input = sqlite.stdin.take().unwrap();
        // The first statement that fails ends it.
        let script = format!(".bail on\n.timeout 20000\n{statements}\nSELECT 'begun';\n");
        input.write_all(script.as_bytes()).unwrap();
        let mut said = BufReader::new(sqlite.stdout.take().unwrap()).lines();
        let begun = said.find(|line| line.as_ref().is_ok_and(|line| line == "begun"));
        assert!(begun.is_some(), "{}: no {statements}", file.display());
        Some(Self {
            sqlite,
            statements: input,
        })
    }

    /// Commits, and waits until that is done.
    pub fn end(mut self) {
        self.statements.write_all(b"COMMIT;\n.quit\n").unwrap();
        self.sqlite.wait().unwrap();
    }
}

impl Drop for OtherTransaction {
    fn drop(&mut self) {
        // It has ended, or is not needed any more.
        let _ = self.sqlite.kill();
        let _ = self.sqlite.wait();
    }
}
