//! The command line, scripts, the status page and the files of the field.

mod kit;

use kit::{Daemon, evenkeel, wait_for, wait_until};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const LONG: Duration = Duration::from_secs(20);

fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("writable");
    path.display().to_string()
}

const GOOD: &str = "vrrp_instance VI_1 {\n interface eth0\n virtual_router_id 51\n priority 100\n \
                    advert_int 1\n virtual_ipaddress {\n 10.77.0.50/24\n }\n}\n";

#[test]
fn a_check_has_keepalived_s_exit_statuses_and_names_line_and_column() {
    let folder = tempfile::tempdir().expect("a folder");
    let good = write(folder.path(), "good.conf", GOOD);
    assert_eq!(evenkeel(&["vip", "-t", "-f", &good]).0, 0);
    let told = folder.path().join("told");
    let (code, output, errors) = evenkeel(&[
        "vip",
        "-f",
        &good.replace("good", "none"),
        &format!("--config-test={}", told.display()),
    ]);
    let written = std::fs::read_to_string(&told).expect("the findings");
    assert!(written.contains("cannot read") && (output + &errors).is_empty());
    assert_eq!(code, 5);
    let bad = GOOD
        .replace("priority 100", "priority 300")
        .replace("virtual_router_id", "virtual_routr_id");
    let bad = write(folder.path(), "bad.conf", &bad);
    let (status, _, text) = evenkeel(&["vip", "-t", "-f", &bad]);
    assert_eq!(status, 5, "{text}");
    assert!(
        text.contains("bad.conf:3:2") && text.contains("virtual_router_id"),
        "{text}"
    );
    assert!(
        text.contains("bad.conf:4:11"),
        "every error in one run: {text}"
    );
    let lvs = write(
        folder.path(),
        "lvs.conf",
        &format!("{GOOD}virtual_server 10.0.0.1 80 {{\n}}\n"),
    );
    assert_eq!(evenkeel(&["vip", "-t", "-f", &lvs]).0, 5);
    assert_eq!(evenkeel(&["vip", "-t", "--skip-lvs", "-f", &lvs]).0, 0);
}

#[test]
fn the_configuration_corpus_gives_findings_and_never_a_panic() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/vip_config");
    for entry in std::fs::read_dir(folder).expect("the corpus is in the repository") {
        let path = entry.expect("readable").path().display().to_string();
        let (status, _, text) = evenkeel(&["vip", "-t", "-f", &path]);
        assert!(matches!(status, 0 | 5 | 6), "{path}: {status} {text}");
    }
}

#[test]
fn options_of_keepalived_are_accepted_and_wrong_ones_explained() {
    assert_eq!(evenkeel(&["vip", "--signum=RELOAD"]).1.trim(), "1");
    assert_eq!(evenkeel(&["vip", "--signum", "DATA"]).1.trim(), "10");
    assert_eq!(evenkeel(&["vip", "--signum=JSON"]).1.trim(), "36");
    let (status, _, text) = evenkeel(&["vip", "--signum=JSN"]);
    assert_eq!(status, 1, "{text}");
    let (status, _, text) = evenkeel(&["vip", "--lenien"]);
    assert_eq!(status, 64);
    assert!(text.contains("did you mean `--lenient`?"), "{text}");
    let (status, _, text) = evenkeel(&["vip", "status", "--run-dir", "/nowhere"]);
    assert_eq!(status, 1);
    assert!(text.contains("/nowhere/vip.sock"), "{text}");
}

#[test]
fn lint_compares_the_files_of_both_hosts() {
    let folder = tempfile::tempdir().expect("a folder");
    let a = write(
        folder.path(),
        "a.conf",
        &GOOD.replace("priority 100", "priority 254"),
    );
    let b = write(
        folder.path(),
        "b.conf",
        &GOOD.replace("priority 100", "priority 250"),
    );
    assert_eq!(evenkeel(&["vip", "lint", &a, &b]).0, 0);
    let c = write(
        folder.path(),
        "c.conf",
        &GOOD.replace("10.77.0.50", "10.77.0.51"),
    );
    let (status, text, _) = evenkeel(&["vip", "lint", &a, &c]);
    assert_eq!(status, 1);
    assert!(text.contains("VI_1"), "{text}");
    // one file for both hosts
    let halves = " @main priority 254\n @^main priority 250\n";
    let shared = GOOD.replace(" priority 100\n", halves);
    let shared = write(folder.path(), "shared.conf", &shared);
    let on = |id: &str| format!("{shared}@{id}");
    let (status, text, _) = evenkeel(&["vip", "lint", &on("main"), &on("backup")]);
    assert!(
        status == 0 && !text.contains("both have priority"),
        "{text}"
    );
    let (_, text, _) = evenkeel(&["vip", "lint", &on("main"), &on("main")]);
    assert!(text.contains("both have priority 254"), "{text}");
}

#[test]
fn the_binary_acts_as_keepalived_through_a_link_of_that_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let link = folder.path().join("keepalived");
    std::os::unix::fs::symlink(kit::binary(), &link).expect("a link");
    let good = write(folder.path(), "good.conf", GOOD);
    let status = Command::new(link).args(["-t", "-f", &good]).status();
    assert!(status.expect("it runs").success());
}

/// An interface `name` whose other end is up, too.
fn interface(name: &str, other: &str) {
    kit::run(
        "ip",
        &["link", "add", name, "type", "veth", "peer", "name", other],
    );
    for end in [name, other] {
        kit::run("ip", &["link", "set", end, "up"]);
    }
}

fn one_interface() {
    interface("eth0", "p0");
    kit::run("ip", &["address", "add", "10.77.0.11/24", "dev", "eth0"]);
}

fn start(config: &str, run: &str) -> Daemon {
    Daemon::evenkeel(&["vip", "-n", "-l", "-f", config, "--run-dir", run])
}

#[test]
#[ignore = "needs root for network namespaces; tests/run runs it"]
fn notify_scripts_run_strictly_in_order_with_keepalived_s_arguments() {
    kit::sandboxed(|| {
        one_interface();
        let folder = tempfile::tempdir().expect("a folder");
        let out = folder.path().join("out");
        // the first one is slow: the next must wait for it
        let script = format!(
            "#!/bin/sh\n[ \"$3\" = BACKUP ] && sleep 1\necho \"$@\" >> {}\n",
            out.display()
        );
        let script = write(folder.path(), "notify.sh", &script);
        kit::run("chmod", &["755", &script]);
        let fifo = folder.path().join("fifo").display().to_string();
        let text = format!(
            "global_defs {{\n script_user root\n notify_fifo {fifo}\n}}\n{}",
            GOOD.replace(
                "interface eth0",
                &format!("interface eth0\n version 3\n notify \"{script}\"\n notify_master \"{script} own master\"\n notify_stop \"{script} own stop\"")
            )
            .replace("advert_int 1", "advert_int 0.1")
        );
        let config = write(folder.path(), "vrrp.conf", &text);
        let run = folder.path().join("run").display().to_string();
        kit::run("mkfifo", &[&fifo]);
        let reader = folder.path().join("lines");
        let file = std::fs::File::create(&reader).expect("writable");
        let mut cat = Command::new("cat")
            .arg(&fifo)
            .stdout(file)
            .spawn()
            .expect("cat runs");
        let mut daemon = start(&config, &run);
        daemon.wait_line("BACKUP -> MASTER", LONG);
        daemon.stop();
        let lines = std::fs::read_to_string(&out).expect("the scripts ran");
        let expected = "INSTANCE VI_1 BACKUP 100\nown master\nINSTANCE VI_1 MASTER 100\n\
                        own stop\nINSTANCE VI_1 STOP 100\n";
        assert_eq!(lines, expected);
        wait_until("the fifo's lines", LONG, || {
            std::fs::read_to_string(&reader).is_ok_and(|t| t.contains("INSTANCE \"VI_1\" STOP 100"))
        });
        let _ = cat.kill();
        let _ = cat.wait();
    });
}

#[test]
#[ignore = "needs root for network namespaces; tests/run runs it"]
fn a_hanging_check_is_killed_and_counts_as_failed() {
    kit::sandboxed(|| {
        one_interface();
        let folder = tempfile::tempdir().expect("a folder");
        let text = format!(
            "global_defs {{\n script_user nobody\n}}\nvrrp_script chk {{\n script \"/bin/sleep 600\"\n interval 1\n timeout 1\n}}\n{}",
            GOOD.replace("priority 100", "priority 100\n track_script {\n chk\n }")
        );
        let config = write(folder.path(), "vrrp.conf", &text);
        let run = folder.path().join("run").display().to_string();
        let mut daemon = start(&config, &run);
        daemon.wait_line("script chk was killed after 1000 ms", LONG);
        daemon.wait_line("-> FAULT", LONG);
        daemon.stop();
    });
}

#[test]
#[ignore = "needs root for network namespaces; tests/run runs it"]
fn a_tracked_file_moves_the_priority_when_it_changes() {
    kit::sandboxed(|| {
        one_interface();
        let folder = tempfile::tempdir().expect("a folder");
        let file = write(folder.path(), "health", "0\n");
        let text = format!(
            "vrrp_track_file health {{\n file \"{file}\"\n weight 2\n}}\n{}",
            GOOD.replace(
                "priority 100",
                "priority 100\n version 3\n track_file {\n health\n }"
            )
            .replace("advert_int 1", "advert_int 0.1")
        );
        let config = write(folder.path(), "vrrp.conf", &text);
        let run = folder.path().join("run").display().to_string();
        let mut daemon = start(&config, &run);
        daemon.wait_line("BACKUP -> MASTER", LONG);
        let priority = || {
            let (_, text, _) = evenkeel(&["vip", "status", "--json", "--run-dir", &run]);
            let status: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
            status["instances"][0]["priority"].as_u64()
        };
        std::fs::write(&file, "-10\n").expect("writable");
        wait_until("the priority fell", LONG, || priority() == Some(80));
        std::fs::write(&file, "-200\n").expect("writable");
        daemon.wait_line("-> FAULT", LONG);
        daemon.stop();
    });
}

#[test]
#[ignore = "needs root for network namespaces; tests/run runs it"]
fn the_status_page_shows_json_metrics_and_a_page_and_a_taken_port_is_not_fatal() {
    kit::sandboxed(|| {
        one_interface();
        let folder = tempfile::tempdir().expect("a folder");
        let config = write(folder.path(), "vrrp.conf", GOOD);
        let run = folder.path().join("run").display().to_string();
        let mut daemon = start(&config, &run);
        daemon.wait_line("status page", LONG);
        let get = |path: &str| {
            let mut stream = TcpStream::connect("127.0.0.1:8110").expect("the page is up");
            write!(
                stream,
                "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            )
            .expect("sent");
            let mut text = String::new();
            stream.read_to_string(&mut text).expect("an answer");
            text
        };
        assert!(get("/status").contains("\"name\":\"VI_1\""));
        assert!(
            get("/metrics").contains("evenkeel_vip_state{vrrp_instance=\"VI_1\",state=\"BACKUP\"}")
        );
        assert!(get("/").contains("<h1>Virtual addresses</h1>"));
        assert!(get("/nothing").starts_with("HTTP/1.1 404"));
        // more than it serves at once, and none of them says anything
        let connect = |_| TcpStream::connect("127.0.0.1:8110").expect("the page is up");
        let silent: Vec<TcpStream> = (0..80).map(connect).collect();
        assert!(get("/status").contains("\"name\":\"VI_1\""));
        drop(silent);

        let second = folder.path().join("run2").display().to_string();
        let other = GOOD.replace("51", "52").replace("10.77.0.50", "10.77.0.60");
        let config = write(folder.path(), "second.conf", &other);
        let mut other = start(&config, &second);
        other.wait_line("set `status_page ADDRESS:PORT`", LONG);
        wait_for("the second daemon answers", LONG, || {
            let (status, text, _) = evenkeel(&["vip", "status", "--run-dir", &second]);
            (status == 0 && text.contains("VI_1")).then_some(())
        });
        other.stop();
        daemon.stop();
    });
}

/// Told before the run directory, which whoever lacks them can rarely make.
#[test]
#[ignore = "needs root for network namespaces; tests/run runs it"]
fn missing_capabilities_are_told_with_what_to_do() {
    kit::sandboxed(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let config = write(folder.path(), "vrrp.conf", GOOD);
        let output = Command::new("setpriv")
            .args(["--bounding-set", "-net_admin,-net_raw"])
            .arg(kit::binary())
            .args(["vip", "-n", "-l", "-f", &config])
            .args(["--run-dir", "/proc/nowhere"])
            .output()
            .expect("setpriv runs");
        assert_eq!(output.status.code(), Some(1));
        let said = String::from_utf8_lossy(&output.stderr);
        let wanted = "CAP_NET_ADMIN and CAP_NET_RAW missing: start as root";
        assert!(said.contains(wanted), "{said}");
    });
}

/// Who starts it without `-n` looks at this process, and not at the one in the background.
#[test]
#[ignore = "needs root for network namespaces; tests/run runs it"]
fn a_daemon_that_cannot_go_to_the_background_says_why() {
    kit::sandboxed(|| {
        one_interface();
        let folder = tempfile::tempdir().expect("a folder");
        let config = write(folder.path(), "vrrp.conf", GOOD);
        let run = folder.path().join("run").display().to_string();
        let background = |run: &str| evenkeel(&["vip", "-f", &config, "--run-dir", run]);
        let (status, _, said) = background("/proc/nowhere");
        assert_eq!(status, 1, "{said}");
        assert!(said.contains("the run directory /proc/nowhere: "), "{said}");
        assert!(said.contains("name another one with `--run-dir`"), "{said}");
        assert_eq!(background(&run).0, 0);
        let (status, _, said) = background(&run);
        assert_eq!(status, 1, "{said}");
        assert!(said.contains("another daemon is running"), "{said}");
        let pid = || std::fs::read_to_string(folder.path().join("run/vip.pid")).unwrap_or_default();
        wait_until(
            "the one in the background has its number there",
            LONG,
            || {
                let name = std::fs::read_to_string(format!("/proc/{}/cmdline", pid().trim()));
                name.is_ok_and(|name| name.contains("vrrp.conf"))
            },
        );
    });
}

#[test]
#[ignore = "needs root for network namespaces; tests/run runs it"]
fn a_second_daemon_with_the_same_run_directory_is_refused() {
    kit::sandboxed(|| {
        one_interface();
        let folder = tempfile::tempdir().expect("a folder");
        let config = write(folder.path(), "vrrp.conf", GOOD);
        let run = folder.path().join("run").display().to_string();
        let mut first = start(&config, &run);
        first.wait_line("the VRRP daemon runs", LONG);
        let mut second = start(&config, &run);
        assert!(!second.wait_exit(LONG).success());
        assert!(
            second.output().contains("another daemon is running"),
            "{}",
            second.output()
        );
        // one with a pid file of its own runs, as with keepalived, but leaves the socket alone
        let own = folder.path().join("own.pid").display().to_string();
        let arguments = [
            "vip",
            "-n",
            "-l",
            "-f",
            &config,
            "--run-dir",
            &run,
            "-p",
            &own,
        ];
        let mut third = Daemon::evenkeel(&arguments);
        third.wait_line("another daemon answers", LONG);
        third.wait_line("the VRRP daemon runs", LONG);
        third.stop();
        let (status, _, _) = evenkeel(&["vip", "status", "--run-dir", &run]);
        assert_eq!(status, 0, "the first one answers");
        first.stop();
    });
}

/// No thread of the worker has more rights than sockets and links need; those that adverts and
/// leases depend on come before others, the rest does not.
fn threads_have_their_rights_and_rank(pid: &str) {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("it runs");
    let mut seen = Vec::new();
    for task in tasks.map(|t| t.expect("an entry").path()) {
        let read = |name: &str| std::fs::read_to_string(task.join(name)).expect("it runs");
        let (status, name) = (read("status"), read("comm").trim().to_owned());
        let rights = status.lines().find_map(|l| l.strip_prefix("CapEff:\t"));
        let rights = rights.and_then(|r| u64::from_str_radix(r, 16).ok());
        let stat = read("stat");
        let fields = stat.rsplit_once(") ").expect("a name").1;
        let nice = fields.split(' ').nth(16).expect("a field").to_owned();
        seen.push((name, rights.expect("a number"), nice));
    }
    seen.sort();
    // NET_ADMIN and NET_RAW
    const NETWORK: u64 = 0x3000;
    const RAW: u64 = 0x2000;
    let expected = [
        ("evenkeel", NETWORK, "-20"),
        ("health", NETWORK, "0"),
        ("leases", NETWORK, "-20"),
        ("log", 0, "0"),
        ("status", NETWORK, "0"),
        ("tickle", RAW, "0"),
    ];
    let expected = expected.map(|(n, r, nice)| (n.to_owned(), r, nice.to_owned()));
    assert_eq!(seen, expected);
}

#[test]
#[ignore = "needs root for network namespaces; tests/run runs it"]
fn the_worker_keeps_two_capabilities_and_sync_groups_move_together() {
    kit::sandboxed(|| {
        one_interface();
        let folder = tempfile::tempdir().expect("a folder");
        let fast = GOOD.replace("advert_int 1", "version 3\n advert_int 0.1");
        let other = fast
            .replace("VI_1", "VI_2")
            .replace("51", "52")
            .replace("10.77.0.50", "10.77.0.60");
        let other = other.replace(
            "priority 100",
            "priority 100\n track_interface {\n veth9\n }",
        );
        interface("veth9", "p9");
        let text = format!("vrrp_sync_group G {{\n group {{\n VI_1\n VI_2\n }}\n}}\n{fast}{other}");
        let config = write(folder.path(), "vrrp.conf", &text);
        let run = folder.path().join("run").display().to_string();
        let mut daemon = start(&config, &run);
        daemon.wait_line("VI_2: BACKUP -> MASTER", LONG);
        let pid = std::fs::read_to_string(folder.path().join("run/vip-worker.pid")).expect("a pid");
        threads_have_their_rights_and_rank(pid.trim());
        kit::run("ip", &["link", "set", "veth9", "down"]);
        daemon.wait_line("VI_1: MASTER -> FAULT", LONG);
        daemon.wait_line("VI_2: MASTER -> FAULT", LONG);
        kit::run("ip", &["link", "set", "veth9", "up"]);
        daemon.wait_line("VI_1: FAULT -> BACKUP", LONG);
        daemon.stop();
    });
}

#[test]
#[ignore = "needs root for network namespaces; tests/run runs it"]
fn our_balancer_without_a_usable_server_is_unfit_and_a_dead_one_is_a_fault_at_once() {
    kit::sandboxed(|| {
        one_interface();
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("lb.sock").display().to_string();
        let server = std::net::TcpListener::bind("127.0.0.1:9191").expect("free");
        let lb = format!(
            "global\n stats socket {socket} mode 600 level admin\ndefaults\n mode tcp\n timeout connect 1s\n \
             timeout client 10s\n timeout server 10s\nlisten web\n bind 127.0.0.1:9090\n \
             server s1 127.0.0.1:9191 check inter 100ms fall 2 rise 1\n"
        );
        let lb = write(folder.path(), "lb.cfg", &lb);
        let text = format!(
            "track_lb bal {{\n socket {socket}\n weight 0\n}}\n{}",
            GOOD.replace(
                "priority 100",
                "priority 100\n version 3\n track_lb {\n bal\n }"
            )
            .replace("advert_int 1", "advert_int 0.1")
        );
        let config = write(folder.path(), "vrrp.conf", &text);
        let run = folder.path().join("run").display().to_string();
        let mut balancer = Daemon::evenkeel(&["lb", "-f", &lb]);
        wait_until("the balancer's socket", LONG, || {
            Path::new(&socket).exists()
        });
        let mut daemon = start(&config, &run);
        daemon.wait_line("BACKUP -> MASTER", LONG);
        drop(server);
        daemon.wait_line("bal has no backend with a usable server", LONG);
        let _server = std::net::TcpListener::bind("127.0.0.1:9191").expect("free");
        daemon.wait_line("FAULT -> BACKUP", LONG);
        balancer.signal(nix::sys::signal::Signal::SIGKILL);
        daemon.wait_line("bal is dead", LONG);
        let _ = balancer.wait_exit(LONG);
        daemon.stop();
    });
}

/// What a daemon writes into its fifo while the same things happen to it.
fn fifo_lines(folder: &Path, name: &str, start: impl FnOnce(&str, &str) -> Daemon) -> Vec<String> {
    let path = |file: &str| folder.join(format!("{name}-{file}")).display().to_string();
    let (fifo, file, out) = (path("fifo"), path("health"), path("lines"));
    std::fs::write(&file, "0\n").expect("writable");
    kit::run("mkfifo", &[&fifo]);
    let mut reader = Command::new("cat")
        .arg(&fifo)
        .stdout(std::fs::File::create(&out).expect("writable"))
        .spawn()
        .expect("cat runs");
    let instance = GOOD
        .replace(
            "interface eth0",
            "interface eth0\n state BACKUP\n version 3",
        )
        .replace("advert_int 1", "advert_int 0.1")
        .replace(
            "priority 100",
            "priority 100\n notify_priority_changes on\n track_file {\n f\n }",
        );
    let text = format!(
        "global_defs {{\n script_user root\n vrrp_notify_fifo {fifo}\n}}\n\
         track_file f {{\n file \"{file}\"\n}}\n{instance}"
    );
    let config = write(folder, &format!("{name}.conf"), &text);
    let mut daemon = start(&config, &path("run"));
    let lines = || std::fs::read_to_string(&out).unwrap_or_default();
    let wait = |line: &str| {
        wait_until(line, LONG, || {
            lines().lines().last().is_some_and(|l| l.contains(line))
        });
    };
    wait("MASTER 100");
    for (health, line) in [
        ("-10", "MASTER_PRIORITY 90"),
        ("0", "MASTER_PRIORITY 100"),
        ("-300", "FAULT 100"),
        ("0", "MASTER 100"),
    ] {
        std::fs::write(&file, format!("{health}\n")).expect("writable");
        wait(line);
    }
    daemon.stop();
    wait("STOP 100");
    let _ = reader.kill();
    let _ = reader.wait();
    lines().lines().map(str::to_owned).collect()
}

#[test]
#[ignore = "needs root and keepalived; tests/run installs it and runs this"]
fn the_fifo_has_the_lines_of_keepalived_s_in_its_order() {
    kit::sandboxed(|| {
        one_interface();
        let folder = tempfile::tempdir().expect("a folder");
        let theirs = fifo_lines(folder.path(), "theirs", |config, run| {
            let mut command = Command::new("keepalived");
            command.args(["-n", "-l", "-D", "-P", "-f", config]);
            command.args(["-p", &format!("{run}-m.pid"), "-r", &format!("{run}-v.pid")]);
            Daemon::start("keepalived", &mut command)
        });
        let ours = fifo_lines(folder.path(), "ours", start);
        assert_eq!(ours, theirs);
    });
}
