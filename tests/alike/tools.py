"""What the command line tools print: the same words to both, in order; exit code, standard output and the head of the
standard error. Lists are compared without regard to their order.
"""
from pika.spec import Basic, BasicProperties, Queue

from wire import Wire

COMMANDS = r"""
rabbitmqctl list_queues
rabbitmqctl -q list_queues
rabbitmqctl add_vhost shop
rabbitmqctl add_vhost shop
rabbitmqctl add_vhost meta --description Mine --tags a,b
rabbitmqctl list_vhosts
rabbitmqctl list_vhosts name tracing description tags
rabbitmqctl trace_on -p shop
rabbitmqctl list_vhosts name tracing --formatter json
rabbitmqctl trace_off -p shop
rabbitmqctl add_user alice secret
rabbitmqctl add_user alice secret
rabbitmqctl add_user
rabbitmqctl add_user a b c
rabbitmqctl list_users
rabbitmqctl -q list_users
rabbitmqctl -s list_users
rabbitmqctl list_users --formatter json
rabbitmqctl list_users --formatter csv
rabbitmqctl list_users --no-table-headers
rabbitmqctl set_user_tags alice monitoring policymaker
rabbitmqctl set_user_tags nobody monitoring
rabbitmqctl list_users
rabbitmqctl set_user_tags alice
rabbitmqctl authenticate_user alice secret
rabbitmqctl authenticate_user alice wrong
rabbitmqctl change_password alice new
rabbitmqctl change_password nobody new
rabbitmqctl authenticate_user alice new
rabbitmqctl clear_password alice
rabbitmqctl authenticate_user alice new
rabbitmqctl set_permissions -p shop alice ^a ^b .*
rabbitmqctl set_permissions -p none alice ^a ^b .*
rabbitmqctl set_permissions -p shop nobody ^a ^b .*
rabbitmqctl set_permissions -p shop alice
rabbitmqctl list_permissions -p shop
rabbitmqctl list_permissions -p none
rabbitmqctl list_permissions -p shop --formatter json
rabbitmqctl list_user_permissions alice
rabbitmqctl list_user_permissions nobody
rabbitmqctl set_topic_permissions -p shop alice amq.topic ^a ^b
rabbitmqctl list_topic_permissions -p shop
rabbitmqctl list_user_topic_permissions alice
rabbitmqctl clear_topic_permissions -p shop alice amq.topic
rabbitmqctl clear_topic_permissions -p shop alice
rabbitmqctl clear_permissions -p shop alice
rabbitmqctl set_policy -p shop ha ^ha {"ha-mode":"all"}
rabbitmqctl set_policy -p shop --priority 5 --apply-to queues ttl ^t {"message-ttl":5}
rabbitmqctl set_policy -p shop bad x {"ha-mode":"exactly"}
rabbitmqctl set_policy -p shop bad x {"foo":1}
rabbitmqctl set_policy -p shop bad x nonsense
rabbitmqctl set_policy -p shop --priority high bad x {"max-length":1}
rabbitmqctl set_policy -p none bad x {"max-length":1}
rabbitmqctl set_policy -p shop bad
rabbitmqctl list_policies -p shop
rabbitmqctl list_policies -p shop --formatter json
rabbitmqctl list_policies -p none
rabbitmqctl list_policies
rabbitmqctl clear_policy -p shop ttl
rabbitmqctl clear_policy -p shop ttl
rabbitmqctl set_operator_policy -p shop op x {"max-length":1}
rabbitmqctl set_operator_policy -p shop op x {"ha-mode":"all"}
rabbitmqctl list_operator_policies -p shop
rabbitmqctl clear_operator_policy -p shop op
rabbitmqctl set_parameter -p shop federation-upstream x {"uri":"amqp://"}
rabbitmqctl list_parameters -p shop
rabbitmqctl set_global_parameter mine {"a":1}
rabbitmqctl clear_global_parameter mine
rabbitmqctl clear_global_parameter mine
rabbitmqctl set_vhost_limits -p shop {"max-connections":5}
rabbitmqctl set_vhost_limits -p shop nonsense
rabbitmqctl list_vhost_limits -p shop
rabbitmqctl list_vhost_limits
rabbitmqctl clear_vhost_limits -p shop
rabbitmqctl set_user_limits alice {"max-channels":5}
rabbitmqctl set_user_limits nobody {"max-channels":5}
rabbitmqctl list_user_limits --user alice
rabbitmqctl list_user_limits
rabbitmqctl clear_user_limits alice max-channels
rabbitmqctl clear_user_limits alice all
rabbitmqctl list_exchanges
rabbitmqctl list_exchanges -p shop name type durable auto_delete internal arguments policy
rabbitmqctl list_exchanges -p none
rabbitmqctl list_bindings
rabbitmqctl list_bindings -p live
rabbitmqctl list_bindings -p live source_name routing_key
rabbitmqctl list_bindings -p live --formatter json
rabbitmqctl list_queues -p live
rabbitmqctl list_queues -p live name messages_ready messages_unacknowledged messages consumers durable auto_delete exclusive policy state type arguments
rabbitmqctl list_queues -p live name pid slave_pids synchronised_slave_pids
rabbitmqctl list_queues -p live --formatter json
rabbitmqctl list_queues -p live --formatter csv
rabbitmqctl list_queues -p none
rabbitmqctl list_queues -p live --no-table-headers
rabbitmqctl list_queues -p live -s
rabbitmqctl list_queues -p live arguments --formatter json
rabbitmqctl list_unresponsive_queues -p live
rabbitmqctl list_connections user peer_host state
rabbitmqctl list_connections user peer_host state channels protocol ssl vhost auth_mechanism timeout frame_max channel_max
rabbitmqctl list_channels
rabbitmqctl list_channels user number consumer_count messages_unacknowledged confirm transactional prefetch_count global_prefetch_count vhost
rabbitmqctl list_consumers -p live
rabbitmqctl list_consumers -p live queue_name consumer_tag ack_required prefetch_count active activity_status arguments
rabbitmqctl list_consumers -p live --formatter json queue_name consumer_tag prefetch_count
rabbitmqctl purge_queue -p live full
rabbitmqctl purge_queue -p live none
rabbitmqctl delete_queue -p live none
rabbitmqctl delete_queue -p live full --if-unused --if-empty
rabbitmqctl delete_queue -p live used --if-unused
rabbitmqctl sync_queue -p shop none
rabbitmqctl sync_queue -p live used
rabbitmqctl cancel_sync_queue -p live used
rabbitmqctl set_cluster_name mine
rabbitmqctl set_vm_memory_high_watermark 0.5
rabbitmqctl set_vm_memory_high_watermark 5
rabbitmqctl set_vm_memory_high_watermark absolute 2GB
rabbitmqctl set_disk_free_limit 100MB
rabbitmqctl set_disk_free_limit mem_relative 0.1
rabbitmqctl ping
rabbitmqctl close_connection nothing because
rabbitmqctl close_all_connections -p shop because
rabbitmqctl close_all_user_connections alice because
rabbitmqctl delete_vhost shop
rabbitmqctl delete_vhost shop
rabbitmqctl delete_user alice
rabbitmqctl delete_user alice
rabbitmqctl reset
rabbitmqctl stop_app
rabbitmqctl list_users
rabbitmqctl list_queues
rabbitmq-diagnostics check_alarms
rabbitmq-diagnostics check_virtual_hosts
rabbitmq-diagnostics listeners
rabbitmqctl list_feature_flags
rabbitmqctl start_app
rabbitmqctl start_app
rabbitmqctl export_definitions
rabbitmqctl import_definitions /nonexistent
rabbitmq-diagnostics ping
rabbitmq-diagnostics -q ping
rabbitmq-diagnostics check_running
rabbitmq-diagnostics -q check_running
rabbitmq-diagnostics check_local_alarms
rabbitmq-diagnostics check_alarms
rabbitmq-diagnostics alarms
rabbitmq-diagnostics check_port_connectivity
rabbitmq-diagnostics check_port_listener 9999
rabbitmq-diagnostics check_protocol_listener amqp
rabbitmq-diagnostics check_protocol_listener mqtt
rabbitmq-diagnostics check_virtual_hosts
rabbitmq-diagnostics check_certificate_expiration --unit weeks --within 2
rabbitmq-diagnostics check_if_node_is_mirror_sync_critical
rabbitmq-diagnostics check_if_node_is_quorum_critical
rabbitmq-diagnostics is_booting
rabbitmq-diagnostics is_running
rabbitmq-plugins is_enabled rabbitmq_management
rabbitmq-plugins is_enabled rabbitmq_mqtt
rabbitmq-plugins enable rabbitmq_management
rabbitmq-queues check_if_node_is_quorum_critical
rabbitmq-queues check_if_node_is_mirror_sync_critical
rabbitmqctl set_log_level debug
rabbitmqctl set_log_level zzz
rabbitmqctl list_queues -p live -t abc name
rabbitmqctl list_queues --zzz
rabbitmqctl list_users --formatter erlang
rabbitmqctl list_consumers -p none
rabbitmqctl list_parameters -p none
rabbitmqctl list_vhost_limits -p none
rabbitmqctl set_vhost_limits -p none {"max-queues":1}
rabbitmqctl list_feature_flags
rabbitmqctl enable_feature_flag nonsense
rabbitmqctl restart_vhost -p none
rabbitmqctl set_vhost_tags none a
rabbitmqctl nonsense
rabbitmqctl await_online_nodes x
rabbitmqctl await_online_nodes 1
rabbitmqctl join_cluster rabbit@other
rabbitmqctl clear_password nobody
rabbitmqctl clear_user_limits nobody all
rabbitmqctl list_user_limits --user nobody
rabbitmqctl set_operator_policy op x {"overflow":"drop-head"}
rabbitmqctl list_policies --formatter csv
rabbitmqctl set_vm_memory_high_watermark absolute
rabbitmqctl export_definitions DIRECTORY/none/out.json
rabbitmqctl force_gc
rabbitmq-diagnostics check_port_listener abc
rabbitmq-diagnostics resolve_hostname localhost
rabbitmq-plugins enable
rabbitmq-queues rebalance zzz
rabbitmq-upgrade await_online_quorum_plus_one
rabbitmq-diagnostics is_running --formatter json
rabbitmq-diagnostics is_booting --formatter json
rabbitmq-diagnostics check_running --formatter json
rabbitmq-diagnostics memory_breakdown --unit zzz
rabbitmq-diagnostics check_certificate_expiration --unit zzz --within 2
rabbitmqctl list_unresponsive_queues zzz
rabbitmq-plugins set zzz
""".strip().splitlines()

# Each by its place, because some stand there twice.
CASES = {f"{number}: {command}": command for number, command in enumerate(COMMANDS, 1)}


def busy(broker):
    """A virtual host with queues, messages and a consumer; the connection is to be kept."""
    everything = {"configure": ".*", "write": ".*", "read": ".*"}
    broker.http("PUT", "/api/vhosts/live", {})
    broker.http("PUT", "/api/permissions/live/guest", everything)
    wire = Wire(broker.amqp, [], vhost="live").open(1)
    wire.call(1, Queue.Declare(0, "full", durable=True, arguments={"x-max-length": 5, "x-dead-letter-exchange": "amq.fanout"}))
    wire.call(1, Queue.Declare(0, "used"))
    wire.call(1, Queue.Declare(0, "quorum", durable=True, arguments={"x-queue-type": "quorum"}))
    wire.call(1, Queue.Bind(0, "used", "amq.direct", "key", arguments={"a": "b"}))
    for _ in range(3):
        wire.publish(1, "", "full", b"xyz", BasicProperties(delivery_mode=2))
    wire.call(1, Basic.Qos(0, 3, False))
    wire.call(1, Basic.Consume(0, "used", "tag"))
    wire.publish(1, "", "used", b"1")
    wire.quiet()
    return wire


def of(broker, names):
    """The lines of each case."""
    wire, logs = busy(broker), {}
    for name in names:
        tool, *words = CASES[name].replace("DIRECTORY", broker.directory.as_posix()).split()
        code, out, err = broker.ctl(*words, tool=tool)
        out = [line.removeprefix(",") for line in broker.neutral(out).splitlines()]
        if "list_" in name:
            out.sort()
        head = [line for line in broker.neutral(err).splitlines() if line][:2]
        logs[name] = [f"exit {code}", *out, *(f"error: {line}" for line in head)]
    wire.close()
    return logs
