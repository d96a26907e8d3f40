//! A balancer with one listener and scripted servers, inside the test process.
#![allow(dead_code)]

pub mod peer;

use lb::data_path::DataPath;
use lb::state::Runtime;
use std::io::{ErrorKind, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How long a test waits for what must happen.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// What a test looks at in a session's record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionLine {
    pub end: String,
    pub server: String,
    pub backend: String,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub queue_ms: Option<u32>,
    pub connect_ms: Option<u32>,
    pub total_ms: u32,
    pub retries: u32,
    pub redispatched: bool,
}

/// A running balancer.
pub struct Rig {
    pub path: DataPath,
    lines: Mutex<Receiver<SessionLine>>,
    address: SocketAddr,
}

impl Rig {
    /// One `listen` section with one server `s1` that runs `script` for each
    /// connection; `extra` are more lines of the section.
    pub fn start(extra: &str, script: impl Fn(&mut TcpStream) + Send + Sync + 'static) -> Rig {
        let server = serve(script);
        Rig::with(&format!("{extra}\n  server s1 {server}\n"))
    }

    /// One `listen` section of these lines.
    pub fn with(lines: &str) -> Rig {
        let text = format!(
            "defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 20s\n  timeout server 20s\n  \
             log 127.0.0.1:9 local0\n  option tcplog\n\
             listen l\n  bind 127.0.0.1:1\n{lines}\n"
        );
        Rig::load(&text, 1)
    }

    /// A whole configuration; clients connect to its first listener.
    pub fn load(text: &str, threads: usize) -> Rig {
        let path = DataPath::prepare(threads).expect("polls");
        let (tell, lines) = channel();
        let tell = Mutex::new(tell);
        let log = move |record: &lb::state::SessionRecord| {
            let line = SessionLine {
                end: record.end.to_string(),
                server: record
                    .server
                    .as_ref()
                    .map_or("<NOSRV>".to_owned(), |s| s.name().to_owned()),
                backend: record.backend.name().to_owned(),
                bytes_in: record.bytes_in,
                bytes_out: record.bytes_out,
                queue_ms: record.timers.queue_ms,
                connect_ms: record.timers.connect_ms,
                total_ms: record.timers.total_ms,
                retries: record.retries,
                redispatched: record.redispatched,
            };
            let tell = tell.lock().expect("no test thread panics with the lock");
            // The test may have ended.
            let _ = tell.send(line);
        };
        assert!(path.runtime().hooks.log.set(Box::new(log)).is_ok());
        let rig_path = path;
        rig_path.apply(Arc::new(parse(text))).expect("binds");
        rig_path.start(|_| {}).expect("threads");
        let address = rig_path.listeners()[0].bound.local().inet().expect("tcp");
        Rig {
            path: rig_path,
            lines: Mutex::new(lines),
            address,
        }
    }

    /// Another configuration takes over.
    pub fn reload(&self, text: &str) {
        self.path.apply(Arc::new(parse(text))).expect("reload");
    }

    pub fn runtime(&self) -> &Arc<Runtime> {
        self.path.runtime()
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A client's connection to the listener.
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("connect");
        stream.set_read_timeout(Some(PATIENCE)).expect("timeout");
        stream.set_nodelay(true).expect("nodelay");
        stream
    }

    /// The next session's record.
    pub fn next_line(&self) -> SessionLine {
        let lines = self.lines.lock().expect("one reader");
        lines.recv_timeout(PATIENCE).expect("a session line")
    }

    /// No line has come, after a moment for one that should not be.
    pub fn has_line(&self) -> bool {
        let lines = self.lines.lock().expect("one reader");
        lines.recv_timeout(Duration::from_millis(50)) != Err(RecvTimeoutError::Timeout)
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.path.stop();
    }
}

/// Parses a configuration that must be right; port 1 stands for any free port.
pub fn parse(text: &str) -> conf::lb::Config {
    let (config, report) = conf::lb::load_str(text);
    let mut config = config.unwrap_or_else(|| panic!("refused: {:?}", report.diagnostics));
    for proxy in &mut config.proxies {
        let Some(front) = &mut Arc::make_mut(proxy).front else {
            continue;
        };
        for bind in &mut front.binds {
            if let conf::lb::BindAddress::Tcp { first, last, .. } = &mut bind.address
                && *first == 1
            {
                (*first, *last) = (0, 0);
            }
        }
    }
    config
}

/// A server that runs `script` for each connection on a thread of its own.
pub fn serve(script: impl Fn(&mut TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = listener.local_addr().expect("address");
    let script = Arc::new(script);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { break };
            let script = script.clone();
            std::thread::spawn(move || script(&mut stream));
        }
    });
    address
}

/// An address where nobody listens.
pub fn refused() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    listener.local_addr().expect("address")
}

/// Closes with a RST instead of a FIN.
pub fn reset(stream: TcpStream) {
    let socket = socket2::Socket::from(stream);
    socket
        .set_linger(Some(Duration::ZERO))
        .expect("linger on a connected socket");
}

/// Waits until a condition holds.
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = std::time::Instant::now() + PATIENCE;
    while !condition() {
        assert!(
            std::time::Instant::now() < end,
            "waited in vain until {what}"
        );
        std::thread::yield_now();
    }
}

/// Everything up to the peer's end, or how it broke.
pub fn ends_of(stream: &mut TcpStream) -> Result<Vec<u8>, ErrorKind> {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Ok(_) => Ok(bytes),
        Err(e) => Err(e.kind()),
    }
}
