//! The core thread through real sockets: lapin, TLS with client certificates, the PROXY protocol, an orderly stop.

use broker::Seat;
use broker::core::Core;
use broker::core::access::Password;
use broker::core::field::FieldTable;
use broker::core::frame;
use broker::core::journal::Volatile;
use broker::core::metadata::Command;
use broker::core::method::Method;
use broker::core::settings::Settings;
use broker::core::vhost::VhostSpec;
use broker::run::{Listen, Running, Secure, start};
use conf::broker::LoginFrom;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

fn add_user(core: &mut Core, name: &str) {
    let password = Password::hash_salted(b"guest", [1; 4]);
    let all = || ".*".to_owned();
    core.execute(Command::PutUser {
        name: name.to_owned(),
        password_hash: password.export_hash(),
        hashing_algorithm: password.export_algorithm().to_owned(),
        tags: Vec::new(),
    });
    let (user, vhost) = (name.to_owned(), "/".to_owned());
    core.execute(Command::SetPermission {
        user,
        vhost,
        configure: all(),
        write: all(),
        read: all(),
    });
}

fn serve(tls: Option<Secure>, proxy_protocol: bool) -> (Running, SocketAddr) {
    let mut core = Core::new(Settings::default(), Box::new(Volatile), [3; 32]);
    core.execute(Command::PutVhost(VhostSpec {
        name: "/".to_owned(),
        ..VhostSpec::default()
    }));
    add_user(&mut core, "guest");
    add_user(&mut core, "worker-1");
    core.metadata
        .access
        .loopback_users
        .insert("guest".to_owned());
    let address = "127.0.0.1:0".parse().expect("an address");
    let listen = Listen {
        address,
        tls,
        proxy_protocol,
        backlog: 16,
    };
    let running = start(Seat::new().expect("a poll"), core, &[listen]).expect("listening");
    let address = running.addresses[0];
    (running, address)
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("it listens");
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .expect("a timeout");
    stream
}

fn send(stream: &mut impl Write, channel: u16, method: &Method<'_>) {
    let mut bytes = Vec::new();
    frame::write(&mut bytes, frame::METHOD, channel, |out| method.encode(out));
    stream.write_all(&bytes).expect("the server reads");
}

/// Reads one method, as text.
fn receive(stream: &mut impl Read) -> String {
    let mut bytes = vec![0; 7];
    stream.read_exact(&mut bytes).expect("a frame");
    let size = u32::from_be_bytes([bytes[3], bytes[4], bytes[5], bytes[6]]) as usize;
    bytes.resize(7 + size + 1, 0);
    stream
        .read_exact(&mut bytes[7..])
        .expect("the frame's rest");
    let found = frame::parse(&bytes, 0)
        .expect("a good frame")
        .expect("a whole frame");
    format!("{:?}", Method::decode(found.payload).expect("a method"))
}

/// Logs in and opens the default vhost; gives the answer to the login, and to the opening.
fn handshake(
    stream: &mut (impl Read + Write),
    mechanism: &str,
    response: &[u8],
) -> (String, String) {
    stream
        .write_all(b"AMQP\0\0\x09\x01")
        .expect("the server reads");
    let start = receive(stream);
    assert!(start.starts_with("ConnectionStart "), "{start}");
    let client_properties = FieldTable::new();
    send(
        stream,
        0,
        &Method::ConnectionStartOk {
            client_properties,
            mechanism,
            response,
            locale: "en_US",
        },
    );
    let tune = receive(stream);
    send(
        stream,
        0,
        &Method::ConnectionTuneOk {
            channel_max: 10,
            frame_max: 4096,
            heartbeat: 0,
        },
    );
    send(
        stream,
        0,
        &Method::ConnectionOpen {
            virtual_host: "/",
            capabilities: "",
            insist: false,
        },
    );
    (tune, receive(stream))
}

#[test]
fn lapin_publishes_confirms_and_consumes() {
    use lapin::options::*;
    use lapin::types::FieldTable;
    let (running, address) = serve(None, false);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let uri = format!("amqp://guest:guest@{address}/%2f");
        let connection = lapin::Connection::connect(&uri, lapin::ConnectionProperties::default())
            .await
            .unwrap();
        let channel = connection.create_channel().await.unwrap();
        channel
            .queue_declare(
                "q".into(),
                QueueDeclareOptions::default(),
                FieldTable::default(),
            )
            .await
            .unwrap();
        channel
            .confirm_select(ConfirmSelectOptions::default())
            .await
            .unwrap();
        for n in 0..100 {
            let body = format!("m{n}");
            let confirm = channel
                .basic_publish(
                    "".into(),
                    "q".into(),
                    BasicPublishOptions::default(),
                    body.as_bytes(),
                    lapin::BasicProperties::default().with_delivery_mode(2),
                )
                .await
                .unwrap()
                .await
                .unwrap();
            assert!(confirm.is_ack());
        }
        for n in 0..100 {
            let message = channel
                .basic_get("q".into(), BasicGetOptions::default())
                .await
                .unwrap()
                .unwrap();
            assert_eq!(message.delivery.data, format!("m{n}").into_bytes());
            message
                .delivery
                .ack(BasicAckOptions::default())
                .await
                .unwrap();
        }
        let refused = channel
            .queue_declare(
                "q".into(),
                QueueDeclareOptions {
                    durable: true,
                    ..Default::default()
                },
                FieldTable::default(),
            )
            .await
            .unwrap_err();
        let text = refused.to_string();
        assert!(
            text.contains("inequivalent arg 'durable' for queue 'q' in vhost '/'"),
            "{text}"
        );
        connection.close(200, "".into()).await.unwrap();
    });
    running.stop();
}

/// A certificate signed by `authority`, and its key.
fn issue(
    authority: &rcgen::Issuer<'_, rcgen::KeyPair>,
    name: &str,
) -> (rcgen::Certificate, rcgen::KeyPair) {
    let mut parameters =
        rcgen::CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    parameters
        .distinguished_name
        .push(rcgen::DnType::CommonName, name);
    let key = rcgen::KeyPair::generate().expect("a key");
    (parameters.signed_by(&key, authority).expect("signed"), key)
}

fn key_der(key: &rcgen::KeyPair) -> PrivateKeyDer<'static> {
    PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()))
}

#[test]
fn a_client_certificate_logs_in_over_tls() {
    let mut parameters = rcgen::CertificateParams::default();
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority_key = rcgen::KeyPair::generate().expect("a key");
    let root = parameters.self_signed(&authority_key).expect("signed");
    let authority = rcgen::Issuer::new(parameters, authority_key);
    let mut roots = rustls::RootCertStore::empty();
    roots.add(root.der().clone()).expect("a root");
    let roots = Arc::new(roots);
    let provider = Arc::new(rustls::crypto::ring::default_provider());

    let (certificate, key) = issue(&authority, "localhost");
    let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(
        roots.clone(),
        provider.clone(),
    );
    let config = rustls::ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_client_cert_verifier(verifier.build().expect("a verifier"))
        .with_single_cert(vec![certificate.der().clone()], key_der(&key))
        .expect("a certificate");
    let secure = Secure {
        serving: Arc::new(config).into(),
        login_from: LoginFrom::CommonName,
    };
    let (running, address) = serve(Some(secure), false);

    let (certificate, key) = issue(&authority, "worker-1");
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![certificate.der().clone()], key_der(&key))
        .expect("a certificate");
    let name = "localhost".try_into().expect("a name");
    let session = rustls::ClientConnection::new(Arc::new(config), name).expect("a session");
    let mut stream = rustls::StreamOwned::new(session, connect(address));
    let (tune, opened) = handshake(&mut stream, "EXTERNAL", b"");
    assert!(tune.starts_with("ConnectionTune "), "{tune}");
    assert!(opened.starts_with("ConnectionOpenOk"), "{opened}");
    let peer = running.handle.with_blocking(|core| {
        let (_, connection) = core.connections.iter().next().expect("one connection");
        (connection.user.to_string(), connection.peer.tls.clone())
    });
    let (user, shown) = peer.expect("the core runs");
    let shown = shown.expect("it is encrypted");
    assert_eq!(
        (user.as_str(), shown.protocol.as_str()),
        ("worker-1", "tlsv1.3")
    );
    let certificate = shown.certificate.as_ref().expect("one was shown");
    assert_eq!(certificate.subject, "CN=worker-1");
    drop(stream);
    running.stop();
}

#[test]
fn the_proxy_protocol_says_who_the_client_is() {
    let (running, address) = serve(None, true);
    let mut stream = connect(address);
    stream
        .write_all(b"PROXY TCP4 192.0.2.9 192.0.2.1 4000 5672\r\n")
        .expect("the server reads");
    let (tune, _) = handshake(&mut stream, "PLAIN", b"\0worker-1\0guest");
    assert!(tune.starts_with("ConnectionTune "), "{tune}");
    let name = running
        .handle
        .with_blocking(|core| core.connections.iter().next().map(|(_, c)| c.peer.name()));
    assert_eq!(
        name,
        Ok(Some("192.0.2.9:4000 -> 192.0.2.1:5672".to_owned()))
    );

    let mut bare = connect(address);
    bare.write_all(b"AMQP\0\0\x09\x01")
        .expect("the server reads");
    let mut rest = Vec::new();
    bare.read_to_end(&mut rest).expect("closed");
    assert_eq!(rest, b"", "a client without the header is not served");
    drop((stream, bare));
    running.stop();
}

#[test]
fn guest_comes_from_loopback_only_whoever_carries_it_there() {
    let (running, address) = serve(None, true);
    let mut stream = connect(address);
    stream
        .write_all(b"PROXY TCP4 192.0.2.9 192.0.2.1 4000 5672\r\n")
        .expect("the server reads");
    stream
        .write_all(b"AMQP\0\0\x09\x01")
        .expect("the server reads");
    receive(&mut stream);
    let client_properties = FieldTable::new();
    let response = b"\0guest\0guest";
    let login = Method::ConnectionStartOk {
        client_properties,
        mechanism: "PLAIN",
        response,
        locale: "en_US",
    };
    send(&mut stream, 0, &login);
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).expect("closed");
    assert_eq!(rest, b"");
    drop(stream);
    running.stop();
}

#[test]
fn an_orderly_stop_tells_clients_and_waits_for_them() {
    let (running, address) = serve(None, false);
    let mut stream = connect(address);
    handshake(&mut stream, "PLAIN", b"\0guest\0guest");
    let stopping = std::thread::spawn(move || running.stop().is_some());
    let close = receive(&mut stream);
    assert!(close.contains("reply_code: 320"), "{close}");
    send(&mut stream, 0, &Method::ConnectionCloseOk);
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).expect("closed");
    drop(stream);
    assert!(stopping.join().expect("no panic"));
}

#[test]
fn a_wrong_protocol_header_is_answered_with_ours() {
    let (running, address) = serve(None, false);
    let mut stream = connect(address);
    stream
        .write_all(b"GET / HTTP/1.1\r\n\r\n")
        .expect("the server reads");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("closed");
    assert_eq!(answer, b"AMQP\0\0\x09\x01");
    drop(stream);
    running.stop();
}

#[test]
fn clients_that_go_all_at_once_are_cleared_away_after_and_others_are_served_meanwhile() {
    let (running, address) = serve(None, false);
    let connected = || {
        let count = running.handle.with_blocking(|core| core.connections.len());
        count.expect("the core thread answers")
    };
    let until = |condition: &dyn Fn(usize) -> bool| {
        let end = Instant::now() + Duration::from_secs(60);
        while !condition(connected()) {
            assert!(Instant::now() < end, "{} are connected", connected());
            std::thread::yield_now();
        }
    };
    let mut stays = connect(address);
    handshake(&mut stays, "PLAIN", b"\0guest\0guest");
    let mut go = Vec::new();
    for before in 1..=150 {
        go.push(connect(address));
        until(&|count| count > before);
    }
    drop(go);
    send(&mut stays, 1, &Method::ChannelOpen { out_of_band: "" });
    assert!(receive(&mut stays).starts_with("ChannelOpenOk"));
    until(&|count| count == 1);
    drop(stays);
    running.stop();
}
