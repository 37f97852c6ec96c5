//! RFantibody's three steps from the outside, through Quiver files: backbones, then sequences,
//! then a structure check with scores. Names grow from step to step: `PREFIX_0`,
//! `PREFIX_0_dldesign_0`, `PREFIX_0_dldesign_0_best`.

mod pdb;
mod quiver;

use std::ffi::OsString;
use std::path::Path;

use crate::draws::Draws;
use crate::options::{CommandLine, Options};
use crate::settings::Settings;
use crate::{Failure, Outcome};

const RFDIFFUSION: CommandLine = CommandLine {
    name: "rfdiffusion",
    positionals: &[],
    values: &[
        ("target", Some('t')),
        ("framework", Some('f')),
        ("output-quiver", Some('q')),
        ("num-designs", Some('n')),
        ("design-loops", Some('l')),
        ("hotspots", Some('h')),
        ("weights", Some('w')),
        ("diffuser-t", None),
        ("final-step", None),
        ("extra", Some('e')),
    ],
    flags: &["deterministic", "no-trajectory"],
};
const PROTEINMPNN: CommandLine = CommandLine {
    name: "proteinmpnn",
    positionals: &[],
    values: &[
        ("input-quiver", Some('q')),
        ("output-quiver", None),
        ("loops", Some('l')),
        ("seqs-per-struct", Some('n')),
        ("temperature", Some('t')),
        ("weights", Some('w')),
        ("omit-aas", None),
        ("augment-eps", None),
    ],
    flags: &["deterministic", "debug", "allow-x"],
};
const RF2: CommandLine = CommandLine {
    name: "rf2",
    positionals: &[],
    values: &[
        ("input-quiver", Some('q')),
        ("output-quiver", None),
        ("num-recycles", Some('r')),
        ("weights", Some('w')),
        ("seed", Some('s')),
        ("hotspot-show-prop", None),
        ("extra", Some('e')),
    ],
    flags: &["cautious", "no-cautious"],
};
/// What the real tool's default output prefix, `samples/design`, becomes in a Quiver file.
const PREFIX: &str = "samples_design";

/// `rfdiffusion -t TARGET -f FRAMEWORK -q OUT.qv -n N …`: N more designs, numbered on from those
/// the file already holds.
pub fn rfdiffusion(args: Vec<OsString>, settings: &Settings) -> Outcome {
    let options = RFDIFFUSION.parse(args)?;
    let (target, framework) = (options.required("target")?, options.required("framework")?);
    let output = options.required("output-quiver")?;
    let wanted = options.count("num-designs", 10)?;
    let (target_pdb, framework_pdb) = (read_pdb(&target)?, read_pdb(&framework)?);
    println!("Running RFdiffusion with {wanted} designs...");
    println!("Target: {}\nFramework: {}", target.display(), framework.display());
    settings.load_model();
    let hotspots = options.text("hotspots").unwrap_or_default();
    let first = quiver::read(&output)?.len();
    for i in first..first + wanted {
        let tag = format!("{PREFIX}_{i}");
        eprintln!("Making design {tag}");
        settings.work_on(&tag);
        settings.crash_on(&tag);
        let given = [&framework_pdb, &target_pdb, hotspots].map(|text| text as &str);
        let mut draws = Draws::of(&["rfdiffusion", &i.to_string(), given[0], given[1], given[2]]);
        let mut scores = Vec::new();
        if !hotspots.is_empty() {
            let nearest = draws.between(3.0, 9.0);
            scores.push(format!("mindist={nearest:.2}"));
            scores.push(format!("averagemin={:.2}", nearest + draws.between(0.5, 4.0)));
        }
        let lines = pdb::design(&framework_pdb, &target_pdb, &mut draws);
        quiver::add(&output, &tag, &scores, &lines)?;
    }
    Ok(())
}

/// `proteinmpnn -q IN.qv --output-quiver OUT.qv -n N …`: N sequences for each design. What fails
/// is printed and left out, and the exit code stays 0.
pub fn proteinmpnn(args: Vec<OsString>, settings: &Settings) -> Outcome {
    let options = PROTEINMPNN.parse(args)?;
    let (input, output) = quivers(&options)?;
    let wanted = options.count("seqs-per-struct", 1)?;
    settings.load_model();
    for design in quiver::read(&input)? {
        let tag = &design.tag;
        println!("Attempting pose: {tag}");
        settings.work_on(tag);
        settings.crash_on(tag);
        match sequences(&design, wanted, &output, settings) {
            Ok(()) => println!("Struct: {tag} reported success in 0 seconds"),
            Err(error) => println!("Struct with tag {tag} failed in 0 seconds with error: {error}"),
        }
    }
    Ok(())
}

fn sequences(design: &quiver::Design, wanted: usize, output: &Path, settings: &Settings) -> Outcome {
    if settings.strikes("skip", &design.tag) {
        return Err(Failure::raised("ValueError", "failed on request"));
    }
    for j in 0..wanted {
        let tag = format!("{}_dldesign_{j}", design.tag);
        let mut draws = Draws::of(&["proteinmpnn", &tag, &design.pdb.join("\n")]);
        let lines = pdb::with_new_loops(&design.pdb, &mut draws);
        quiver::add(output, &tag, &[], &lines)?;
    }
    Ok(())
}

/// `rf2 -q IN.qv --output-quiver OUT.qv …`: every design again, with scores. A design the output
/// already holds is computed, and then ends the run.
pub fn rf2(args: Vec<OsString>, settings: &Settings) -> Outcome {
    let options = RF2.parse(args)?;
    let (input, output) = quivers(&options)?;
    let seed = options.text("seed").unwrap_or("none");
    settings.load_model();
    for design in quiver::read(&input)? {
        settings.work_on(&design.tag);
        settings.crash_on(&design.tag);
        if settings.strikes("runtime-error", &design.tag) {
            let message = "CUDA error: device-side assert triggered";
            return Err(Failure::raised("RuntimeError", message));
        }
        let scores = scores(&mut Draws::of(&["rf2", seed, &design.pdb.join("\n")]));
        let tag = format!("{}_best", design.tag);
        quiver::add(&output, &tag, &scores, &design.pdb)?;
    }
    Ok(())
}

/// Errors and RMSDs in Å, `pred_lddt` 0 to 1, two decimals as the real tool prints them.
fn scores(draws: &mut Draws) -> Vec<String> {
    let quality = draws.between(0.0, 1.0);
    let mut scores = vec![
        ("interaction_pae".to_owned(), 24.0 - 19.0 * quality),
        ("pae".to_owned(), 14.0 - 10.0 * quality),
        ("pred_lddt".to_owned(), 0.6 + 0.35 * quality),
        ("target_aligned_antibody_rmsd".to_owned(), 12.0 - 11.0 * quality),
        ("target_aligned_cdr_rmsd".to_owned(), 13.0 - 11.5 * quality),
    ];
    for part in ["antibody", "cdr", "H1", "H2", "H3", "L1", "L2", "L3"] {
        scores.push((format!("framework_aligned_{part}_rmsd"), draws.between(0.3, 3.0)));
    }
    let pairs = scores.into_iter().map(|(key, value)| format!("{key}={value:.2}"));
    pairs.collect()
}

fn quivers(options: &Options) -> Result<(std::path::PathBuf, std::path::PathBuf), Failure> {
    let input = options.required("input-quiver")?;
    if !input.exists() {
        let message = format!("Invalid value for '--input-quiver': Path {input:?} does not exist.");
        return Err(crate::options::usage(message));
    }
    Ok((input, options.required("output-quiver")?))
}

fn read_pdb(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path)
        .map_err(|error| crate::options::usage(format!("Path {path:?} cannot be read: {error}.")))
}
