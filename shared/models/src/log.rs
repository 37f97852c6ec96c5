//! What the tools print. Their exit codes and missing files say that something went wrong; only the log says what.

use domain::ItemError;
use std::path::Path;

/// The code of an item error that is not the item's: the tool cannot work on this machine, whatever it is given.
pub const UNUSABLE: &str = "tool_unusable";

/// Lines by which a tool says that it cannot work at all: no GPU, a broken driver or checkpoint, an option it does
/// not know, weights it cannot fetch.
const CANNOT_WORK: [&str; 9] = [
    "No supported gpu backend found",
    "CUDA driver version is insufficient",
    "no CUDA-capable device is detected",
    "Found no NVIDIA driver on your system",
    "PytorchStreamReader failed",
    "Error: No such option",
    "No such command",
    "urllib.error.URLError",
    "ModuleNotFoundError:",
];

/// The lines of a log, progress bars redrawn in place among them, without those that carry no news.
pub(crate) fn lines(log: &str) -> impl DoubleEndedIterator<Item = &str> {
    let news = |line: &&str| !line.is_empty() && !line.contains("it/s]") && !line.contains("?it/s");
    log.split(['\n', '\r']).map(str::trim).filter(news)
}

/// The last exception a Python tool told of, or else the last line with anything in it.
pub fn last_words(log: &str) -> Option<&str> {
    let exception = |line: &&str| {
        let class = line.split(':').next().unwrap_or_default();
        let ends_well = ["Error", "Exception", "Interrupt", "Failure"].iter().any(|end| class.ends_with(end));
        ends_well && !class.contains(' ')
    };
    lines(log).rev().find(exception).or_else(|| lines(log).next_back())
}

/// Why a process ended without a result: the tool's own last words, without the names of this machine's folders.
pub(crate) fn hint(log: &str, folder: &Path) -> Option<ItemError> {
    if let Some(line) = lines(log).find(|line| CANNOT_WORK.iter().any(|known| line.contains(known))) {
        return Some(ItemError::new(UNUSABLE, line));
    }
    last_words(log).map(|words| ItemError::new("model_failed", without_folder(words, folder)))
}

pub(crate) fn without_folder(text: &str, folder: &Path) -> String {
    let folder = folder.to_string_lossy();
    text.replace(&format!("{folder}/"), "").chars().take(500).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_exception_is_told_and_not_the_progress_bar_after_it() {
        let log = "Traceback\n  File x\nFileNotFoundError: [Errno 2] No such file: '/tmp/s/out/b2.npz'\n\rPredicting \
                   DataLoader 0:  67%|██| 2/3 [00:09<00:04,  0.21it/s]\n";
        let hint = hint(log, Path::new("/tmp/s")).unwrap();
        assert_eq!(hint.message, "FileNotFoundError: [Errno 2] No such file: 'out/b2.npz'");
        assert_eq!(last_words("all is well\n\n"), Some("all is well"));
        assert_eq!(last_words("\n"), None);
    }

    #[test]
    fn a_machine_without_a_gpu_is_no_fault_of_a_ligand() {
        let log = "MisconfigurationException: No supported gpu backend found!\n";
        assert_eq!(hint(log, Path::new("/tmp")).unwrap().code, UNUSABLE);
    }
}
