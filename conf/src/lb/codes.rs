//! Codes of the balancer's language and their explanations. `E10xx` are
//! mistakes and HAProxy's own warnings, `E11xx` are notes.

use crate::code::Code;

macro_rules! codes {
    ($($id:literal $title:literal $explanation:literal)*) => {
        &[$(Code { id: $id, title: $title, explanation: $explanation }),*]
    };
}

/// Codes in ascending order.
pub static CODES: &[Code] = codes! {
    "E1001" "an address is not right"
    "An address is an IP address or host name with a port (`192.0.2.1:5672`, `[2001:db8::1]:5672`, \
     `:5672` or `*:5672` for every IPv4 address), the path of a unix socket, `unix@path`, \
     `abns@name`, `fd@number`, or one of these with `ipv4@` or `ipv6@` in front of it. Listening \
     addresses may have a range of ports (`:5672-5680`); servers may have a port relative to the \
     one that the client connected to (`+1000`)."

    "E1002" "an escape sequence is not right"
    "Outside of single quotes, `\\x` needs two hexadecimal digits behind it. Other escapes are \
     `\\ ` (space), `\\\\`, `\\#`, `\\'`, `\\\"`, `\\n`, `\\r` and `\\t`; a backslash in front of \
     anything else stays as it is."

    "E1003" "a variable is not right"
    "Inside double quotes, `$NAME` and `${NAME}` are replaced by environment variables; \
     `${NAME-text}` gives a text for a variable that is not set, `${NAME[*]}` splits the value \
     into words. A name has letters, digits, `_` and starts with no digit. `${.LINE}`, \
     `${.FILE}` and `${.SECTION}` tell where the line stands. Nothing is replaced outside of \
     double quotes. A dollar sign inside of them is written `\\$`."

    "E1004" "this cannot be negated"
    "`no` and `default` in front of a line go with `option`, `log` and a few switches. Other \
     keywords are undone by writing the value that is wanted."

    "E1005" "not allowed in `defaults`"
    "The keyword describes one proxy, so it has no meaning as a default. Rules and ACLs may stand \
     in a `defaults` section that has a name and is used by `from`."

    "E1006" "a name has a character that is not allowed"
    "Names of sections and servers consist of letters, digits and `_`, `-`, `.`, `:`. They appear \
     in logs, statistics and commands, where anything else would be ambiguous."

    "E1007" "a format is not right"
    "A log format is text with `%tag` and `%[expression]`; `%{+Q}tag` sets flags. A percent sign \
     is written `%%`. The tags are listed in the reference page."

    "E1008" "a keyword stands twice"
    "The process has one value for this, and two lines give one each. The first counts, also when \
     they stand in different files; the second does nothing."

    "E1009" "the last line does not end with a line feed"
    "A file whose last line has no line feed may have been cut off while it was written or copied: \
     the missing part could be anything. End the file with a line feed."

    "E1010" "a name does not exist"
    "The line refers to a section, server, ACL, userlist or `defaults` by a name that is not \
     defined. Names are compared letter by letter. ACLs and named `defaults` must stand ahead of \
     the line that uses them, the others may stand anywhere."

    "E1011" "the keyword belongs to the other side"
    "A `frontend` has clients and no servers, a `backend` has servers and no clients, a `listen` \
     section has both. The keyword is about the side that this section does not have. It is \
     ignored with a warning, its words are judged all the same; what one cannot do without \
     (`server`, `retry-on`, rules of the other side) is refused."

    "E1012" "a name or number is used twice"
    "Sections of one kind, servers of one section, users of one list, and ids must be different: \
     logs, statistics, state files and commands tell them apart by nothing else. The message shows \
     both places."

    "E1013" "`.if` blocks do not match"
    "Each `.if` ends with `.endif` in the same file; `.elif` and one `.else` may stand between \
     them. Blocks may be nested 1024 deep."

    "E1014" "the file speaks"
    "The line is `.notice`, `.warning` or `.alert` and shows its text. `.alert` refuses the file, \
     `.warning` counts as a warning."

    "E1015" "a condition of `.if` is not right"
    "A condition is a number (0 is false), a predicate such as `defined(NAME)`, \
     `feature(AMQP_CHECK)`, `streq(\"$A\",text)`, `version_atleast(2.6)`, or several with `!`, \
     `&&`, `||` and parentheses."

    "E1016" "a host name gives no address"
    "At start, each host name is looked up with the system's resolver (/etc/hosts, then DNS). A \
     server whose name gives no address would never be used, so the start is refused. `getent \
     hosts NAME` shows what the system answers. `init-addr last,libc,none` starts such a server \
     in maintenance instead; the command line option `-dr` does so for all."

    "E1017" "the value is not there at that time"
    "An expression looks at something that does not exist when it is evaluated: contents in a \
     `tcp-request connection` rule, the chosen server in a rule that runs before one is chosen, \
     or HTTP in TCP rules. An ACL of this kind never matches."

    "E1018" "a converter does not fit"
    "A converter takes the value ahead of it, and its type cannot be made into the one that it \
     needs, such as bytes into a number."

    "E1019" "an unknown fetch or converter"
    "An expression is a fetch, such as `src` or `req.ssl_sni`, followed by converters with commas \
     between them, such as `src,ipmask(24)`. The reference page lists all of them."

    "E1020" "a variable's name is not right"
    "Variables are named by a scope, a dot and a name: `proc.` for the process, `sess.` for the \
     connection, `txn.` for the session, `req.` and `res.` for the phases, `check.` for a health \
     check."

    "E1021" "a regular expression is not right"
    "The expression does not compile. The engine works in linear time for every input and \
     therefore has neither look-around nor back references."

    "E1022" "the matching method must be told"
    "The type of the value does not tell how it should be compared. Add `-m` and one of `str`, \
     `beg`, `end`, `sub`, `reg`, `int`, `ip`, `bin`, `len`, `found`."

    "E1023" "a loop"
    "The line leads back to where it started: a section that sends sessions to itself, or servers \
     that track each other."

    "E1024" "modes do not match"
    "Sessions go from a frontend to a backend of the same mode: what one reads as bytes the other \
     cannot read as HTTP requests. Set the same `mode` in both."

    "E1025" "a server cannot be tracked"
    "`track` takes over the state that another server's checks give. That server must be checked \
     itself, and the tracking one must not."

    "E1026" "a check without a port"
    "The server has no port of its own (it uses the one that the client connected to), so it must \
     be said which port its checks connect to: `check port 5672`."

    "E1027" "needs `mode http`"
    "The keyword is about HTTP and this proxy passes bytes on. It is ignored with a warning. Set \
     `mode http`, or remove the line."

    "E1028" "nothing is logged"
    "The proxy has a log format and no target. Write `log global` in the section or its defaults, \
     and `log 127.0.0.1 local0` in the global section."

    "E1029" "timeouts are missing"
    "Without `timeout client`, `timeout connect` and `timeout server`, a session whose other side \
     vanished without a word is kept for ever, and a server that does not answer is waited for \
     without end. Long-lived sessions need long timeouts together with keep-alives, not none."

    "E1030" "nobody can connect"
    "A `frontend` or `listen` section needs at least one `bind` line."

    "E1031" "servers that are never used"
    "In a `listen` section with a `default_backend`, sessions always go to that backend. Remove \
     the servers or the `default_backend`."

    "E1032" "rules in another order than they run"
    "Rules of different kinds run in a fixed order, wherever they stand: `tcp-request connection`, \
     `session`, `content`, `http-request`, `use_backend`, `use-server`. Writing them in this order \
     shows what happens."

    "E1033" "check rules without the check"
    "`tcp-check` rules are run by `option tcp-check`, `http-check` rules by `option httpchk`. \
     Without the option, or with another one behind it, the rules are ignored."

    "E1034" "contents are captured before they arrived"
    "A rule captures something that the client sends, and nothing makes it wait: whether there is \
     something to capture is a matter of luck. Add `tcp-request inspect-delay`."

    "E1035" "an ACL without values"
    "The criterion gives a value, but nothing stands behind it to compare that with, so the ACL \
     never matches. `-m found` asks only whether there is a value, `-m bool` whether a number is \
     not 0; `--` says that an empty list is meant."

    "E1036" "an external check cannot run"
    "A check that runs a program must be allowed by `external-check` in `global`, and its section \
     must name the program by `external-check command`. A process that does not run as root also \
     needs `insecure-fork-wanted` in `global`, or the checks fail."

    "E1037" "needs `mode tcp`"
    "`rebalance` and `drain-sessions` end long-lived sessions, which HTTP does not have: each \
     request finds a server of its own. The line does nothing in `mode http`."

    "E1038" "check steps in an order that leads nowhere"
    "A script of a check that connects explicitly does so in its first step (`comment` and `set-var` \
     may come before). In an `http-check` script each `connect` is followed by a `send`, that by \
     `expect`s, and another `connect` comes after those."

    "E1039" "headers hidden in a version"
    "`option httpchk GET /x HTTP/1.1\\r\\nHost:\\ a` is how a check was given headers before \
     `http-check send` was there. It works; `http-check send meth GET uri /x ver HTTP/1.1 hdr Host a` \
     says the same."

    "E1040" "rules of `defaults` that not all can run"
    "Rules in a `defaults` section are for frontends only or for backends only: a `listen` section, \
     another `defaults` section, or sections of both kinds cannot start from it. Frontends do not \
     run `tcp-response content`, backends neither `tcp-request connection` nor `session`."

    "E1041" "a `defaults` section used by name and by place"
    "One proxy starts from the section by `from`, another one because it stands ahead of it. Somebody \
     who moves a section changes the second one without seeing it. Name the section everywhere, or \
     put an own `defaults` section ahead of the proxies that name none."

    "E1042" "one address and a choice of servers"
    "`dispatch` and `option transparent` send all sessions of a section to one address; `balance` \
     chooses among servers. HAProxy passes over the `dispatch` then and refuses `option transparent`."

    "E1043" "states of servers without a file"
    "`load-server-state-from-file global` reads the file that `server-state-file` in the `global` \
     section names, and there is none."

    "E1044" "the file is not plain UTF-8"
    "Some editors put a byte order mark ahead of the first line or write UTF-16, and show nothing \
     of it. The first word of the file is then not what it looks like. Save the file as UTF-8 \
     without a byte order mark."

    "E1045" "an unfinished merge"
    "Lines that begin with `<<<<<<<`, `=======` and `>>>>>>>` are what a version control system \
     leaves around two versions that it could not merge. Keep what is right of both and remove \
     these lines."

    "E1101" "a keyword stands twice in a section"
    "The later line counts and the earlier one does nothing. That is legal and happens in files \
     that were put together by copying; it becomes a trap when only the first of the two is \
     changed."

    "E1102" "a time without a unit"
    "A bare number counts milliseconds: `timeout connect 5` gives a server five milliseconds to \
     answer. Write the unit: us, ms, s, m, h or d."

    "E1103" "a log format is overridden"
    "`option tcplog` and `option httplog` replace a `log-format` that stands ahead of them in the \
     same section."

    "E1104" "accepted without effect"
    "The keyword tunes something that Evenkeel does not have, such as a poller or a TLS library. \
     Nothing would run differently with it, so the line may stay for HAProxy's sake."

    "E1105" "an empty argument ends the line"
    "An empty word, such as `\"\"` or a quoted variable that is not set, ends the line: what \
     follows is not read. Give the variable a value with `\"${NAME-default}\"`."

    "E1106" "retries without redispatch"
    "A connection that fails is tried again on the same server, one second later. While a dead \
     server is not yet marked down, each client that is sent there waits for all retries and then \
     fails, although other servers are healthy. `option redispatch` sends the last try elsewhere."

    "E1107" "a client timeout cuts quiet AMQP connections"
    "A consumer on an empty queue sends nothing. Without heartbeats it is silent, and `timeout \
     client` ends its connection with state `cD`. Let clients ask for heartbeats below half of the \
     timeout, or raise the timeout and use `option clitcpka` to notice dead ones."

    "E1108" "logs inside a chroot"
    "After `chroot`, paths start at the new root: `/dev/log` is not there. Evenkeel opens the \
     socket ahead of it, but cannot open it again when the log daemon restarts. Log to 127.0.0.1, \
     or let the daemon listen inside of the directory."

    "E1109" "leastconn without slowstart"
    "`leastconn` sends new sessions to the server with the fewest. A server that comes back has \
     none, so it gets every new session until it caught up. `slowstart 60s` raises its share over \
     a minute."

    "E1110" "looking at bytes that have not arrived"
    "Rules about contents, such as `req.ssl_sni`, are evaluated as soon as the connection stands, \
     when nothing was received yet. `tcp-request inspect-delay` lets them wait: \
     `tcp-request inspect-delay 5s` and `tcp-request content accept if { req.ssl_hello_type 1 }`."

    "E1111" "an address is listened on twice"
    "Two lines listen on the same address and port. The kernel shares connections between them at \
     random, so half of the clients end up in the other section."

    "E1112" "rebalancing clients that come back to their server"
    "`rebalance` ends sessions so that their clients come back elsewhere. Under `balance source` \
     or `hash` a client comes back to the server that its key names, so only those move whose \
     server changed; rebalancing gives up when nothing gets better. `balance leastconn` moves \
     each of them to where there is room."

    "E1113" "the file explains itself"
    "The line is `.diag` and shows its text under `-dD` and `-V` only."

    "E1114" "a variable that is not set"
    "A variable without a value leaves nothing: `server s \"${NAME}:5672\"` becomes `:5672`, which \
     is a legal address and not the one that was meant. Set it ahead of the start, or give a value \
     for that case: `\"${NAME-192.0.2.1}\"`."
};
