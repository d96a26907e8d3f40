//! The example configurations load, and say what they should.

use conf::diagnostic::Severity;
use conf::lb::{self, Balance, Env, LogAddress, Mode, SessionFormat};
use std::path::PathBuf;
use std::time::Duration;

fn example(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("examples")
        .join(name)
}

#[test]
fn the_classic_file_loads_without_a_warning() {
    let (config, report) = lb::load(&[example("haproxy-rabbitmq.cfg")], Env::empty());
    assert_eq!(report.count(Severity::Error), 0, "{}", report.human(false));
    assert_eq!(
        report.count(Severity::Warning),
        0,
        "{}",
        report.human(false)
    );
    let config = config.expect("a configuration");
    assert_eq!(config.global.maxconn, Some(4096));
    assert!(config.global.process.daemon);
    assert!(matches!(
        config.global.logs[0].address,
        LogAddress::Udp { port: 514, .. }
    ));
    let cluster = config.backend("rabbitmq_cluster").expect("the cluster");
    assert_eq!((cluster.id, cluster.mode), (2, Mode::Tcp));
    assert_eq!(cluster.logging.format, SessionFormat::Tcp);
    assert_eq!(cluster.logging.targets, config.global.logs);
    assert!(cluster.logging.dont_log_null);
    let back = cluster.back.as_ref().expect("servers");
    assert_eq!(back.balance, Balance::RoundRobin);
    assert_eq!(
        (back.servers.len(), back.fullconn, back.retries),
        (7, 200, 3)
    );
    let server = &back.servers[6];
    assert_eq!(
        (server.name.as_str(), server.id, server.check.fall),
        ("rmq_node7", 7, 3)
    );
    assert_eq!(server.check.inter, Duration::from_secs(5));
    let monitor = config.frontend("monitor").expect("the page");
    assert_eq!(monitor.mode, Mode::Http);
    let stats = monitor.stats.as_ref().expect("statistics");
    assert_eq!(stats.uri, "/stats");
    assert_eq!(stats.refresh, Some(Duration::from_secs(5)));
}
