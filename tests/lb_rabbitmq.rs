//! The main job on real input: pika clients of a three-node RabbitMQ cluster
//! through the configuration that operators start from.

mod kit;

use std::path::PathBuf;

#[test]
#[ignore = "needs root, RabbitMQ and pika; tests/run installs them and runs this"]
fn clients_of_a_rabbitmq_cluster_pass_the_example_configuration_through_faults() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let python = kit::peers::python();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let state = dir.path().join("up").display().to_string();
    let client = format!(
        "{python} {} {} {} {state}",
        root.join("tests/system/cluster.py").display(),
        kit::binary().display(),
        root.join("conf/examples/haproxy-rabbitmq.cfg").display(),
    );
    let said = kit::with_client(&state, &["--with-rabbitmq"], &client);
    assert!(said.contains("cluster: ok"), "{said}");
}
