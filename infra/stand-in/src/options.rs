//! Command lines of the tools: which options exist, and typed access to the few that matter.
//! An option the real tool lacks is an error here too; what options mean lives with each tool.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::Failure;

/// One tool's command line, as its own help lists it.
pub struct CommandLine {
    /// Shown in usage errors.
    pub name: &'static str,
    pub positionals: &'static [&'static str],
    /// Options that take a value: `long`, or `long` and one letter.
    pub values: &'static [(&'static str, Option<char>)],
    pub flags: &'static [&'static str],
}

/// The parsed arguments.
pub struct Options(ArgMatches);

impl CommandLine {
    /// Parses `args`, the first of which is the tool's name.
    pub fn parse(&self, args: Vec<OsString>) -> Result<Options, Failure> {
        let help = Arg::new("help").long("help").action(ArgAction::Help);
        let mut command = Command::new(self.name).no_binary_name(false).disable_help_flag(true).arg(help);
        for &name in self.positionals {
            command = command.arg(Arg::new(name).required(true));
        }
        for &(name, letter) in self.values {
            command = command.arg(Arg::new(name).long(name).short(letter).num_args(1));
        }
        for &name in self.flags {
            command = command.arg(Arg::new(name).long(name).action(ArgAction::SetTrue));
        }
        Ok(Options(command.try_get_matches_from(args)?))
    }
}

impl Options {
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get_one::<String>(name).map(String::as_str)
    }

    pub fn path(&self, name: &str) -> Option<PathBuf> {
        self.text(name).map(PathBuf::from)
    }

    /// A required value; its absence is a usage error.
    pub fn required(&self, name: &str) -> Result<PathBuf, Failure> {
        self.path(name).ok_or_else(|| usage(format!("Missing option '--{name}'.")))
    }

    /// A whole number, `default` when it was not given.
    pub fn count(&self, name: &str, default: usize) -> Result<usize, Failure> {
        self.text(name).map_or(Ok(default), |text| {
            text.parse().map_err(|_| usage(format!("--{name}: '{text}' is not a valid integer.")))
        })
    }

    pub fn flag(&self, name: &str) -> bool {
        self.0.get_flag(name)
    }
}

/// A usage error (exit code 2).
pub fn usage(message: String) -> Failure {
    clap::Error::raw(ErrorKind::ValueValidation, message).into()
}
