//! Packages for AWS Lambda: a zip with the program and the catalogue, the same bytes every time.

use std::fmt;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

/// The minor version of glibc 2 that Amazon Linux 2023 has.
const NEWEST_GLIBC: u32 = 34;
/// A package starts sooner the smaller it is, in bytes.
const BUDGET: u64 = 6_000_000;

/// A package that was written.
pub(crate) struct Package {
    path: PathBuf,
    /// In bytes.
    size: u64,
}

impl fmt::Display for Package {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  {}.{:02} MB", self.path.display(), self.size / 1_000_000, self.size % 1_000_000 / 10_000)
    }
}

/// Writes `<packages>/<program>.zip` for each program that lies in `programs`.
///
/// # Errors
/// When a program is missing or needs a newer glibc than Lambda has; when a package is over the budget.
pub(crate) fn pack(names: &[&str], catalog: &Path, programs: &Path, packages: &Path) -> Result<Vec<Package>> {
    let catalog = fs::read(catalog).with_context(|| format!("cannot read {}", catalog.display()))?;
    fs::create_dir_all(packages).with_context(|| format!("cannot create {}", packages.display()))?;
    let mut written = Vec::new();
    for name in names {
        let place = programs.join(name);
        let program = fs::read(&place).with_context(|| format!("cannot read {}", place.display()))?;
        let needed = newest_glibc(&program);
        if needed > NEWEST_GLIBC {
            bail!("{name} needs glibc 2.{needed}, newer than the 2.{NEWEST_GLIBC} of Amazon Linux 2023");
        }
        let bytes = archive(&program, &catalog)?;
        let path = packages.join(format!("{name}.zip"));
        fs::write(&path, &bytes).with_context(|| format!("cannot write {}", path.display()))?;
        written.push(Package { path, size: bytes.len() as u64 });
    }
    let over: Vec<String> = written.iter().filter(|package| package.size > BUDGET).map(Package::to_string).collect();
    if !over.is_empty() {
        bail!("over the budget of {} MB: {}", BUDGET / 1_000_000, over.join(", "));
    }
    Ok(written)
}

/// The archive: a fixed time and fixed modes say what is in it, and nothing of when and where it was packed.
fn archive(program: &[u8], catalog: &[u8]) -> Result<Vec<u8>> {
    let mut archive = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes, mode) in [("bootstrap", program, 0o755), ("pipeline.toml", catalog, 0o644)] {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .compression_level(Some(9))
            .last_modified_time(DateTime::from_date_and_time(2020, 1, 1, 0, 0, 0)?)
            .unix_permissions(mode);
        archive.start_file(name, options)?;
        archive.write_all(bytes)?;
    }
    Ok(archive.finish()?.into_inner())
}

/// The newest version of glibc that a program asks for, by the names of the symbols' versions; 0 without any.
fn newest_glibc(program: &[u8]) -> u32 {
    const MARK: &[u8] = b"GLIBC_2.";
    let minors = memchr::memmem::find_iter(program, MARK).map(|at| {
        let digits = program.iter().skip(at + MARK.len()).take_while(|byte| byte.is_ascii_digit());
        digits.fold(0_u32, |number, digit| number.saturating_mul(10).saturating_add(u32::from(digit - b'0')))
    });
    minors.max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    fn folder(program: &[u8]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("plan"), program).unwrap();
        fs::write(folder.path().join("pipeline.toml"), "[pipeline]\n").unwrap();
        folder
    }

    fn packed(folder: &tempfile::TempDir) -> Result<Vec<Package>> {
        let home = folder.path();
        pack(&["plan"], &home.join("pipeline.toml"), home, &home.join("packages"))
    }

    #[test]
    fn a_package_holds_the_program_and_the_catalogue() {
        let folder = folder(b"\x7fELF GLIBC_2.2.5 GLIBC_2.34");
        let packages = packed(&folder).unwrap();
        let mut archive = zip::ZipArchive::new(fs::File::open(&packages[0].path).unwrap()).unwrap();
        let mut found = Vec::new();
        for number in 0..archive.len() {
            let mut entry = archive.by_index(number).unwrap();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            found.push((entry.name().to_owned(), entry.unix_mode().unwrap(), bytes));
        }
        let program = b"\x7fELF GLIBC_2.2.5 GLIBC_2.34".to_vec();
        let expected = [
            ("bootstrap".to_owned(), 0o100_755, program),
            ("pipeline.toml".to_owned(), 0o100_644, b"[pipeline]\n".to_vec()),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn the_bytes_are_the_same_every_time() {
        let (one, other) = (folder(b"program"), folder(b"program"));
        // The second is packed over an older package, and later.
        packed(&other).unwrap();
        let bytes = |folder| fs::read(&packed(folder).unwrap()[0].path).unwrap();
        assert_eq!(bytes(&one), bytes(&other));
        let known = catalog::digest::hex(&bytes(&one));
        expect_test::expect!["2e8100c05c9ad3ef9d3734abb650b80150e43360a51c38e6fd8a7a2ca7dff430"].assert_eq(&known);
    }

    #[test]
    fn a_newer_glibc_than_lambdas_is_refused() {
        let error = packed(&folder(b"GLIBC_2.17 GLIBC_2.38\0 GLIBC_2.4")).err().unwrap().to_string();
        assert_eq!(error, "plan needs glibc 2.38, newer than the 2.34 of Amazon Linux 2023");
        assert_eq!(newest_glibc(b"GLIBC_2."), 0);
        assert_eq!(newest_glibc(b"no version"), 0);
    }

    #[test]
    fn a_package_over_the_budget_is_refused() {
        // Noise that does not deflate.
        let mut state = 1_u64;
        let noise = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state.to_be_bytes()[0]
        });
        let program: Vec<u8> = noise.take(6_100_000).collect();
        let error = packed(&folder(&program)).err().unwrap().to_string();
        assert!(error.starts_with("over the budget of 6 MB: ") && error.ends_with("plan.zip  6.10 MB"), "{error}");
    }
}
