/// Logs in, opens a channel, then gives the engine these bytes in pieces and lets time pass.
pub fn session(bytes: &[u8]) {
    let mut core = Core::new(Settings::default(), Box::new(Volatile), [0; 32]);
    let password = Password::hash_salted(b"guest", [0; 4]);
    let all = || ".*".to_owned();
    let (user, vhost) = ("guest".to_owned(), "/".to_owned());
    core.execute(Command::PutVhost(VhostSpec { name: vhost.clone(), ..VhostSpec::default() }));
    core.execute(Command::PutUser {
        name: user.clone(),
        password_hash: password.export_hash(),
        hashing_algorithm: password.export_algorithm().to_owned(),
        tags: Vec::new(),
    });
    core.execute(Command::SetPermission { user, vhost, configure: all(), write: all(), read: all() });
    core.start();
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], 40_000));
    let index = core.accept(Peer { address, local: address, tls: None, certificate: None });
    let handshake: &[&[u8]] = &[
        b"AMQP\0\0\x09\x01",
        b"\x01\0\0\0\0\0\x24\0\x0a\0\x0b\0\0\0\0\x05PLAIN\0\0\0\x0c\0guest\0guest\x05en_US\xce",
        b"\x01\0\0\0\0\0\x0c\0\x0a\0\x1f\x07\xff\0\x02\0\0\0\0\xce",
        b"\x01\0\0\0\0\0\x08\0\x0a\0\x28\x01/\0\0\xce",
        b"\x01\0\x01\0\0\0\x05\0\x14\0\x0a\0\xce",
    ];
    for part in handshake {
        assert_eq!(core.receive(index, part), part.len());
    }
    assert_eq!(core.connections[index as usize].channels().len(), 1);
    let mut rest = bytes;
    let mut size = 1 + bytes.len() / 3;
    loop {
        let piece = &rest[..rest.len().min(size)];
        let used = core.receive(index, piece);
        rest = &rest[used..];
        core.clock.now_ms += 7_000;
        core.end_turn();
        let waiting = core.connections[index as usize].output.len();
        core.written(index, waiting);
        core.take_effects();
        if used == 0 && piece.len() == rest.len() {
            break;
        }
        size = if used == 0 { size * 2 } else { 1 + bytes.len() / 3 };
    }
    core.disconnected(index);
    core.end_turn();
    assert!(core.queues().all(|queue| queue.consumers.is_empty() && queue.unacked == 0));
}
