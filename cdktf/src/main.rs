//! What the CDK-for-Terraform CLI runs as its app: writes the assembly to `CDKTF_OUTDIR`, or to `cdktf/cdktf.out`.

use std::process::ExitCode;

fn main() -> ExitCode {
    match cdktf::write_assembly() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => cdktf::complain(&error),
    }
}
