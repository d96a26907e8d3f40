//! The statistics page and HTTP mode of the built binary: forms, options, admin actions, errors,
//! log lines, garbage.

mod kit;
#[path = "lb_stats/readers.rs"]
mod readers;
#[path = "lb_stats/rules.rs"]
mod rules;

use kit::{Daemon, sandboxed, wait_until};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::FileTypeExt;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

const CONFIG: &str = "
global
    log stdout format raw local0
    prometheus bind 127.0.0.1:9101
defaults
    log global
    mode tcp
    option tcplog
    retries 1
    maxconn 2000
    timeout connect 500ms
    timeout client 20s
    timeout server 1s
    timeout http-request 1s
listen rabbit
    bind 127.0.0.1:5672
    server n1 127.0.0.1:6001 check inter 100ms rise 1 fall 1
    server n2 127.0.0.1:6002 check inter 100ms rise 1 fall 1
    server n3 127.0.0.1:6001 backup disabled
frontend web
    bind 127.0.0.1:8000
    mode http
    option httplog
    monitor-uri /alive
    default_backend pages
backend pages
    mode http
    server w1 127.0.0.1:6003
listen monitor
    bind 127.0.0.1:8100
    mode http
    option httplog
    stats enable
    stats uri /stats
    stats refresh 5s
listen control
    bind 127.0.0.1:8101
    mode http
    option httplog
    stats enable
    stats uri /admin
    stats auth joe:secret
    stats realm Keel
    stats hide-version
    stats show-legends
    stats admin if TRUE
    http-request use-service prometheus-exporter if { path /metrics }
";

/// Accepts for ever on a port; `answer` gets each connection.
fn serve(port: u16, answer: impl Fn(TcpStream) + Send + Sync + Clone + 'static) {
    let listener = TcpListener::bind(("127.0.0.1", port)).expect("the port is free in here");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = answer.clone();
            std::thread::spawn(move || answer(stream));
        }
    });
}

/// A web server: the path decides what it does.
fn web(mut stream: TcpStream) {
    let mut buffer = [0u8; 4096];
    while let Ok(read) = stream.read(&mut buffer) {
        let request = String::from_utf8_lossy(&buffer[..read]).into_owned();
        let path = request.split(' ').nth(1).unwrap_or("").to_owned();
        let answer = match path.as_str() {
            "" => return,
            "/hang" => {
                std::thread::sleep(Duration::from_secs(5));
                return;
            }
            "/reset" => {
                let linger = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
                return linger.expect("a socket has a linger time");
            }
            "/chunked" => {
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
                    .to_owned()
            }
            _ => format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{path}",
                path.len()
            ),
        };
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn start() -> Daemon {
    start_with(CONFIG)
}

fn start_with(config: &str) -> Daemon {
    serve(6001, |stream| {
        let mut stream = stream;
        let mut sink = Vec::new();
        let _ = stream.read_to_end(&mut sink);
    });
    serve(6003, web);
    // the sandbox has its own process numbers, but not its own /tmp
    let directory = tempfile::tempdir()
        .expect("a temporary directory can be made")
        .keep();
    let file = directory.join("lb.cfg");
    std::fs::write(&file, config).expect("the file can be written");
    let path = file.to_str().expect("the path is text").to_owned();
    let run_dir = directory.to_str().expect("the path is text").to_owned();
    let daemon = Daemon::evenkeel(&["lb", "-db", "--run-dir", &run_dir, "-f", &path]);
    // bound after every listener
    wait_until("the admin socket is there", PATIENCE, || {
        let mut entries = std::fs::read_dir(&directory)
            .into_iter()
            .flatten()
            .flatten();
        entries.any(|entry| entry.file_type().is_ok_and(|kind| kind.is_socket()))
    });
    wait_until("the page answers", PATIENCE, || {
        TcpStream::connect("127.0.0.1:8100").is_ok()
    });
    daemon
}

/// Sends bytes and reads to the end.
fn exchange(port: u16, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    stream
        .set_read_timeout(Some(PATIENCE))
        .expect("a time-out can be set");
    // what refuses early may be gone before everything was sent
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn get(port: u16, target: &str, fields: &str) -> String {
    let request = format!("GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{fields}\r\n");
    exchange(port, request.as_bytes())
}

/// `joe:secret`
const LOGIN: &str = "Authorization: Basic am9lOnNlY3JldA==\r\n";

/// The body of an answer in chunks.
fn body(answer: &str) -> String {
    let (_, mut rest) = answer.split_once("\r\n\r\n").expect("an answer has a head");
    let mut out = String::new();
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).expect("a chunk has a size");
        out.push_str(&after[..size]);
        rest = &after[size + 2..];
        if size == 0 {
            break;
        }
    }
    out
}

#[test]
fn the_page_has_haproxys_headers_columns_and_rows() {
    sandboxed(|| {
        let _daemon = start();
        wait_until("a check has taken n2 down", PATIENCE, || {
            get(8100, "/stats", "").contains("active_down")
        });
        let answer = get(8100, "/stats", "");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\ncache-control: no-cache\r\ncontent-type: text/html\r\nrefresh: 5\r\ntransfer-encoding: chunked\r\n"), "{answer:.300}");
        let page = body(&answer);
        assert!(page.contains("Statistics Report for pid"));
        for id in [
            "rabbit",
            "rabbit/Frontend",
            "rabbit/n1",
            "rabbit/Backend",
            "monitor/Frontend",
        ] {
            assert!(page.contains(&format!("id=\"{id}\"")), "no anchor {id}");
        }
        assert_eq!(page.matches("<th>LastChk</th>").count(), 5);
        assert!(page.contains("class=\"active_up\"") && page.contains("class=\"maintain\""));
        assert_eq!(page.matches("<tr").count(), page.matches("</tr>").count());
        assert_eq!(page.matches("<td").count(), page.matches("</td>").count());
        assert_eq!(
            page.matches("<table").count(),
            page.matches("</table>").count()
        );
        assert_eq!(page.matches("<div").count(), page.matches("</div>").count());
        assert!(!page.contains("type=\"checkbox\""), "no admin, no form");
    });
}

#[test]
fn options_behind_the_uri_choose_form_rows_and_refresh() {
    sandboxed(|| {
        let _daemon = start();
        let csv = body(&get(8100, "/stats;csv;norefresh", ""));
        let mut lines = csv.lines();
        let head = lines.next().expect("there is a head");
        assert!(head.starts_with("# pxname,svname,qcur,"));
        assert_eq!(head.split(',').position(|name| name == "-"), Some(103));
        assert!(csv.lines().all(|line| line.matches(',').count() == 128));
        assert!(csv.contains("\nrabbit,FRONTEND,,,0,"));
        assert!(!get(8100, "/stats;norefresh", "").contains("\r\nrefresh:"));
        assert!(get(8100, "/stats;csv", "").contains("content-type: text/plain\r\nrefresh: 5\r\n"));
        let scoped = body(&get(8100, "/stats;csv?scope=mon", ""));
        assert!(scoped.contains("monitor,BACKEND") && !scoped.contains("rabbit,"));
        wait_until("a check has taken n2 down", PATIENCE, || {
            !body(&get(8100, "/stats;csv;up", "")).contains("rabbit,n2,")
        });
        let json: serde_json::Value =
            serde_json::from_str(&body(&get(8100, "/stats;json", ""))).expect("it is JSON");
        assert_eq!(json[0][0]["field"]["name"], "pxname");
        let schema = body(&get(8100, "/stats;json-schema", ""));
        assert!(serde_json::from_str::<serde_json::Value>(&schema).is_ok());
        let typed = body(&get(8100, "/stats;typed", ""));
        assert!(typed.starts_with("F.2.0.0.pxname.1:KNS:str:rabbit\n"));
    });
}

#[test]
fn the_admin_form_wants_a_login_and_answers_with_a_redirect() {
    sandboxed(|| {
        let _daemon = start();
        let refused = get(8101, "/admin", "");
        assert!(refused.starts_with("HTTP/1.1 401 "));
        assert!(refused.contains("www-authenticate: Basic realm=\"Keel\""));
        let page = body(&get(8101, "/admin", LOGIN));
        assert!(page.contains("name=\"s\" value=\"n1\"") && page.contains("<h1>Evenkeel</h1>"));
        let post = |form: &str| {
            let request = format!(
                "POST /admin HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{LOGIN}Content-Length: {}\r\n\r\n{form}",
                form.len()
            );
            exchange(8101, request.as_bytes())
        };
        let answer = post("s=n1&s=n2&action=maint&b=%232");
        assert!(answer.starts_with("HTTP/1.1 303 See Other\r\n"));
        assert!(answer.contains("\r\nlocation: /admin;st=DONE\r\n"));
        let csv = body(&get(8101, "/admin;csv", LOGIN));
        assert!(
            csv.lines()
                .any(|line| line.starts_with("rabbit,n1,") && line.contains(",MAINT,"))
        );
        assert!(post("s=n1&action=ready&b=rabbit").contains("st=DONE"));
        assert!(post("s=n1&action=explode&b=rabbit").contains("st=ERRP"));
        assert!(post("s=n1&s=nope&action=ready&b=rabbit").contains("st=PART"));
        // the words of older pages; what is so already, or has no such checks, is left alone
        assert!(post("s=n1&action=disable&b=rabbit").contains("st=DONE"));
        assert!(post("s=n1&action=disable&b=rabbit").contains("st=NONE"));
        assert!(post("s=n1&action=enable&b=rabbit").contains("st=DONE"));
        assert!(post("s=n3&action=ehlth&b=rabbit").contains("st=NONE"));
        assert!(post("").contains("st=NONE"));
        assert!(post(&"x".repeat(20_000)).contains("st=EXCD"));
        let done = body(&get(8101, "/admin;st=DONE", LOGIN));
        assert!(done.contains("class=\"outcome good\""));
    });
}

#[test]
fn any_other_path_is_unavailable_and_lines_say_why() {
    sandboxed(|| {
        let mut daemon = start();
        let answer = get(8100, "/other", "");
        assert!(answer.starts_with("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 107\r\n"));
        daemon.wait_line("monitor monitor/<NOSRV> 0/-1/-1/-1/", PATIENCE);
        let line = daemon.wait_line("\"GET /other HTTP/1.1\"", PATIENCE);
        assert!(line.contains(" 503 ") && line.contains(" SC-- "), "{line}");
        get(8100, "/stats", "");
        let line = daemon.wait_line("monitor/<STATS> 0/0/0/0/", PATIENCE);
        assert!(line.contains(" 200 ") && line.contains(" LR-- "), "{line}");
    });
}

#[test]
fn requests_are_passed_on_with_keep_alive_and_failures_have_their_letters() {
    sandboxed(|| {
        let mut daemon = start();
        let two = exchange(
            8000,
            b"GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /bb HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        );
        assert_eq!(two.matches("HTTP/1.1 200 OK").count(), 2);
        assert!(two.ends_with("/bb"), "{two}");
        assert!(get(8000, "/chunked", "").contains("3\r\nabc\r\n0\r\n\r\n"));
        assert!(get(8000, "/alive", "").contains("Service ready."));
        assert!(get(8000, "/hang", "").starts_with("HTTP/1.1 504 "));
        assert!(get(8000, "/reset", "").starts_with("HTTP/1.1 502 "));
        for (text, letters) in [("/bb", "----"), ("/hang", "sH--"), ("/reset", "SH--")] {
            let line = daemon.wait_line(&format!("\"GET {text} "), PATIENCE);
            assert!(
                line.contains(" pages/w1 ") && line.contains(letters),
                "{line}"
            );
        }
        assert!(
            !daemon.output().contains("/alive"),
            "monitors are not logged"
        );
    });
}

#[test]
fn garbage_and_silence_are_answered_and_harm_nobody() {
    sandboxed(|| {
        let mut daemon = start();
        assert!(exchange(8100, b"garbage\r\n\r\n").starts_with("HTTP/1.1 400 Bad request\r\n"));
        let line = daemon.wait_line(" PR-- ", PATIENCE);
        assert!(
            line.contains(" 400 ") && line.contains("<BADREQ>"),
            "{line}"
        );
        let long = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(20_000));
        assert!(exchange(8100, long.as_bytes()).starts_with("HTTP/1.1 400 "));
        assert!(exchange(8100, b"GET / HT").starts_with("HTTP/1.1 408 "));
        daemon.wait_line("cR--", PATIENCE);
        let smuggled =
            b"POST /stats HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert!(exchange(8100, smuggled).starts_with("HTTP/1.1 400 "));
        let gone = TcpStream::connect("127.0.0.1:8100").expect("it listens");
        (&gone).write_all(b"GET /st").expect("it takes bytes");
        gone.shutdown(Shutdown::Both).expect("it can be closed");
        daemon.wait_line("CR--", PATIENCE);
        assert!(get(8100, "/stats", "").contains("Statistics Report"));
        assert!(daemon.runs());
    });
}

#[test]
fn a_reader_that_takes_nothing_holds_up_nobody() {
    sandboxed(|| {
        let _daemon = start();
        let slow: Vec<TcpStream> = (0..50)
            .map(|_| {
                let mut stream = TcpStream::connect("127.0.0.1:8100").expect("it listens");
                let request = b"GET /stats HTTP/1.1\r\nHost: x\r\n\r\n";
                stream
                    .write_all(&request.repeat(20))
                    .expect("it takes bytes");
                stream
            })
            .collect();
        assert!(get(8100, "/stats;csv", "").contains("# pxname"));
        drop(slow);
    });
}

#[test]
fn prometheus_scrapes_an_address_of_its_own_and_a_service_of_a_frontend() {
    sandboxed(|| {
        let _daemon = start();
        for (port, target) in [(9101, "/metrics"), (8101, "/metrics")] {
            let answer = get(port, target, "");
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer:.200}");
            assert!(answer.contains("\nhaproxy_server_status{proxy=\"rabbit\",server=\"n1\",address=\"127.0.0.1:6001\",mode=\"tcp\",state=\"UP\"} 1\n"));
            assert!(answer.contains("\nhaproxy_process_nbthread "));
            assert!(answer.contains("haproxy_backend_connect_time_seconds_bucket{proxy=\"rabbit\",mode=\"tcp\",le=\"+Inf\"} 0\n"));
        }
        let servers = get(9101, "/metrics?scope=server", "");
        assert!(!servers.contains("haproxy_process_") && servers.contains("haproxy_server_weight"));
        assert!(get(9101, "/metrics?scope=nope", "").starts_with("HTTP/1.1 400 "));
        assert!(get(9101, "/", "").starts_with("HTTP/1.1 404 "));
        assert!(exchange(9101, b"garbage\r\n\r\n").starts_with("HTTP/1.1 400 "));
    });
}

#[test]
#[ignore = "needs prometheus; tests/run installs it and runs this"]
fn promtool_accepts_the_series_and_a_real_prometheus_scrapes_them() {
    use std::process::Command;
    sandboxed(|| {
        let _daemon = start();
        let answer = get(9101, "/metrics", "");
        let (_, metrics) = answer.split_once("\r\n\r\n").expect("an answer has a head");
        let (good, said) = kit::promtool::check_metrics(metrics);
        assert!(good, "{said}");

        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let file = directory.path().join("prometheus.yml");
        std::fs::write(
            &file,
            "global: {scrape_interval: 1s}\nscrape_configs:\n- job_name: lb\n  static_configs: [{targets: ['127.0.0.1:9101']}]\n",
        )
        .expect("the file can be written");
        let _prometheus = Daemon::start(
            "prometheus",
            Command::new("prometheus").args([
                &format!("--config.file={}", file.display()),
                &format!(
                    "--storage.tsdb.path={}",
                    directory.path().join("data").display()
                ),
                "--web.listen-address=127.0.0.1:9090",
            ]),
        );
        wait_until("Prometheus has the series", Duration::from_secs(60), || {
            TcpStream::connect("127.0.0.1:9090").is_ok()
                && get(9090, "/api/v1/query?query=haproxy_server_weight", "")
                    .contains("\"server\":\"n1\"")
        });
    });
}

#[test]
#[ignore = "needs chromium; tests/run installs it and runs this"]
fn a_browser_shows_the_page_with_500_servers_and_swaps_values_without_reloading() {
    use std::process::Command;
    sandboxed(|| {
        let mut daemon = start_with(&many_servers(500));
        let profile = tempfile::tempdir().expect("a temporary directory can be made");
        let mut browser = Daemon::start(
            "chromium",
            Command::new("chromium").args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--remote-debugging-port=9333",
                &format!("--user-data-dir={}", profile.path().display()),
                "http://127.0.0.1:8100/stats",
            ]),
        );
        // the script asks for the page under another path and never reloads the whole
        daemon.wait_line("\"GET /stats HTTP/1.1\"", Duration::from_secs(240));
        wait_until(
            "values were swapped three times",
            Duration::from_secs(240),
            || {
                daemon
                    .output()
                    .matches("\"GET /stats;norefresh HTTP/1.1\"")
                    .count()
                    >= 3
            },
        );
        assert_eq!(
            daemon.output().matches("\"GET /stats HTTP/1.1\"").count(),
            1
        );
        assert!(browser.runs());
        browser.stop();
        let second = tempfile::tempdir().expect("a temporary directory can be made");
        let dump = kit::run(
            "chromium",
            &[
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                &format!("--user-data-dir={}", second.path().display()),
                "--dump-dom",
                "http://127.0.0.1:8100/stats",
            ],
        );
        assert!(dump.matches("data-k=\"S").count() >= 500);
        assert!(
            dump.contains("placeholder=\"search ( / )"),
            "the script ran"
        );
    });
}

/// The configuration with many servers, of which one in ten refuses.
fn many_servers(count: usize) -> String {
    let servers: String = (1..=count)
        .map(|n| {
            let port = if n % 10 == 0 { 6002 } else { 6001 };
            format!("    server s{n} 127.0.0.1:{port} check inter 1s\n")
        })
        .collect();
    CONFIG
        .replace("stats refresh 5s", "stats refresh 1s")
        .replace(
            "listen monitor",
            &format!("backend many\n{servers}listen monitor"),
        )
}

#[test]
fn one_server_live_sessions_and_events_have_pages_of_their_own() {
    sandboxed(|| {
        let _daemon = start();
        wait_until("a check has taken n2 down", PATIENCE, || {
            body(&get(8101, "/admin;server=rabbit/n2", LOGIN)).contains(">DOWN for ")
        });
        let page = body(&get(8101, "/admin;server=rabbit/n2", LOGIN));
        assert!(page.contains("Layer4 connection problem"), "its events");
        assert!(
            page.contains("<th title=\"result of the last check\">check_status</th><td>L4CON</td>")
        );
        assert!(get(8101, "/admin;server=rabbit/nope", LOGIN).starts_with("HTTP/1.1 404 "));
        assert!(body(&get(8101, "/admin;events", LOGIN)).contains("Server rabbit/n2 is DOWN"));
        let mut client = TcpStream::connect("127.0.0.1:5672").expect("it listens");
        client.write_all(b"hello").expect("it takes bytes");
        let mut id = String::new();
        wait_until("the session is listed", PATIENCE, || {
            let page = body(&get(8101, "/admin;sessions?scope=rabbit", LOGIN));
            let value = page
                .split("name=s value=\"")
                .nth(1)
                .and_then(|rest| rest.split('"').next());
            id = value.unwrap_or("").to_owned();
            !id.is_empty()
        });
        let form = format!("action=kill&s={id}");
        let request = format!(
            "POST /admin;sessions HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{LOGIN}Content-Length: {}\r\n\r\n{form}",
            form.len()
        );
        let answer = exchange(8101, request.as_bytes());
        assert!(
            answer.contains("location: /admin;sessions;st=DONE"),
            "{answer}"
        );
        let mut rest = Vec::new();
        assert!(
            matches!(client.read_to_end(&mut rest), Ok(0) | Err(_)),
            "the session is over"
        );
        let denied = get(8100, "/stats;sessions", "");
        assert!(!denied.contains("Kill the checked"), "no admin, no kill");
    });
}

#[test]
#[ignore = "needs chromium; tests/run installs it and runs this"]
fn an_operator_uses_the_page_with_500_servers_and_5000_sessions_in_a_browser() {
    sandboxed(|| {
        let folder = tempfile::tempdir().expect("a temporary directory can be made");
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/page/stats.py");
        let pictures = folder.path().join("pictures");
        std::fs::create_dir(&pictures).expect("the folder is ours");
        let pictures = std::env::var("EVENKEEL_PICTURES").unwrap_or(pictures.display().to_string());
        let binary = kit::binary().display().to_string();
        let run = folder.path().display().to_string();
        let said = kit::run("python3", &[script, &binary, &run, &pictures]);
        assert!(said.contains("page: ok"), "{said}");
    });
}
