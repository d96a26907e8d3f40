//! Variables of the environment, for the lines that follow, and those of the process,
//! which sessions see.

use super::GlobalDraft;
use crate::diagnostic::Diagnostic;
use crate::keyword::{Args, Keyword, Word};
use crate::lb::draft::{Draft, Surroundings};
use crate::lb::format;
use crate::lb::model::{ProcessVariable, VariableValue};
use crate::lb::sample::{self, When, fetch};
use crate::source::Span;
use std::rc::Rc;

fn set_var(d: &mut GlobalDraft, a: &mut Args<'_>, is_format: bool) -> Result<(), Diagnostic> {
    let name = a.expect("a variable's name")?;
    let value = a.expect(if is_format {
        "a format"
    } else {
        "an expression"
    })?;
    a.finish()?;
    let variable = read(name, value, is_format, d.surroundings())?;
    d.global.variables.push(variable);
    Ok(())
}

/// A variable of the process and what it is set to.
fn read(
    name: &Word,
    value: &Word,
    is_format: bool,
    around: Rc<Surroundings>,
) -> Result<ProcessVariable, Diagnostic> {
    if !fetch::variable(&name.text) {
        return Err(fetch::bad_variable(name.span, &name.text));
    }
    if !name.text.starts_with("proc.") {
        return Err(
            Diagnostic::error("E1020", name.span, "there is no session here to have it")
                .label("only variables of the process, `proc.`, can be set here"),
        );
    }
    // expressions are read for a section; this one has none of its names
    let mut section = Draft::new(None, "", name.span);
    section.around = around;
    let value = match is_format {
        true => VariableValue::Format(format::parse_live(&mut section, value, When::Load)?),
        false => VariableValue::Expr(sample::parse_text(&mut section, value, When::Load)?),
    };
    Ok(ProcessVariable {
        name: name.text.clone(),
        value,
    })
}

/// Same, from texts of an operator.
///
/// # Errors
/// What is wrong with them, in words.
pub fn process_variable(
    name: &str,
    value: &str,
    is_format: bool,
) -> Result<ProcessVariable, String> {
    let word = |text: &str| Word {
        text: text.to_owned(),
        span: Span::default(),
    };
    read(&word(name), &word(value), is_format, Rc::default()).map_err(|error| error.message)
}

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
    Keyword {
        name: "set-var",
        args: "<name> <expression>",
        doc: "Sets a variable of the process (`proc.` in front) at the start and at each reload; \
              every session sees it as `var(proc.name)`, and rules may change it.",
        example: "set-var proc.site str(east)",
        apply: |d, a| set_var(d, a, false),
    },
    Keyword {
        name: "set-var-fmt",
        args: "<name> <format>",
        doc: "Same, to the text of a format.",
        example: "set-var-fmt proc.node \"lb-%[hostname]\"",
        apply: |d, a| set_var(d, a, true),
    },
];
