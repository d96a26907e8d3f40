//! `rabbitmq-plugins`: which parts are built in. Nothing can be added or taken
//! away; what is there is shown as enabled.

use super::{App::Any, Command, MANY};
use crate::ctl::tool::{Done, End, Run, version};
use crate::ctl::wire::{Fault, FaultKind};
use serde_json::json;

/// What is built in under names of RabbitMQ's plug-ins: name, asked for or implied.
const BUILT_IN: [(&str, bool); 4] = [
    ("rabbitmq_management", true),
    ("rabbitmq_management_agent", false),
    ("rabbitmq_prometheus", true),
    ("rabbitmq_web_dispatch", false),
];

const GROUP: &str = "Configuration and Environment";

macro_rules! command {
    ($name:literal, $usage:literal, $about:literal, $args:expr, $run:expr) => {
        Command {
            name: $name,
            usage: $usage,
            about: $about,
            group: GROUP,
            args: $args,
            // `-e` is the short form of --if-empty elsewhere and of --implicitly-enabled here
            options: &[
                "enabled",
                "implicitly-enabled",
                "if-empty",
                "explicit",
                "minimal",
                "verbose",
                "all",
                "online",
                "offline",
            ],
            app: Any,
            run: $run,
        }
    };
}

/// The words of `rabbitmq-plugins`.
pub static COMMANDS: &[Command] = &[
    command!(
        "list",
        "[pattern] [--verbose] [--minimal] [--enabled] [--implicitly-enabled]",
        "Lists plugins and their state",
        (0, 1),
        list
    ),
    command!(
        "enable",
        "<plugin1> [ <plugin2>]",
        "Enables one or more plugins",
        (1, MANY),
        |r| change(r, "enable")
    ),
    command!(
        "disable",
        "<plugin1> [ <plugin2>]",
        "Disables one or more plugins",
        (1, MANY),
        |r| change(r, "disable")
    ),
    command!(
        "set",
        "[<plugin>]",
        "Enables one or more plugins, disables the rest",
        (0, MANY),
        |r| change(r, "set")
    ),
    command!(
        "is_enabled",
        "<plugin1> [ <plugin2>]",
        "Health check that exits with a non-zero code if provided plugins are not enabled on target node",
        (1, MANY),
        is_enabled
    ),
    command!(
        "directories",
        "[--offline] [--online]",
        "Displays plugin directory and enabled plugin file paths",
        (0, 0),
        |r| {
            r.banner(format!(
                "Listing plugin directories used by node {}",
                r.node.name
            ));
            r.say("Plugins are built in; there are no directories");
            Ok(())
        }
    ),
    command!("version", "", "Displays CLI tools version", (0, 0), |r| {
        r.say(version());
        Ok(())
    }),
];

fn list(r: &Run) -> Done {
    let pattern = if r.line.args.is_empty() {
        ".*"
    } else {
        r.line.arg(0)
    };
    let matching = crate::core::access::Pattern::policy(pattern)
        .map_err(|e| End::Usage(64, format!("the pattern is not a regular expression: {e}")))?;
    let only_explicit = r.line.has("explicit");
    let shown = BUILT_IN
        .iter()
        .filter(|(name, explicit)| matching.matches(name) && (*explicit || !only_explicit));
    let running = r.perform("running", &[]).is_ok();
    let version = version();
    if r.is_json() {
        let items: Vec<_> = shown
            .map(|(name, explicit)| {
                let enabled = if *explicit { "enabled" } else { "implicit" };
                json!({"enabled": enabled, "name": name, "running": running, "running_version": version, "version": version})
            })
            .collect();
        r.say(json!({"format": "normal", "plugins": items}).to_string());
        return Ok(());
    }
    r.banner(format!("Listing plugins with pattern \"{pattern}\" ..."));
    let names: Vec<_> = shown.collect();
    if r.line.has("minimal") {
        for (name, _) in names {
            r.say(name);
        }
        return Ok(());
    }
    let state = match running {
        true => format!(" | Status: * = running on {}", r.node.name),
        false => format!(
            " | Status: [failed to contact {} - status not shown]",
            r.node.name
        ),
    };
    r.banner(format!(
        " Configured: E = explicitly enabled; e = implicitly enabled\n{state}\n |/"
    ));
    let width = names.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, explicit) in names {
        let mark = if *explicit { 'E' } else { 'e' };
        let star = if running { '*' } else { ' ' };
        r.say(format!("[{mark}{star}] {name:width$} {version}"));
    }
    Ok(())
}

fn is_built_in(name: &str) -> bool {
    BUILT_IN.iter().any(|(known, _)| *known == name)
}

fn change(r: &Run, verb: &str) -> Done {
    let doing = match verb {
        "disable" => "Disabling",
        _ => "Enabling",
    };
    r.banner(format!("{doing} plugins on node {}:", r.node.name));
    for name in &r.line.args {
        r.say(name);
    }
    let foreign: Vec<_> = r
        .line
        .args
        .iter()
        .filter(|name| !is_built_in(name))
        .collect();
    if verb == "set" && !foreign.is_empty() {
        let list: Vec<_> = foreign.iter().map(|name| name.as_str()).collect();
        let text = format!("The following plugins were not found: {}", list.join(", "));
        return Err(End::Fault(Fault::new(FaultKind::Data, text)));
    }
    if verb != "disable" && !foreign.is_empty() {
        let list: Vec<_> = foreign.iter().map(|name| format!(":{name}")).collect();
        let text = format!("{{:plugins_not_found, [{}]}}", list.join(", "));
        return Err(End::Fault(Fault::new(FaultKind::Exists, text)));
    }
    let kept = |name: &&String| is_built_in(name);
    if verb == "disable" && r.line.args.iter().any(|name| kept(&name)) {
        let text = "it is built in and stays; turn its listener off with `--management none` or in the configuration";
        return Err(End::Fault(Fault::failed(text)));
    }
    r.say("The following plugins have been configured:");
    BUILT_IN
        .iter()
        .for_each(|(name, _)| r.say(format!("  {name}")));
    r.say(format!(
        "Applying plugin configuration to {}...\nPlugin configuration unchanged.",
        r.node.name
    ));
    Ok(())
}

fn is_enabled(r: &Run) -> Done {
    let node = &r.node.name;
    let (names, word) = (
        r.line.args.join(", "),
        if r.line.args.len() > 1 {
            "plugins"
        } else {
            "plugin"
        },
    );
    r.banner(format!(
        "Asking node {node} if {word} {names} {} enabled...",
        if word == "plugin" { "is" } else { "are" }
    ));
    let missing: Vec<_> = r
        .line
        .args
        .iter()
        .filter(|n| !is_built_in(n))
        .map(String::as_str)
        .collect();
    if missing.is_empty() {
        let (subject, verb) = if word == "plugin" {
            ("Plugin", "is")
        } else {
            ("Plugins", "are")
        };
        r.say(format!("{subject} {names} {verb} enabled on node {node}"));
        return Ok(());
    }
    let there: Vec<_> = BUILT_IN.iter().map(|(name, _)| *name).collect();
    Err(End::Fault(Fault::failed(format!(
        "Plugin {} is not enabled on node {node}. Enabled plugins and dependencies: {}",
        missing.join(", "),
        there.join(", ")
    ))))
}
