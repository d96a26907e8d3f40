//! The web page: files that are part of the program.

use super::reply::{Answer, Reply};
use super::request::Request;

/// What a browser may load and run: this server's files, nothing inline.
pub const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Path, type and content of each file.
static FILES: &[(&str, &str, &str)] = &[
    (
        "",
        "text/html; charset=utf-8",
        include_str!("page/index.html"),
    ),
    (
        "style.css",
        "text/css; charset=utf-8",
        include_str!("page/style.css"),
    ),
    ("icon.svg", "image/svg+xml", include_str!("page/icon.svg")),
    ("main.js", SCRIPT, include_str!("page/main.js")),
    ("api.js", SCRIPT, include_str!("page/api.js")),
    ("dom.js", SCRIPT, include_str!("page/dom.js")),
    ("chart.js", SCRIPT, include_str!("page/chart.js")),
    ("table.js", SCRIPT, include_str!("page/table.js")),
    ("overview.js", SCRIPT, include_str!("page/overview.js")),
    ("queues.js", SCRIPT, include_str!("page/queues.js")),
    ("queue.js", SCRIPT, include_str!("page/queue.js")),
    ("exchanges.js", SCRIPT, include_str!("page/exchanges.js")),
    ("clients.js", SCRIPT, include_str!("page/clients.js")),
    ("admin.js", SCRIPT, include_str!("page/admin.js")),
    ("policies.js", SCRIPT, include_str!("page/policies.js")),
    ("node.js", SCRIPT, include_str!("page/node.js")),
    (
        "cli/rabbitmqadmin",
        "application/octet-stream",
        include_str!("page/rabbitmqadmin"),
    ),
];

/// Serves a file of the page.
pub fn serve(request: &Request) -> Answer {
    let path = request.path.join("/");
    let name = if path == "index.html" {
        ""
    } else {
        path.as_str()
    };
    let file = FILES.iter().find(|(known, _, _)| *known == name);
    let (_, kind, text) = file.ok_or_else(Reply::not_found)?;
    let reply = Reply::body(kind, text.as_bytes());
    Ok(reply.header("cache-control", "no-cache".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_loads_nothing_that_is_not_here_and_has_nothing_inline() {
        for (name, _, text) in FILES {
            assert!(!text.contains("style=\""), "{name}");
            assert!(!text.contains("onclick="), "{name}");
            assert!(!text.contains("innerHTML"), "{name}: text is set as text");
            for part in text.split("from \"./").skip(1) {
                let imported = part.split('"').next().unwrap_or("");
                assert!(
                    FILES.iter().any(|(n, _, _)| *n == imported),
                    "{name}: {imported}"
                );
            }
        }
    }
}
