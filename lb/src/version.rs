//! `-v`, `-vv` and the usage text.

use std::fmt::Write;

/// What `-v` (and with `long` also `-vv`) prints. The first line names the
/// version of HAProxy whose language is spoken, as scripts look for it there.
pub fn text(long: bool) -> String {
    let mut out = format!(
        "Evenkeel version {}, speaks HAProxy version {}\n",
        env!("CARGO_PKG_VERSION"),
        conf::lb::VERSION,
    );
    if let Ok(system) = nix::sys::utsname::uname() {
        let (name, release) = (
            system.sysname().to_string_lossy(),
            system.release().to_string_lossy(),
        );
        let machine = system.machine().to_string_lossy();
        // writing to a string cannot fail
        let _ = writeln!(out, "Running on: {name} {release} {machine}");
    }
    if long {
        out.push_str(
            "\nFeature list : +EPOLL +THREAD +LINUX_SPLICE +LINUX_TPROXY +ACCEPT4 +TFO +SYSTEMD \
             +AMQP_CHECK +REBALANCE +RELOAD_IN_PROCESS -OPENSSL -LUA -QUIC\n\
             \nAvailable polling systems :\n      epoll : pref=300,  test result OK\n\
             Total: 1 (1 usable), will use epoll.\n",
        );
        let ring = match crate::uring::Ring::open() {
            Ok(_) => "will hand it the calls of a turn".to_owned(),
            Err(e) => format!("each session makes its own calls ({e})"),
        };
        // writing to a string cannot fail
        let _ = writeln!(out, "io_uring : {ring}.");
        out.push_str(
            "\nAvailable multiplexer protocols :\n  <default> : mode=TCP\n         h1 : mode=HTTP\n",
        );
    }
    out
}

/// How it is called.
pub fn usage() -> &'static str {
    "Usage: evenkeel lb [-f <cfgfile|cfgdir>]* [options] [-- <cfgfile>*]
       evenkeel lb ctl [command]      talks to a running balancer
       evenkeel lb diff [<old>] <new> shows what a reload would change
       evenkeel lb check --live -f <cfgfile>   tries every server's check once
       evenkeel lb trace [src <network>]       shows sessions as they go
       evenkeel lb convert [-o <file>] <file>  what of an haproxy or nginx file works here

  -c            check the configuration and leave       -cc <condition>  evaluate a condition
  -d, -db       stay in the foreground                  -D               run in the background
  -W, -Ws       master and worker (-Ws: tell systemd)   -S <address>     CLI of the master
  -f <path>     configuration file or directory         -C <directory>   change there first
  -p <file>     write the pid there                     -x <socket>      take listeners over from there
  -sf <pid>*    end old processes softly                -st <pid>*       end them at once
  -n <number>   sessions of the process                 -N <number>      sessions of a proxy by default
  -m <MiB>      limit of memory                         -L <name>        local peer name
  -q, -V        say less, say more                      -v, -vv          show the version
  -dW           warnings are fatal                      -dD              tell what looks suspicious
  -dr           start without names that do not resolve
  -dR, -dS      no SO_REUSEPORT, no splice              -dK<class>, -dL  list keywords, loaded files
  --state-dir <directory> keep counters, states and weights there over a restart
  --run-dir <directory>   where the admin socket of every process lies (/run/evenkeel)
  --format json           findings for programs
"
}
