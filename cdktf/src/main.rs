//! What the CDK-for-Terraform CLI runs as its app: writes the assembly to `CDKTF_OUTDIR`, or to `cdktf/cdktf.out`.
//!
//! `cdktf [ENVIRONMENTS]`: those of another file than `cdktf/environments.toml`, a path from the repository's root.

use std::process::ExitCode;

fn main() -> ExitCode {
    let environments = std::env::args().nth(1);
    match cdktf::write_assembly(environments.as_deref().unwrap_or("cdktf/environments.toml")) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => cdktf::complain(&error),
    }
}
