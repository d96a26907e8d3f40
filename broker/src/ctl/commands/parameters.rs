//! Policies, parameters, definitions.

use super::Command;
use crate::ctl::output::Rows;
use crate::ctl::tool::{Done, End, Run};
use crate::ctl::wire::{Fault, FaultKind};
use serde_json::{Value, json};

const POLICIES: &str = "Policies";
const PARAMETERS: &str = "Parameters";
const DEFINITIONS: &str = "Definitions";

const POLICY: [&str; 6] = [
    "vhost",
    "name",
    "pattern",
    "apply-to",
    "definition",
    "priority",
];

/// Policies, parameters, definitions.
pub static COMMANDS: &[Command] = &[
    running!(
        "set_policy",
        "[--vhost <vhost>] [--priority <priority>] [--apply-to <apply-to>] <name> <pattern> <definition>",
        POLICIES,
        "Sets or updates a policy",
        (3, 3),
        &["priority", "apply-to"],
        |r| set_policy(r, false)
    ),
    running!(
        "set_operator_policy",
        "[--vhost <vhost>] [--priority <priority>] [--apply-to <apply-to>] <name> <pattern> <definition>",
        POLICIES,
        "Sets an operator policy that overrides a subset of arguments in user policies",
        (3, 3),
        &["priority", "apply-to"],
        |r| set_policy(r, true)
    ),
    running!(
        "clear_policy",
        "[--vhost <vhost>] <name>",
        POLICIES,
        "Clears (removes) a policy",
        (1, 1),
        &[],
        |r| {
            let (name, vhost) = (r.line.arg(0), r.line.vhost());
            r.banner(format!(
                "Clearing policy \"{name}\" on vhost \"{vhost}\" ..."
            ));
            r.change(
                "clear_policy",
                &[("vhost", json!(vhost)), ("name", json!(name))],
            )
        }
    ),
    running!(
        "clear_operator_policy",
        "[--vhost <vhost>] <name>",
        POLICIES,
        "Clears an operator policy",
        (1, 1),
        &[],
        |r| {
            let (name, vhost) = (r.line.arg(0), r.line.vhost());
            r.banner(format!(
                "Clearing operator policy \"{name}\" on vhost \"{vhost}\" ..."
            ));
            r.change(
                "clear_operator_policy",
                &[("vhost", json!(vhost)), ("name", json!(name))],
            )
        }
    ),
    running!(
        "list_policies",
        "[--vhost <vhost>] [--no-table-headers] [--timeout <timeout>]",
        POLICIES,
        "Lists all policies in a virtual host",
        (0, 0),
        &[],
        |r| {
            r.banner(format!(
                "Listing policies for vhost \"{}\" ...",
                r.line.vhost()
            ));
            list_policies(r, "policies")
        }
    ),
    running!(
        "list_operator_policies",
        "[--vhost <vhost>] [--no-table-headers] [--timeout <timeout>]",
        POLICIES,
        "Lists operator policy overrides for a virtual host",
        (0, 0),
        &[],
        |r| {
            r.banner(format!(
                "Listing operator policy overrides for vhost \"{}\" ...",
                r.line.vhost()
            ));
            list_policies(r, "operator-policies")
        }
    ),
    running!(
        "set_parameter",
        "[--vhost <vhost>] <component> <name> <value>",
        PARAMETERS,
        "Sets a runtime parameter",
        (3, 3),
        &[],
        |r| {
            let [component, name, value] = [0, 1, 2].map(|i| r.line.arg(i));
            let vhost = r.line.vhost();
            r.banner(format!("Setting runtime parameter \"{name}\" for component \"{component}\" to \"{value}\" in vhost \"{vhost}\" ..."));
            r.change(
                "set_parameter",
                &[
                    ("vhost", json!(vhost)),
                    ("component", json!(component)),
                    ("name", json!(name)),
                    ("value", json!(value)),
                ],
            )
        }
    ),
    running!(
        "clear_parameter",
        "[--vhost <vhost>] <component> <name>",
        PARAMETERS,
        "Clears a runtime parameter",
        (2, 2),
        &[],
        |r| {
            let (component, name, vhost) = (r.line.arg(0), r.line.arg(1), r.line.vhost());
            r.banner(format!("Clearing runtime parameter \"{name}\" for component \"{component}\" on vhost \"{vhost}\" ..."));
            r.change(
                "clear_parameter",
                &[
                    ("vhost", json!(vhost)),
                    ("component", json!(component)),
                    ("name", json!(name)),
                ],
            )
        }
    ),
    running!(
        "list_parameters",
        "[--vhost <vhost>] [--no-table-headers] [--timeout <timeout>]",
        PARAMETERS,
        "Lists runtime parameters for a virtual host",
        (0, 0),
        &[],
        |r| {
            r.banner(format!(
                "Listing runtime parameters for vhost \"{}\" ...",
                r.line.vhost()
            ));
            r.need_vhost()?;
            let mut items = r.items("/api/parameters")?;
            items.retain(|item| {
                item["vhost"] == r.line.vhost() && item["component"] != "operator_policy"
            });
            texts(&mut items, "value");
            listed(r, &items, &["component", "name", "value"])
        }
    ),
    running!(
        "set_global_parameter",
        "<name> <value>",
        PARAMETERS,
        "Sets a global runtime parameter",
        (2, 2),
        &[],
        |r| {
            let (name, value) = (r.line.arg(0), r.line.arg(1));
            r.banner(format!(
                "Setting global runtime parameter \"{name}\" to \"{value}\" ..."
            ));
            r.change(
                "set_global_parameter",
                &[("name", json!(name)), ("value", json!(value))],
            )
        }
    ),
    running!(
        "clear_global_parameter",
        "<name>",
        PARAMETERS,
        "Clears a global runtime parameter",
        (1, 1),
        &[],
        |r| {
            let name = r.line.arg(0);
            r.banner(format!("Clearing global runtime parameter \"{name}\" ..."));
            r.change("clear_global_parameter", &[("name", json!(name))])
        }
    ),
    running!(
        "list_global_parameters",
        "[--no-table-headers] [--timeout <timeout>]",
        PARAMETERS,
        "Lists global runtime parameters",
        (0, 0),
        &[],
        |r| {
            r.banner("Listing global runtime parameters ...");
            let mut items = r.items("/api/global-parameters")?;
            texts(&mut items, "value");
            r.list(Rows::pick(&items, &["name", "value"]))
        }
    ),
    running!(
        "set_cluster_name",
        "<name>",
        "Configuration and Environment",
        "Sets the cluster name",
        (1, 1),
        &[],
        |r| {
            let name = r.line.arg(0);
            r.banner(format!("Setting cluster name to {name} ..."));
            r.change("set_cluster_name", &[("name", json!(name))])
        }
    ),
    running!(
        "export_definitions",
        "<file_path | \"-\"> [--format <json | erlang>]",
        DEFINITIONS,
        "Exports definitions in JSON",
        (1, 1),
        &["format"],
        export
    ),
    running!(
        "import_definitions",
        "[<file_path>] [--format <json | erlang>]",
        DEFINITIONS,
        "Imports definitions in JSON",
        (0, 1),
        &["format"],
        import
    ),
];

fn set_policy(r: &Run, operator: bool) -> Done {
    let [name, pattern, definition] = [0, 1, 2].map(|i| r.line.arg(i));
    let vhost = r.line.vhost();
    let given = r.line.option("priority").unwrap_or("0");
    let Ok(priority) = given.parse::<i64>() else {
        let text = format!("Invalid options for this command:\n--priority : {given}");
        return Err(End::Usage(64, text));
    };
    let what = if operator {
        "operator policy override"
    } else {
        "policy"
    };
    r.banner(format!(
        "Setting {what} \"{name}\" for pattern \"{pattern}\" to \"{definition}\" with priority \"{priority}\" for vhost \"{vhost}\" ..."
    ));
    r.need_vhost()?;
    let op = if operator {
        "set_operator_policy"
    } else {
        "set_policy"
    };
    let with = [
        ("vhost", json!(vhost)),
        ("name", json!(name)),
        ("pattern", json!(pattern)),
        ("definition", json!(definition)),
        ("priority", json!(priority)),
        (
            "apply_to",
            json!(r.line.option("apply-to").unwrap_or("all")),
        ),
    ];
    r.change(op, &with)
}

fn list_policies(r: &Run, kind: &str) -> Done {
    r.need_vhost()?;
    let mut items = r.items(&format!("/api/{kind}/{}", r.vhost_path()))?;
    texts(&mut items, "definition");
    listed(r, &items, &POLICY)
}

/// A list that leaves an empty line when it has nothing.
fn listed(r: &Run, items: &[Value], columns: &[&str]) -> Done {
    if items.is_empty() && !r.is_json() {
        r.say("");
        return Ok(());
    }
    r.list(Rows::pick(items, columns))
}

/// Objects as JSON text, as these columns show them.
fn texts(items: &mut [Value], key: &str) {
    for item in items {
        item[key] = item[key].to_string().into();
    }
}

fn only_json(r: &Run) -> Done {
    match r.line.option("format").unwrap_or("json") {
        "json" => Ok(()),
        _ => Err(End::Usage(
            65,
            "Bad argument: Format should be json; there are no Erlang terms here".to_owned(),
        )),
    }
}

fn export(r: &Run) -> Done {
    only_json(r)?;
    let path = r.line.arg(0);
    let directory = std::path::Path::new(path).parent();
    if let Some(missing) = directory.filter(|d| !d.as_os_str().is_empty() && !d.exists()) {
        let text = format!(
            "Bad argument: Directory {} does not exist",
            missing.display()
        );
        return Err(End::Usage(65, text));
    }
    if path != "-" {
        r.banner(format!(
            "Exporting definitions in JSON to a file at \"{path}\" ..."
        ));
    }
    let text = r.perform("export", &[])?.to_string();
    if path == "-" {
        r.say(text);
        return Ok(());
    }
    std::fs::write(path, text).map_err(|e| End::Fault(Fault::failed(format!("{path}: {e}"))))
}

fn import(r: &Run) -> Done {
    only_json(r)?;
    let path = r.line.arg(0);
    let read = match path {
        "" | "-" => {
            r.banner("Importing definitions in JSON from standard input ...");
            std::io::read_to_string(std::io::stdin())
        }
        _ if !std::path::Path::new(path).exists() => {
            let text = format!("Bad argument: File {path} does not exist");
            return Err(End::Usage(65, text));
        }
        _ => {
            r.banner(format!(
                "Importing definitions in JSON from a file at \"{path}\" ..."
            ));
            std::fs::read_to_string(path)
        }
    };
    let text = read.map_err(|e| End::Fault(Fault::failed(format!("{path}: {e}"))))?;
    if let Err(error) = serde_json::from_str::<Value>(&text) {
        let text = format!("Failed to deserialise input (format: JSON) (error: {error})");
        return Err(End::Fault(Fault::new(FaultKind::Data, text)));
    }
    r.change("import", &[("definitions", json!(text))])?;
    r.banner(
        "Successfully started definition import. This process is asynchronous and can take some time.",
    );
    Ok(())
}
