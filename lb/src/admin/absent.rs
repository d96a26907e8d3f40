//! Commands of HAProxy 2.6 (and some later ones) that do not work here: each is named, so that an
//! operator learns why instead of wondering about a spelling.

use super::command::Command;

const ACL: &str = "ACLs and maps are not loaded from files that could change at run time";
const TLS: &str = "TLS is not terminated here, so there are no certificates or keys";
const TABLES: &str = "stick tables are not there yet";
const COOKIES: &str = "cookie persistence is not there";
const PEERS: &str = "peers are not there";
const CACHE: &str = "there is no HTTP cache";
const RESOLVERS: &str = "there are no resolvers: names are looked up at start and reload";
const DEVELOPERS: &str = "it is for developers of HAProxy and has no meaning here";
const TRACE: &str =
    "it is for developers of HAProxy; 'show sess <id>' and 'show events -w' show what happens here";

/// The commands.
pub static COMMANDS: &[Command] = &[
    Command::absent(&["abort", "ssl"], TLS),
    Command::absent(&["add", "acl"], ACL),
    Command::absent(&["add", "map"], ACL),
    Command::absent(&["add", "ssl"], TLS),
    Command::absent(&["clear", "acl"], ACL),
    Command::absent(&["clear", "map"], ACL),
    Command::absent(&["clear", "table"], TABLES),
    Command::absent(&["commit", "acl"], ACL),
    Command::absent(&["commit", "map"], ACL),
    Command::absent(&["commit", "ssl"], TLS),
    Command::absent(&["debug", "dev"], DEVELOPERS),
    Command::absent(&["del", "acl"], ACL),
    Command::absent(&["del", "map"], ACL),
    Command::absent(&["del", "ssl"], TLS),
    Command::absent(&["disable", "dynamic-cookie"], COOKIES),
    Command::absent(&["enable", "dynamic-cookie"], COOKIES),
    Command::absent(&["get", "acl"], ACL),
    Command::absent(&["get", "map"], ACL),
    Command::absent(&["httpclient"], DEVELOPERS),
    Command::absent(&["mcli-debug-mode"], DEVELOPERS),
    Command::absent(&["new", "ssl"], TLS),
    Command::absent(&["prepare", "acl"], ACL),
    Command::absent(&["prepare", "map"], ACL),
    Command::absent(&["set", "dynamic-cookie-key"], COOKIES),
    Command::absent(&["set", "map"], ACL),
    Command::absent(&["set", "profiling"], DEVELOPERS),
    Command::absent(&["set", "ssl"], TLS),
    Command::absent(&["set", "table"], TABLES),
    Command::absent(&["show", "acl"], ACL),
    Command::absent(&["show", "cache"], CACHE),
    Command::absent(&["show", "libs"], DEVELOPERS),
    Command::absent(&["show", "map"], ACL),
    Command::absent(&["show", "peers"], PEERS),
    Command::absent(&["show", "profiling"], DEVELOPERS),
    Command::absent(&["show", "resolvers"], RESOLVERS),
    Command::absent(&["show", "ssl"], TLS),
    Command::absent(&["show", "table"], TABLES),
    Command::absent(&["show", "tasks"], DEVELOPERS),
    Command::absent(&["show", "tls-keys"], TLS),
    Command::absent(&["show", "trace"], TRACE),
    Command::absent(&["trace"], TRACE),
];

#[cfg(test)]
mod tests {
    /// What `help` of HAProxy 2.6.12 lists at level admin in expert and experimental mode.
    const HAPROXY: &str = "abort ssl ca-file,abort ssl cert,abort ssl crl-file,add acl,add map,\
        add server,add ssl crt-list,clear acl,clear counters,clear map,clear table,commit acl,\
        commit map,commit ssl ca-file,commit ssl cert,commit ssl crl-file,debug dev bug,\
        debug dev check,debug dev close,debug dev delay,debug dev exit,debug dev fd,\
        debug dev hex,debug dev log,debug dev loop,debug dev panic,debug dev sched,\
        debug dev stream,debug dev sym,debug dev tkill,debug dev warn,debug dev write,del acl,\
        del map,del server,del ssl ca-file,del ssl cert,del ssl crl-file,del ssl crt-list,\
        disable agent,disable dynamic-cookie backend,disable frontend,disable health,\
        disable server,enable agent,enable dynamic-cookie backend,enable frontend,enable health,\
        enable server,get acl,get map,get var,get weight,httpclient,new ssl ca-file,new ssl cert,\
        new ssl crlfile,operator,prepare acl,prepare map,set dynamic-cookie-key backend,set map,\
        set maxconn frontend,set maxconn global,set maxconn server,set profiling,set rate-limit,\
        set server,set severity-output,set ssl ca-file,set ssl cert,set ssl crl-file,\
        set ssl ocsp-response,set ssl tls-key,set table,set timeout,set var,set weight,show acl,\
        show activity,show backend,show cache,show cli level,show cli sockets,show env,\
        show errors,show events,show fd,show info,show libs,show map,show peers,show pools,\
        show profiling,show resolvers,show schema json,show servers conn,show servers state,\
        show sess,show ssl ca-file,show ssl cert,show ssl crl-file,show ssl crt-list,\
        show ssl ocsp-response,show ssl providers,show startup-logs,show stat,show table,\
        show tasks,show threads,show tls-keys,show trace,show version,shutdown frontend,\
        shutdown session,shutdown sessions server,trace,user,help,prompt,quit,expert-mode,\
        experimental-mode";

    #[test]
    fn every_command_of_haproxy_works_or_is_named_as_not_there() {
        for line in HAPROXY.split(',') {
            let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            let known = super::super::table().any(|command| command.is_named_by(&words));
            assert!(known, "{line}");
        }
    }
}
