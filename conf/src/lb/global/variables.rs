//! Variables of the lines that follow.

use super::GlobalDraft;
use crate::keyword::Keyword;

/// The lines.
pub static KEYWORDS: &[Keyword<GlobalDraft>] = &[
    Keyword {
        name: "setenv",
        args: "<name> <value>",
        doc: "Sets an environment variable for the lines that follow and the processes started.",
        example: "setenv CLUSTER east",
        apply: |d, a| {
            let name = a.expect("a name")?;
            let value = a.expect("a value")?;
            a.finish()?;
            d.env.set(&name.text, &value.text);
            Ok(())
        },
    },
    Keyword {
        name: "presetenv",
        args: "<name> <value>",
        doc: "Same, if it is not set yet.",
        example: "presetenv CLUSTER east",
        apply: |d, a| {
            let name = a.expect("a name")?;
            let value = a.expect("a value")?;
            a.finish()?;
            if d.env.get(&name.text).is_none() {
                d.env.set(&name.text, &value.text);
            }
            Ok(())
        },
    },
    Keyword {
        name: "unsetenv",
        args: "<name>...",
        doc: "Removes variables.",
        example: "unsetenv CLUSTER",
        apply: |d, a| {
            a.expect("a name").map(|w| d.env.unset(&w.text))?;
            for word in a.rest() {
                d.env.unset(&word.text);
            }
            Ok(())
        },
    },
    Keyword {
        name: "resetenv",
        args: "[<name>...]",
        doc: "Removes all variables but these.",
        example: "resetenv PATH",
        apply: |d, a| {
            let names: Vec<_> = a.rest().iter().map(|w| w.text.as_str()).collect();
            d.env.keep_only(&names);
            Ok(())
        },
    },
];
