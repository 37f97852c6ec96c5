//! Which command-line tools the worker runs: the real ones where they are, our stand-in where they are not.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

/// The hidden command under which this executable is the stand-in.
pub const STAND_IN: &str = "stand-in";

/// The tools by the variable that names their command, the name on the PATH, which is also the stand-in's name for them,
/// and the model they belong to.
const TOOLS: [(&str, &str, &str); 5] = [
    ("BOLTZ_COMMAND", "boltz", "boltz2"),
    ("CHAI_COMMAND", "chai-lab", "chai1"),
    ("RFDIFFUSION_COMMAND", "rfdiffusion", "rfantibody"),
    ("PROTEINMPNN_COMMAND", "proteinmpnn", "rfantibody"),
    ("RF2_COMMAND", "rf2", "rfantibody"),
];

/// The variables a worker needs to find its tools, and the one that says which models have none; those the environment
/// names already stay as they are.
pub fn commands(environment: &BTreeMap<String, String>, executable: &Path) -> BTreeMap<String, String> {
    let path = environment.get("PATH").map_or("", String::as_str);
    let installed = |tool: &str| path.split(':').any(|folder| Path::new(folder).join(tool).is_file());
    let mut commands = BTreeMap::new();
    let mut simulated = BTreeSet::new();
    for (variable, tool, model) in TOOLS {
        if !environment.contains_key(variable) && !installed(tool) {
            let executable = executable.display().to_string().replace('\'', "'\\''");
            commands.insert(variable.to_owned(), format!("'{executable}' {STAND_IN} {tool}"));
            simulated.insert(model);
        }
    }
    if !environment.contains_key("SIMULATED_MODELS") {
        commands.insert("SIMULATED_MODELS".to_owned(), Vec::from_iter(simulated).join(","));
    }
    if !environment.contains_key("ACCELERATOR") && !installed("nvidia-smi") {
        commands.insert("ACCELERATOR".to_owned(), "cpu".to_owned());
    }
    commands
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stand_in_stands_in_only_where_there_is_no_tool() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("boltz"), "").unwrap();
        let environment = BTreeMap::from([
            ("PATH".to_owned(), folder.path().display().to_string()),
            ("RF2_COMMAND".to_owned(), "/opt/rf2".to_owned()),
        ]);
        let commands = commands(&environment, Path::new("/opt/it's here/hub"));
        assert!(!commands.contains_key("BOLTZ_COMMAND") && !commands.contains_key("RF2_COMMAND"));
        assert_eq!(commands["CHAI_COMMAND"], r"'/opt/it'\''s here/hub' stand-in chai-lab");
        assert_eq!(commands["SIMULATED_MODELS"], "chai1,rfantibody");
    }
}
