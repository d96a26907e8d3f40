//! Variables of the process (`proc.`): every session sees and may change them.

use crate::core::expr::Sample;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

/// Most variables held; further ones are not set.
const MOST: usize = 1024;

/// The variables by full name.
#[derive(Debug, Default)]
pub struct Variables {
    held: Mutex<BTreeMap<String, Sample>>,
}

impl Variables {
    /// Whether a variable of this name belongs to the process.
    pub fn own(name: &str) -> bool {
        name.starts_with("proc.")
    }

    /// The value, if it is set.
    pub fn get(&self, name: &str) -> Option<Sample> {
        self.lock().get(name).cloned()
    }

    /// Sets it, or with nothing removes it.
    pub fn set(&self, name: &str, value: Option<Sample>) {
        let mut held = self.lock();
        match value {
            Some(value) if held.len() < MOST || held.contains_key(name) => {
                held.insert(name.to_owned(), value);
            }
            Some(_) => {}
            None => {
                held.remove(name);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Sample>> {
        self.held.lock().unwrap_or_else(|e| e.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_set_replaced_and_removed_up_to_their_number() {
        let variables = Variables::default();
        for n in 0..=MOST {
            variables.set(&format!("proc.v{n}"), Some(Sample::Int(n as i64)));
        }
        assert_eq!(variables.get("proc.v0"), Some(Sample::Int(0)));
        assert_eq!(variables.get(&format!("proc.v{MOST}")), None);
        variables.set("proc.v0", Some(Sample::Int(7)));
        assert_eq!(variables.get("proc.v0"), Some(Sample::Int(7)));
        variables.set("proc.v0", None);
        assert_eq!(variables.get("proc.v0"), None);
    }
}
