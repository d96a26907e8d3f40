//! Commands of HAProxy 2.6 (and some later ones) that do not work here: each is named, so that an
//! operator learns why instead of wondering about a spelling.

use super::command::Command;

const ACL: &str = "ACLs and maps are not loaded from files that could change at run time";
const TLS: &str = "TLS is not terminated here, so there are no certificates or keys";
const TABLES: &str = "stick tables are not there yet";
const SERVERS: &str =
    "servers are added and removed in the configuration file; 'reload' keeps all sessions";
const COOKIES: &str = "cookie persistence is not there";
const PEERS: &str = "peers are not there";
const CACHE: &str = "there is no HTTP cache";
const RESOLVERS: &str = "there are no resolvers: names are looked up at start and reload";
const VARIABLES: &str = "there are no process-wide variables";
const DEVELOPERS: &str = "it is for developers of HAProxy and has no meaning here";
const TRACE: &str =
    "it is for developers of HAProxy; 'show sess <id>' and 'show events -w' show what happens here";

/// The commands.
pub static COMMANDS: &[Command] = &[
    Command::absent(&["abort", "ssl"], TLS),
    Command::absent(&["add", "acl"], ACL),
    Command::absent(&["add", "map"], ACL),
    Command::absent(&["add", "server"], SERVERS),
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
    Command::absent(&["del", "server"], SERVERS),
    Command::absent(&["del", "ssl"], TLS),
    Command::absent(&["disable", "dynamic-cookie"], COOKIES),
    Command::absent(&["enable", "dynamic-cookie"], COOKIES),
    Command::absent(&["experimental-mode"], DEVELOPERS),
    Command::absent(&["expert-mode"], DEVELOPERS),
    Command::absent(&["get", "acl"], ACL),
    Command::absent(&["get", "map"], ACL),
    Command::absent(&["get", "var"], VARIABLES),
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
    Command::absent(&["set", "var"], VARIABLES),
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
