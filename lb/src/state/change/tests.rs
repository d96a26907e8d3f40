use crate::core::server::{Admin, Change, Operation};
use crate::state::{Administered, Endpoint, Generation, Runtime, Server};
use std::sync::{Arc, Mutex};

const HEAD: &str = "listen a\n mode tcp\n bind 127.0.0.1:1\n timeout connect 1s\n timeout client 1s\n \
                    timeout server 1s\n";

/// Reads these servers as a start or a reload does; names have an address or not.
fn read(runtime: &Arc<Runtime>, servers: &str, names_resolve: bool) {
    let (config, report) = conf::lb::load_str(&format!("{HEAD}{servers}"));
    let mut config = config.unwrap_or_else(|| panic!("{}", report.human(false)));
    let address = names_resolve.then(|| [192, 0, 2, 7].into());
    conf::lb::resolve(&mut config, Default::default(), &mut |_, _| address);
    runtime.install(Generation::next(runtime, Arc::new(config)));
}

fn server(runtime: &Runtime) -> Arc<Server> {
    named(runtime, "s")
}

fn named(runtime: &Runtime, name: &str) -> Arc<Server> {
    runtime.generation().server("a", name).unwrap().clone()
}

#[test]
fn a_server_whose_name_had_no_address_works_once_a_reload_finds_one() {
    let runtime = Runtime::new(Vec::new());
    let line = " server s later.test:5672 init-addr libc,none\n";
    read(&runtime, line, false);
    assert_eq!(server(&runtime).status().admin, Admin::UNRESOLVED);
    read(&runtime, line, false);
    assert!(!server(&runtime).status().usable());
    read(&runtime, line, true);
    assert!(server(&runtime).status().usable());
    read(&runtime, line, false);
    assert_eq!(server(&runtime).status().admin, Admin::UNRESOLVED);
}

#[test]
fn the_last_address_of_a_name_serves_while_it_has_none() {
    let runtime = Runtime::new(Vec::new());
    let line = " server s later.test:5672 init-addr last,libc,none\n";
    read(&runtime, line, true);
    let found = server(&runtime).endpoint();
    read(&runtime, line, false);
    assert_eq!(server(&runtime).endpoint(), found);
    assert!(server(&runtime).status().usable());
    read(&runtime, &line.replace("5672", "5673"), false);
    assert_eq!(*server(&runtime).endpoint(), Endpoint::Unresolved);
}

#[test]
fn an_operator_gives_a_server_the_address_that_its_name_has_not() {
    let runtime = Runtime::new(Vec::new());
    read(
        &runtime,
        " server s later.test:5672 init-addr none\n",
        false,
    );
    let server = server(&runtime);
    runtime.administer(&server, Administered::Ready);
    assert!(!server.status().usable(), "ready gives it no address");
    runtime.relocate(&server, Endpoint::Inet("127.0.0.1:5672".parse().unwrap()));
    assert!(server.status().usable());
}

#[test]
fn a_server_leaves_maintenance_when_the_file_no_longer_says_disabled() {
    let runtime = Runtime::new(Vec::new());
    read(&runtime, " server s 127.0.0.1:5672 disabled\n", true);
    assert_eq!(server(&runtime).status().operation, Operation::Stopped);
    read(&runtime, " server s 127.0.0.1:5672\n", true);
    assert!(server(&runtime).status().usable());
    read(&runtime, " server s 127.0.0.1:5672 disabled\n", true);
    assert!(!server(&runtime).status().usable());
    runtime.administer(&server(&runtime), Administered::Ready);
    read(
        &runtime,
        " server s 127.0.0.1:5672 disabled weight 9\n",
        true,
    );
    assert!(server(&runtime).status().usable(), "the operator was later");
}

#[test]
fn servers_that_track_one_in_maintenance_rest_from_the_start_and_end_with_it() {
    let runtime = Runtime::new(Vec::new());
    // who tracks may stand ahead of what is tracked
    let lines = " server t2 127.0.0.1:2 track t1\n server t1 127.0.0.1:1 track s\n \
                 server s 127.0.0.1:5672 check disabled\n";
    read(&runtime, lines, true);
    for name in ["t1", "t2"] {
        assert_eq!(named(&runtime, name).status().admin, Admin::INHERITED_MAINT);
    }
    runtime.administer(&server(&runtime), Administered::Ready);
    assert!(named(&runtime, "t1").status().usable() && named(&runtime, "t2").status().usable());
    runtime.administer(&server(&runtime), Administered::Drain);
    assert!(named(&runtime, "t2").status().admin.in_drain());
    let alone = " server t2 127.0.0.1:2\n server s 127.0.0.1:5672 check disabled\n";
    read(&runtime, alone, true);
    assert!(named(&runtime, "t2").status().usable());
    assert!(server(&runtime).status().admin.in_drain());
}

#[test]
fn servers_that_a_reload_makes_track_one_are_as_it_is() {
    let runtime = Runtime::new(Vec::new());
    read(
        &runtime,
        " server s 127.0.0.1:1 check\n server t 127.0.0.1:2\n",
        true,
    );
    runtime.change(&server(&runtime), Change::Down, "");
    let tracking = " server s 127.0.0.1:1 check\n server t 127.0.0.1:2 track s\n \
                    server new 127.0.0.1:3 track s\n";
    read(&runtime, tracking, true);
    for name in ["t", "new"] {
        assert_eq!(named(&runtime, name).status().operation, Operation::Stopped);
    }
    read(
        &runtime,
        " server s 127.0.0.1:1 check\n server t 127.0.0.1:2\n",
        true,
    );
    assert!(named(&runtime, "t").status().usable());
}

#[test]
fn a_server_that_was_down_is_tried_anew_behind_a_maintenance() {
    let runtime = Runtime::new(Vec::new());
    read(&runtime, " server s 127.0.0.1:1 check fall 3\n", true);
    let server = server(&runtime);
    server.health.lock().unwrap().force_down();
    runtime.change(&server, Change::Down, "");
    runtime.administer(&server, Administered::Maint);
    runtime.administer(&server, Administered::Ready);
    assert!(server.status().usable());
    assert_eq!(server.health_now().fraction(), (1, 3));
    let downs = || server.counters.totals().went_down;
    assert_eq!(downs(), 1, "it was down when it entered maintenance");
    runtime.administer(&server, Administered::Maint);
    assert_eq!(downs(), 2);
}

#[test]
fn a_slow_start_grows_where_the_algorithm_follows_weights_and_ends_as_a_change() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let runtime = Runtime::new(Vec::new());
    let line = " server s 192.0.2.1:5672 check slowstart 100ms\n \
                server u 192.0.2.2:5672 track s slowstart 100ms\n";
    let listener = told.clone();
    let _ = runtime.hooks.on_change.set(Box::new(move |change| {
        let words = crate::access_log::change::words(change);
        listener.lock().unwrap().extend(words.map(|(_, text)| text));
    }));
    for (algorithm, grows) in [
        ("static-rr", false),
        ("source", false),
        ("roundrobin", true),
        ("first", true),
    ] {
        read(&runtime, &format!(" balance {algorithm}\n{line}"), true);
        let (server, tracker) = (server(&runtime), named(&runtime, "u"));
        runtime.change(&server, Change::Down, "");
        runtime.change(&server, Change::Up, "");
        assert_eq!(server.status().operation, Operation::Starting);
        assert_eq!(server.weight() < 16, grows, "{algorithm}");
        told.lock().unwrap().clear();
        let starting = |server: &Server| server.status().operation == Operation::Starting;
        while starting(&server) || starting(&tracker) {
            runtime.tick();
        }
        assert_eq!(server.weight(), 16);
        let mut told = told.lock().unwrap();
        // each ends when its own time is over
        told.sort();
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].starts_with("Server a/s is UP."), "{told:?}");
        assert!(told[1].starts_with("Server a/u is UP via a/s."), "{told:?}");
    }
}
