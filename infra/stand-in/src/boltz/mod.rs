//! `boltz predict` 2.2.1 from the outside: the command line, and the order of what happens. All
//! inputs are read, then all structures are predicted, then all affinities.

mod input;
mod progress;
mod record;
mod run;
mod scores;
mod write;

use std::ffi::OsString;

use crate::Outcome;
use crate::options::{CommandLine, usage};
use crate::settings::Settings;

const COMMAND_LINE: CommandLine = CommandLine {
    name: "boltz",
    positionals: &["command", "data"],
    values: &[
        ("out_dir", None),
        ("cache", None),
        ("checkpoint", None),
        ("devices", None),
        ("accelerator", None),
        ("recycling_steps", None),
        ("sampling_steps", None),
        ("diffusion_samples", None),
        ("max_parallel_samples", None),
        ("step_scale", None),
        ("output_format", None),
        ("num_workers", None),
        ("seed", None),
        ("msa_server_url", None),
        ("msa_pairing_strategy", None),
        ("msa_server_username", None),
        ("msa_server_password", None),
        ("api_key_header", None),
        ("api_key_value", None),
        ("model", None),
        ("method", None),
        ("preprocessing-threads", None),
        ("sampling_steps_affinity", None),
        ("diffusion_samples_affinity", None),
        ("affinity_checkpoint", None),
        ("max_msa_seqs", None),
        ("num_subsampled_msa", None),
    ],
    flags: &[
        "write_full_pae",
        "write_full_pde",
        "use_msa_server",
        "use_potentials",
        "affinity_mw_correction",
        "subsample_msa",
        "no_kernels",
        "write_embeddings",
    ],
};

/// Runs `boltz predict DATA [options]`.
pub fn main(args: Vec<OsString>, settings: &Settings) -> Outcome {
    let options = COMMAND_LINE.parse(args)?;
    match options.text("command") {
        Some("predict") => {}
        other => return Err(usage(format!("No such command {other:?}."))),
    }
    let data = options.required("data")?;
    if !data.exists() {
        let message = format!("Invalid value for 'DATA': Path {data:?} does not exist.");
        return Err(usage(message));
    }
    if options.text("output_format") == Some("pdb") {
        return Err(usage("the stand-in writes mmCIF only".to_owned()));
    }
    if options.text("accelerator") == Some("cpu") {
        println!("Running on CPU, this will be slow. Consider using a GPU.");
    }
    let stem = data.file_stem().unwrap_or_default().to_string_lossy();
    let out_dir = options.path("out_dir").unwrap_or_else(|| "./".into());
    let job = run::Job {
        out: out_dir.join(format!("boltz_results_{stem}")),
        seed: options.text("seed").unwrap_or("none").to_owned(),
        samples: options.count("diffusion_samples", 1)?,
        threads: options.count("preprocessing-threads", 1)?,
        use_msa_server: options.flag("use_msa_server"),
        settings,
    };
    std::fs::create_dir_all(&job.out)?;
    let inputs = input::list(&data)?;
    job.process(inputs)?;
    let records = job.records()?;
    job.predict_structures(&records)?;
    job.predict_affinities(&records)
}
