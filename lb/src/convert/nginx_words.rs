//! nginx's values in HAProxy's words.

/// A time such as `10m`, `1h 30m` or a bare number of seconds, as HAProxy
/// writes it.
pub fn time(text: &str) -> Option<String> {
    let mut total_ms: u64 = 0;
    let mut digits = String::new();
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let end = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        digits.clear();
        digits.push_str(&rest[..end]);
        let number: u64 = digits.parse().ok()?;
        rest = &rest[end..];
        let units = [
            ("ms", 1),
            ("s", 1000),
            ("m", 60_000),
            ("h", 3_600_000),
            ("d", 86_400_000),
            ("w", 604_800_000),
        ];
        let (unit, factor) = units
            .into_iter()
            .find(|(unit, _)| rest.starts_with(unit))
            .unwrap_or(("", 1000));
        rest = rest[unit.len()..].trim_start();
        if unit.is_empty() && !rest.is_empty() {
            return None;
        }
        total_ms = total_ms.checked_add(number.checked_mul(factor)?)?;
    }
    Some(match total_ms {
        // HAProxy takes 0 for "for ever", as nginx does not
        0 => "1ms".to_owned(),
        ms if ms % 3_600_000 == 0 => format!("{}h", ms / 3_600_000),
        ms if ms % 60_000 == 0 => format!("{}m", ms / 60_000),
        ms if ms % 1000 == 0 => format!("{}s", ms / 1000),
        ms => format!("{ms}ms"),
    })
}

/// An address to listen on.
pub fn listen(text: &str) -> String {
    if let Some(path) = text.strip_prefix("unix:") {
        return format!("unix@{path}");
    }
    let is_port = |t: &str| !t.is_empty() && t.chars().all(|c| c.is_ascii_digit() || c == '-');
    if is_port(text) {
        return format!("*:{text}");
    }
    match text.strip_prefix("[::]:") {
        Some(port) => format!(":::{port}"),
        None => text.to_owned(),
    }
}

/// An address to connect to.
pub fn server(text: &str) -> String {
    match text.strip_prefix("unix:") {
        Some(path) => format!("unix@{path}"),
        None => text.to_owned(),
    }
}

/// A name that a section or server may have.
pub fn name(text: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':');
    text.chars()
        .map(|c| if allowed(c) { c } else { '_' })
        .collect()
}

/// A variable of nginx as a fetch.
pub fn fetch(variable: &str) -> Option<&'static str> {
    Some(
        match variable.trim_matches(|c| matches!(c, '$' | '{' | '}')) {
            "remote_addr" | "binary_remote_addr" => "src",
            "remote_port" => "src_port",
            "server_addr" => "dst",
            "server_port" => "dst_port",
            "ssl_preread_server_name" => "req.ssl_sni",
            _ => return None,
        },
    )
}
