//! Users, permissions, virtual hosts and limits.

use super::{Command, MANY};
use crate::ctl::output::Rows;
use crate::ctl::tool::{Done, End, Run, encoded};
use crate::ctl::wire::{Fault, FaultKind};
use serde_json::{Value, json};

const USERS: &str = "Users";
const ACCESS: &str = "Access Control";
const VHOSTS: &str = "Virtual hosts";

/// Users, permissions, virtual hosts and limits.
pub static COMMANDS: &[Command] = &[
    running!(
        "add_user",
        "<username> <password>",
        USERS,
        "Creates a new user; it has no permissions at first",
        (1, 2),
        &["pre-hashed-password"],
        add_user
    ),
    running!(
        "delete_user",
        "<username>",
        USERS,
        "Removes a user",
        (1, 1),
        |r| {
            let user = r.line.arg(0);
            r.banner(format!("Deleting user \"{user}\" ..."));
            r.change("delete_user", &[("user", json!(user))])
        }
    ),
    running!(
        "change_password",
        "<username> [<password>]",
        USERS,
        "Changes the user password",
        (1, 2),
        |r| {
            let user = r.line.arg(0);
            r.banner(format!("Changing password for user \"{user}\" ..."));
            let password = password(r)?;
            r.change(
                "change_password",
                &[("user", json!(user)), ("password", json!(password))],
            )
        }
    ),
    running!(
        "clear_password",
        "<username>",
        USERS,
        "Clears a password and with it logins by password",
        (1, 1),
        |r| {
            let user = r.line.arg(0);
            r.banner(format!("Clearing password for user \"{user}\" ..."));
            r.change("clear_password", &[("user", json!(user))])
                .map_err(|end| no_such_user(end, user))
        }
    ),
    running!(
        "authenticate_user",
        "<username> [<password>]",
        USERS,
        "Tries to log a user in; exits with another code than 0 if that fails",
        (1, 2),
        |r| {
            let user = r.line.arg(0);
            r.banner(format!("Authenticating user \"{user}\" ..."));
            let password = password(r)?;
            r.change(
                "authenticate_user",
                &[("user", json!(user)), ("password", json!(password))],
            )?;
            r.say("Success");
            Ok(())
        }
    ),
    running!(
        "set_user_tags",
        "<username> <tag> [...]",
        USERS,
        "Sets user tags",
        (1, MANY),
        |r| {
            let (user, tags) = (r.line.arg(0), &r.line.args[1..]);
            r.banner(format!(
                "Setting tags for user \"{user}\" to [{}] ...",
                tags.join(", ")
            ));
            r.change(
                "set_user_tags",
                &[("user", json!(user)), ("tags", json!(tags))],
            )
        }
    ),
    running!(
        "list_users",
        "[--no-table-headers] [--timeout <timeout>]",
        USERS,
        "List user names and tags",
        (0, 0),
        list_users
    ),
    running!(
        "set_user_limits",
        "<username> <definition>",
        USERS,
        "Sets user limits",
        (2, 2),
        |r| {
            let (user, definition) = (r.line.arg(0), r.line.arg(1));
            r.banner(format!(
                "Setting user limits to \"{definition}\" for user \"{user}\" ..."
            ));
            r.change(
                "set_user_limits",
                &[("user", json!(user)), ("definition", json!(definition))],
            )
        }
    ),
    running!(
        "clear_user_limits",
        "<username> <limit> | all",
        USERS,
        "Clears user connection/channel limits",
        (2, 2),
        |r| {
            let (user, name) = (r.line.arg(0), r.line.arg(1));
            r.banner(match name {
                "all" => format!("Clearing all limits for user \"{user}\" ..."),
                _ => format!("Clearing \"{name}\" limit for user \"{user}\" ..."),
            });
            r.change(
                "clear_user_limits",
                &[("user", json!(user)), ("name", json!(name))],
            )
            .map_err(|end| no_such_user(end, user))
        }
    ),
    running!(
        "list_user_limits",
        "[--user <username>] [--global]",
        USERS,
        "Displays configured user limits",
        (0, 0),
        &["user", "global"],
        list_user_limits
    ),
    running!(
        "set_permissions",
        "[--vhost <vhost>] <username> <conf> <write> <read>",
        ACCESS,
        "Sets user permissions for a vhost",
        (4, 4),
        |r| {
            let (user, vhost) = (r.line.arg(0), r.line.vhost());
            r.banner(format!(
                "Setting permissions for user \"{user}\" in vhost \"{vhost}\" ..."
            ));
            let [configure, write, read] = [1, 2, 3].map(|i| json!(r.line.arg(i)));
            r.change(
                "set_permissions",
                &[
                    ("user", json!(user)),
                    ("vhost", json!(vhost)),
                    ("configure", configure),
                    ("write", write),
                    ("read", read),
                ],
            )
        }
    ),
    running!(
        "clear_permissions",
        "[--vhost <vhost>] <username>",
        ACCESS,
        "Revokes user permissions for a vhost",
        (1, 1),
        |r| {
            let (user, vhost) = (r.line.arg(0), r.line.vhost());
            r.banner(format!(
                "Clearing permissions for user \"{user}\" in vhost \"{vhost}\" ..."
            ));
            r.change(
                "clear_permissions",
                &[("user", json!(user)), ("vhost", json!(vhost))],
            )
        }
    ),
    running!(
        "list_permissions",
        "[--vhost <vhost>] [--no-table-headers] [--timeout <timeout>]",
        ACCESS,
        "Lists user permissions in a virtual host",
        (0, 0),
        |r| {
            let vhost = r.line.vhost();
            r.banner(format!("Listing permissions for vhost \"{vhost}\" ..."));
            r.need_vhost()?;
            let items = r.items(&format!("/api/vhosts/{}/permissions", r.vhost_path()))?;
            r.list(Rows::pick(&items, &["user", "configure", "write", "read"]))
        }
    ),
    running!(
        "list_user_permissions",
        "[--no-table-headers] <username> [--timeout <timeout>]",
        ACCESS,
        "Lists permissions of a user across all virtual hosts",
        (1, 1),
        |r| {
            let user = r.line.arg(0);
            r.banner(format!("Listing permissions for user \"{user}\" ..."));
            let items = of_user(r, user, "permissions")?;
            r.list(Rows::pick(&items, &["vhost", "configure", "write", "read"]))
        }
    ),
    running!(
        "set_topic_permissions",
        "[--vhost <vhost>] <username> <exchange> <write> <read>",
        ACCESS,
        "Sets user topic permissions for an exchange",
        (4, 4),
        |r| {
            let (user, exchange, vhost) = (r.line.arg(0), r.line.arg(1), r.line.vhost());
            r.banner(format!("Setting topic permissions on \"{exchange}\" for user \"{user}\" in vhost \"{vhost}\" ..."));
            let [write, read] = [2, 3].map(|i| json!(r.line.arg(i)));
            r.change(
                "set_topic_permissions",
                &[
                    ("user", json!(user)),
                    ("vhost", json!(vhost)),
                    ("exchange", json!(exchange)),
                    ("write", write),
                    ("read", read),
                ],
            )
        }
    ),
    running!(
        "clear_topic_permissions",
        "[--vhost <vhost>] <username> [<exchange>]",
        ACCESS,
        "Clears user topic permissions for a vhost or exchange",
        (1, 2),
        |r| {
            let (user, vhost) = (r.line.arg(0), r.line.vhost());
            let exchange = r.line.args.get(1);
            r.banner(match exchange {
            Some(exchange) => format!("Clearing topic permissions on \"{exchange}\" for user \"{user}\" in vhost \"{vhost}\" ..."),
            None => format!("Clearing topic permissions for user \"{user}\" in vhost \"{vhost}\" ..."),
        });
            r.change(
                "clear_topic_permissions",
                &[
                    ("user", json!(user)),
                    ("vhost", json!(vhost)),
                    ("exchange", json!(exchange)),
                ],
            )
        }
    ),
    running!(
        "list_topic_permissions",
        "[--vhost <vhost>] [--no-table-headers] [--timeout <timeout>]",
        ACCESS,
        "Lists topic permissions in a virtual host",
        (0, 0),
        |r| {
            let vhost = r.line.vhost();
            r.banner(format!(
                "Listing topic permissions for vhost \"{vhost}\" ..."
            ));
            r.need_vhost()?;
            let items = r.items(&format!("/api/vhosts/{}/topic-permissions", r.vhost_path()))?;
            r.list(Rows::pick(&items, &["user", "exchange", "write", "read"]))
        }
    ),
    running!(
        "list_user_topic_permissions",
        "[--no-table-headers] <username> [--timeout <timeout>]",
        ACCESS,
        "Lists user topic permissions",
        (1, 1),
        |r| {
            let user = r.line.arg(0);
            r.banner(format!("Listing topic permissions for user \"{user}\" ..."));
            let items = of_user(r, user, "topic-permissions")?;
            r.list(Rows::pick(&items, &["vhost", "exchange", "write", "read"]))
        }
    ),
    running!(
        "list_vhosts",
        "[--no-table-headers] [<column> ...] [--timeout <timeout>]",
        ACCESS,
        "Lists virtual hosts",
        (0, MANY),
        list_vhosts
    ),
    running!(
        "add_vhost",
        "<vhost> [--description <description> --tags \"<tag1>,<tag2>,<...>\" --default-queue-type <quorum|classic>]",
        VHOSTS,
        "Creates a virtual host",
        (1, 1),
        &["description", "tags", "default-queue-type"],
        |r| {
            let vhost = r.line.arg(0);
            r.banner(format!("Adding vhost \"{vhost}\" ..."));
            let option = |name| json!(r.line.option(name));
            let kind = r.line.option("default-queue-type").unwrap_or("classic");
            if !["classic", "quorum", "undefined"].contains(&kind) {
                return Err(End::Fault(Fault::failed("invalid_queue_type")));
            }
            r.change(
                "add_vhost",
                &[
                    ("vhost", json!(vhost)),
                    ("description", option("description")),
                    ("tags", option("tags")),
                    ("default_queue_type", option("default-queue-type")),
                ],
            )
        }
    ),
    running!(
        "delete_vhost",
        "<vhost>",
        VHOSTS,
        "Deletes a virtual host",
        (1, 1),
        |r| {
            let vhost = r.line.arg(0);
            r.banner(format!("Deleting vhost \"{vhost}\" ..."));
            match r.change("delete_vhost", &[("vhost", json!(vhost))]) {
                Err(End::Fault(fault)) if fault.kind.exit() == 65 => {
                    eprintln!("{}", fault.text);
                    Err(End::Code(65))
                }
                done => done,
            }
        }
    ),
    running!(
        "set_vhost_tags",
        "<vhost> <tag> [...]",
        VHOSTS,
        "Sets virtual host tags",
        (1, MANY),
        |r| {
            let (vhost, tags) = (r.line.arg(0), &r.line.args[1..]);
            r.banner(format!(
                "Setting tags for virtual host \"{vhost}\" to [{}] ...",
                tags.join(", ")
            ));
            if !is_vhost(r, vhost)? {
                let text = format!("Virtual host \"{vhost}\" does not exist");
                return Err(End::Fault(Fault::new(FaultKind::Data, text)));
            }
            r.change(
                "set_vhost_tags",
                &[("vhost", json!(vhost)), ("tags", json!(tags))],
            )
        }
    ),
    running!(
        "set_vhost_limits",
        "[--vhost <vhost>] <definition>",
        VHOSTS,
        "Sets virtual host limits",
        (1, 1),
        |r| {
            let (definition, vhost) = (r.line.arg(0), r.line.vhost());
            r.banner(format!(
                "Setting vhost limits to \"{definition}\" for vhost \"{vhost}\" ..."
            ));
            r.need_vhost()?;
            r.change(
                "set_vhost_limits",
                &[("vhost", json!(vhost)), ("definition", json!(definition))],
            )
        }
    ),
    running!(
        "clear_vhost_limits",
        "[--vhost <vhost>]",
        VHOSTS,
        "Clears virtual host limits",
        (0, 0),
        |r| {
            let vhost = r.line.vhost();
            r.banner(format!("Clearing vhost \"{vhost}\" limits ..."));
            r.change("clear_vhost_limits", &[("vhost", json!(vhost))])
        }
    ),
    running!(
        "list_vhost_limits",
        "[--vhost <vhost>] [--global] [--no-table-headers]",
        VHOSTS,
        "Displays configured virtual host limits",
        (0, 0),
        &["global"],
        list_vhost_limits
    ),
    running!(
        "restart_vhost",
        "[--vhost <vhost>]",
        VHOSTS,
        "Restarts a failed vhost data stores and queues",
        (0, 0),
        |r| {
            let (vhost, node) = (r.line.vhost(), &r.node.name);
            r.banner(format!(
                "Trying to restart vhost '{vhost}' on node '{node}' ..."
            ));
            if !is_vhost(r, vhost)? {
                let text = format!(
                    "Failed to start vhost '{vhost}' on node '{node}'Reason: {{:no_such_vhost, \"{vhost}\"}}"
                );
                return Err(End::Fault(Fault::new(FaultKind::Exists, text)));
            }
            r.say(format!(
                "Vhost '{vhost}' is already running on node '{node}'"
            ));
            Ok(())
        }
    ),
    running!(
        "trace_on",
        "[--vhost <vhost>]",
        VHOSTS,
        "Starts tracing",
        (0, 0),
        |r| trace(r, true)
    ),
    running!(
        "trace_off",
        "[--vhost <vhost>]",
        VHOSTS,
        "Stops tracing",
        (0, 0),
        |r| trace(r, false)
    ),
];

fn password(r: &Run) -> Result<String, End> {
    if r.line.args.len() > 1 {
        return Ok(r.line.arg(1).to_owned());
    }
    let mut line = String::new();
    if std::io::IsTerminal::is_terminal(&std::io::stdin()) {
        eprint!("Password: ");
    }
    let read = std::io::stdin()
        .read_line(&mut line)
        .map_err(|e| End::Usage(64, format!("the password cannot be read: {e}")))?;
    if read == 0 {
        let text = "Password is not provided via argument or stdin";
        return Err(End::Fault(Fault::new(FaultKind::Exists, text)));
    }
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

fn add_user(r: &Run) -> Done {
    let user = r.line.arg(0);
    r.banner(format!("Adding user \"{user}\" ..."));
    let password = password(r)?;
    if password.is_empty() {
        return Err(End::Usage(65, "user password cannot be empty".to_owned()));
    }
    let hashed = r.line.has("pre-hashed-password");
    r.change(
        "add_user",
        &[
            ("user", json!(user)),
            ("password", json!(password)),
            ("hashed", json!(hashed)),
        ],
    )?;
    r.banner(
        "Done. Don't forget to grant the user permissions to some virtual hosts! \
         See 'rabbitmqctl help set_permissions' to learn more.",
    );
    Ok(())
}

fn list_users(r: &Run) -> Done {
    r.banner("Listing users ...");
    let mut items = r.items("/api/users")?;
    for item in &mut items {
        item["user"] = item["name"].clone();
    }
    r.list(Rows::pick(&items, &["user", "tags"]))
}

fn of_user(r: &Run, user: &str, kind: &str) -> Result<Vec<Value>, End> {
    let known = r.perform("user_exists", &[("user", json!(user))]);
    if let Err(End::Fault(mut fault)) = known {
        fault.kind = crate::ctl::wire::FaultKind::Failed;
        fault.text = format!("{{:no_such_user, \"{user}\"}}");
        return Err(End::Fault(fault));
    }
    known?;
    r.items(&format!("/api/users/{}/{kind}", encoded(user)))
}

/// Whether there is a virtual host of that name.
fn is_vhost(r: &Run, name: &str) -> Result<bool, End> {
    let known = r.items("/api/vhosts")?;
    Ok(known.iter().any(|vhost| vhost["name"] == name))
}

/// A missing user as the commands about limits and passwords word it.
fn no_such_user(end: End, user: &str) -> End {
    match end {
        End::Fault(fault) if fault.kind == FaultKind::NoUser => {
            End::Fault(Fault::failed(format!("{{:no_such_user, \"{user}\"}}")))
        }
        other => other,
    }
}

fn list_user_limits(r: &Run) -> Done {
    if r.line.has("global") {
        r.banner("Listing limits for all users ...");
        let mut items = r.items("/api/user-limits")?;
        for item in &mut items {
            item["limits"] = item["value"].to_string().into();
        }
        return r.list(Rows::pick(&items, &["user", "limits"]));
    }
    let user = r.line.option("user").unwrap_or("guest");
    r.banner(format!("Listing limits for user \"{user}\" ..."));
    let limits = r
        .perform("user_limits", &[("user", json!(user))])
        .map_err(|end| no_such_user(end, user))?;
    r.say(limits.to_string());
    Ok(())
}

fn list_vhosts(r: &Run) -> Done {
    let known = [
        "name",
        "description",
        "tags",
        "default_queue_type",
        "tracing",
        "cluster_state",
    ];
    let columns = super::lists::columns(r, &known, &["name"])?;
    r.banner("Listing vhosts ...");
    let mut items = r.items("/api/vhosts")?;
    for item in &mut items {
        item["cluster_state"] = format!("[{{{}, running}}]", r.node.name).into();
    }
    r.list(Rows::pick(&items, &columns))
}

fn list_vhost_limits(r: &Run) -> Done {
    let all = r.items("/api/vhost-limits")?;
    if r.line.has("global") {
        r.banner("Listing limits for all vhosts ...");
        let items: Vec<_> = all
            .iter()
            .map(|item| json!({"vhost": item["vhost"], "limits": item["value"].to_string()}))
            .collect();
        return r.list(Rows::pick(&items, &["vhost", "limits"]));
    }
    let vhost = r.line.vhost();
    r.banner(format!("Listing limits for vhost \"{vhost}\" ..."));
    r.need_vhost()?;
    let found = all.iter().find(|item| item["vhost"] == vhost);
    let none = if r.is_json() { "[]" } else { "" };
    r.say(found.map_or(none.to_owned(), |item| item["value"].to_string()));
    Ok(())
}

fn trace(r: &Run, on: bool) -> Done {
    let vhost = r.line.vhost();
    let (doing, done) = match on {
        true => ("Starting", "enabled"),
        false => ("Stopping", "disabled"),
    };
    r.banner(format!("{doing} tracing for vhost \"{vhost}\" ..."));
    r.change("trace", &[("vhost", json!(vhost)), ("on", json!(on))])?;
    r.say(format!("Trace {done} for vhost {vhost}"));
    Ok(())
}
