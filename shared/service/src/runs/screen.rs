//! The files of a screen in the uploads bucket: `{user}/{folder}/` holds one library or more, and beside them the target
//! as `target.fasta` and, if wanted, `screen.yaml` with everything a submission may say.

use super::submit::{OnInvalid, Submission};
use crate::places;
use domain::{IdError, JobId, Priority, Source, Strategy, Uid};
use platform::{BlobPath, Blobs, Ids, ObjectMeta};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Files of one folder that are looked at.
const FILES_SEEN: u32 = 1000;
/// The most a target or settings may weigh, in bytes: more than a request may that makes them.
pub const TEXT_LIMIT: u64 = 64 * 1024 * 1024;

/// Settings of a screen; the file is YAML, of which JSON is a part.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Screen {
    /// By default `boltz2`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The target; otherwise `target.fasta` holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protein_sequence: Option<String>,
    #[serde(skip_serializing_if = "Value::is_null")]
    pub inputs: Value,
    #[serde(skip_serializing_if = "Value::is_null")]
    pub parameters: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_name: Option<String>,
    pub priority: Priority,
    pub strategy: Strategy,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_concurrent: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_cost_usd: Option<f64>,
    /// By default `skip`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_invalid: Option<OnInvalid>,
}

/// What a file of a screen's folder is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Library,
    Target,
    Settings,
}

/// The user and the folder of an uploaded object, and what the file is; `None` for what lies elsewhere.
pub fn place(name: &str) -> Option<(Uid, &str, Part)> {
    let (folder, file) = name.rsplit_once('/')?;
    let (uid, _) = folder.split_once('/')?;
    let part = match file.to_ascii_lowercase().as_str() {
        "screen.yaml" | "screen.yml" | "screen.json" => Part::Settings,
        "target.fasta" | "target.fa" | "target.txt" => Part::Target,
        _ => Part::Library,
    };
    Some((Uid::named(uid.to_owned()).ok()?, folder, part))
}

/// What lies in a screen's folder itself.
pub async fn files(blobs: &Blobs, folder: &str) -> platform::Result<Vec<ObjectMeta>> {
    let prefix = format!("{folder}/");
    let mut files = blobs.list(places::UPLOADS, &prefix, None, FILES_SEEN).await?;
    files.retain(|meta| !meta.path.name()[prefix.len()..].contains('/'));
    Ok(files)
}

/// The run that an uploaded library is: always the same for one writing of the object.
pub fn job_id(library: &BlobPath, generation: i64) -> Result<JobId, IdError> {
    JobId::new(true, &Ids::derived(&["upload", library.bucket(), library.name(), &generation.to_string()]))
}

/// A submission of which nothing is known but whose it is.
pub fn bare(uid: &Uid, library: &BlobPath) -> Submission {
    let accepted = models::Accepted {
        input: Value::Null,
        files: vec![],
        parameters: Value::Null,
        target_residues: 0,
        designs: None,
    };
    Submission {
        uid: uid.clone(),
        account: None,
        claimed_tier: None,
        batch: true,
        name: Some(name(library)),
        model: models::all()[0],
        accepted,
        priority: Default::default(),
        strategy: Default::default(),
        max_concurrent: None,
        max_cost_usd: None,
        source: Source::Upload(library.name().to_owned()),
    }
}

/// The name of a screen that was given none: `folder/file` below the user.
pub fn name(library: &BlobPath) -> String {
    library.name().split_once('/').map_or("", |(_, rest)| rest).chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_a_user_holds_a_library_a_target_and_settings() {
        let part = |name| place(name).map(|(uid, folder, part)| (uid.to_string(), folder.to_owned(), part));
        let folder = || ("u1".to_owned(), "u1/abl1/march".to_owned());
        assert_eq!(part("u1/abl1/march/Hits.csv.gz"), Some((folder().0, folder().1, Part::Library)));
        assert_eq!(part("u1/abl1/march/target.fasta"), Some((folder().0, folder().1, Part::Target)));
        assert_eq!(part("u1/abl1/march/screen.yaml"), Some((folder().0, folder().1, Part::Settings)));
        for stray in ["library.csv", "u1/library.csv", ".x/y/library.csv"] {
            assert_eq!(part(stray), None, "{stray}");
        }
    }
}
