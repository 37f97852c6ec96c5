//! Where a model meets the worker: the folder to write inputs into, the processes to run, and what became of each
//! item.

use domain::{Item, ItemError, Run, Scores};
use std::path::{Path, PathBuf};

/// How each tool is started here, and on what.
#[derive(Clone, Debug, PartialEq)]
pub struct Tools {
    /// Program and leading arguments of `boltz`.
    pub boltz: Vec<String>,
    /// Of `chai-lab`.
    pub chai: Vec<String>,
    pub rfdiffusion: Vec<String>,
    pub proteinmpnn: Vec<String>,
    pub rf2: Vec<String>,
    pub accelerator: Accelerator,
    /// Folder of Boltz's weights; its own default where absent.
    pub boltz_cache: Option<String>,
    /// Put after Boltz's other arguments.
    pub boltz_extra: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Accelerator {
    #[default]
    Gpu,
    Cpu,
}

/// One try at some items.
#[derive(Clone, Copy, Debug)]
pub struct Stage<'a> {
    /// Fresh and empty; an absolute path.
    pub folder: &'a Path,
    /// Folder with the run's input files; an absolute path.
    pub files: &'a Path,
    pub run: &'a Run,
    pub items: &'a [Item],
    pub tools: &'a Tools,
}

/// One process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Program and arguments.
    pub program: Vec<String>,
    /// Added to the worker's own environment.
    pub env: Vec<(String, String)>,
    pub cwd: PathBuf,
}

/// What is known of one item.
#[derive(Clone, Debug, PartialEq)]
pub enum Reading {
    /// It has its result; the files are complete.
    Done {
        index: u32,
        scores: Scores,
        /// By kind (`cif`, `pdb`, `confidence` …).
        files: Vec<(&'static str, PathBuf)>,
        /// True if a stand-in made the values.
        simulated: bool,
    },
    /// It will never have one: running it again would end the same way.
    Failed { index: u32, error: ItemError },
    /// Nothing yet, or nothing in this try; running it again may help.
    Unfinished {
        index: u32,
        /// What to say if it never ends otherwise.
        hint: Option<ItemError>,
    },
}

impl Step {
    /// A process in the stage's folder. Python's own buffering is switched off: what a process that is killed had
    /// printed is then not lost.
    pub(crate) fn new(stage: &Stage, tool: &[String], arguments: Vec<String>) -> Self {
        let program = tool.iter().cloned().chain(arguments).collect();
        let env = vec![("PYTHONUNBUFFERED".to_owned(), "1".to_owned())];
        Step { program, env, cwd: stage.folder.to_owned() }
    }
}

/// A path as an argument or a value in an input file.
pub(crate) fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// What a tool calls the item: no chain's name, no path, the same length for all.
pub(crate) fn record_id(item: &Item) -> String {
    format!("i{:07}", item.index)
}
