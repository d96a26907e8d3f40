//! Environment variables as the configuration sees and changes them.

use std::collections::BTreeMap;

/// The variables; `setenv` and others of the file change them for the lines
/// that follow, and the daemon passes them on to what it starts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Env {
    vars: BTreeMap<String, String>,
}

impl Env {
    /// No variable at all.
    pub fn empty() -> Env {
        Env::default()
    }

    /// The variables of this process; those that are not UTF-8 are left out.
    pub fn of_process() -> Env {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Env {
            vars: std::env::vars_os().filter_map(text).collect(),
        }
    }

    /// The value, if the variable is set.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.vars.get(name).map(String::as_str)
    }

    /// Sets a variable.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.vars.insert(name.into(), value.into());
    }

    /// Removes a variable.
    pub fn unset(&mut self, name: &str) {
        self.vars.remove(name);
    }

    /// Removes all variables but these.
    pub fn keep_only(&mut self, names: &[&str]) {
        self.vars.retain(|name, _| names.contains(&name.as_str()));
    }

    /// All variables in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.vars.iter().map(|(n, v)| (n.as_str(), v.as_str()))
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Env {
    fn from_iter<T: IntoIterator<Item = (N, V)>>(vars: T) -> Env {
        Env {
            vars: vars
                .into_iter()
                .map(|(n, v)| (n.into(), v.into()))
                .collect(),
        }
    }
}
