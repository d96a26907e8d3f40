"""What the command line tools print: the same words to both, in order; exit code, standard output, standard error."""
COMMANDS = [line.strip() for line in r"""
rabbitmqctl list_queues
rabbitmqctl -q list_queues
rabbitmqctl add_vhost shop
rabbitmqctl add_vhost shop
rabbitmqctl add_vhost meta --description Mine --tags a,b
rabbitmqctl list_vhosts
rabbitmqctl list_vhosts name tracing description tags
rabbitmqctl list_vhosts zzz
rabbitmqctl trace_on -p shop
rabbitmqctl list_vhosts name tracing --formatter json
rabbitmqctl trace_off -p shop
rabbitmqctl add_user alice secret
rabbitmqctl add_user alice secret
rabbitmqctl add_user
rabbitmqctl add_user a b c
rabbitmqctl add_user empty ""
rabbitmqctl list_users
rabbitmqctl -q list_users
rabbitmqctl -s list_users
rabbitmqctl list_users --formatter json
rabbitmqctl list_users --formatter csv
rabbitmqctl list_users --formatter pretty_table
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
rabbitmqctl set_permissions -p shop alice [ ^b .*
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
rabbitmqctl set_policy -p shop bad x {"ha-mode":"zzz"}
rabbitmqctl set_policy -p shop bad x {"foo":1}
rabbitmqctl set_policy -p shop bad x nonsense
rabbitmqctl set_policy -p shop bad [ {"max-length":1}
rabbitmqctl set_policy -p shop --apply-to zzz bad x {"max-length":1}
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
rabbitmqctl list_global_parameters
rabbitmqctl clear_global_parameter mine
rabbitmqctl clear_global_parameter mine
rabbitmqctl set_vhost_limits -p shop {"max-connections":5}
rabbitmqctl set_vhost_limits -p shop {"zzz":5}
rabbitmqctl set_vhost_limits -p shop nonsense
rabbitmqctl list_vhost_limits -p shop
rabbitmqctl list_vhost_limits
rabbitmqctl clear_vhost_limits -p shop
rabbitmqctl set_user_limits alice {"max-channels":5}
rabbitmqctl set_user_limits alice {"zzz":5}
rabbitmqctl set_user_limits nobody {"max-channels":5}
rabbitmqctl list_user_limits --user alice
rabbitmqctl list_user_limits
rabbitmqctl list_user_limits --global
rabbitmqctl clear_user_limits alice max-channels
rabbitmqctl clear_user_limits alice all
rabbitmqctl list_exchanges
rabbitmqctl list_exchanges -p shop name type durable auto_delete internal arguments policy
rabbitmqctl list_exchanges -p none
rabbitmqctl list_exchanges zzz
rabbitmqctl list_bindings
rabbitmqctl list_bindings -p live
rabbitmqctl list_bindings -p live source_name routing_key
rabbitmqctl list_bindings -p live --formatter json
rabbitmqctl list_queues -p live
rabbitmqctl list_queues -p live name messages_ready messages_unacknowledged messages consumers durable auto_delete exclusive policy state type arguments
rabbitmqctl list_queues -p live name pid slave_pids synchronised_slave_pids
rabbitmqctl list_queues -p live name message_bytes messages_persistent messages_ram head_message_timestamp
rabbitmqctl list_queues -p live --formatter json
rabbitmqctl list_queues -p live --formatter csv
rabbitmqctl list_queues -p live --formatter pretty_table name messages
rabbitmqctl list_queues -p live --formatter erlang name messages
rabbitmqctl list_queues -p live --formatter report name messages
rabbitmqctl list_queues -p live --formatter zzz
rabbitmqctl list_queues -p live zzz
rabbitmqctl list_queues -p none
rabbitmqctl list_queues -p live --online
rabbitmqctl list_queues -p live --offline
rabbitmqctl list_queues -p live --local
rabbitmqctl list_queues -p live --no-table-headers
rabbitmqctl list_queues -p live -s
rabbitmqctl list_queues -p live arguments --formatter json
rabbitmqctl list_unresponsive_queues -p live
rabbitmqctl list_connections
rabbitmqctl list_connections user peer_host state channels protocol ssl vhost auth_mechanism timeout frame_max channel_max
rabbitmqctl list_connections zzz
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
rabbitmqctl list_hashes
rabbitmqctl hash_password secret
rabbitmqctl list_feature_flags
rabbitmqctl list_feature_flags name state
rabbitmqctl enable_feature_flag all
rabbitmqctl enable_feature_flag zzz
rabbitmqctl set_cluster_name mine
rabbitmqctl set_vm_memory_high_watermark 0.5
rabbitmqctl set_vm_memory_high_watermark 5
rabbitmqctl set_vm_memory_high_watermark absolute 2GB
rabbitmqctl set_vm_memory_high_watermark zzz
rabbitmqctl set_disk_free_limit 100MB
rabbitmqctl set_disk_free_limit zzz
rabbitmqctl set_disk_free_limit mem_relative 0.1
rabbitmqctl set_log_level debug
rabbitmqctl set_log_level zzz
rabbitmqctl rotate_logs
rabbitmqctl await_startup
rabbitmqctl await_online_nodes 1
rabbitmqctl ping
rabbitmqctl node_health_check
rabbitmqctl environment zzz
rabbitmqctl close_connection nothing because
rabbitmqctl close_all_connections -p shop because
rabbitmqctl close_all_user_connections alice because
rabbitmqctl join_cluster
rabbitmqctl join_cluster rabbit@localhost
rabbitmqctl forget_cluster_node rabbit@none
rabbitmqctl change_cluster_node_type disc
rabbitmqctl rename_cluster_node a b
rabbitmqctl update_cluster_nodes rabbit@none
rabbitmqctl restart_vhost -p shop
rabbitmqctl delete_vhost shop
rabbitmqctl delete_vhost shop
rabbitmqctl delete_user alice
rabbitmqctl delete_user alice
rabbitmqctl zzz
rabbitmqctl
rabbitmqctl list_queuess
rabbitmqctl help
rabbitmqctl help add_user
rabbitmqctl add_user --help
rabbitmqctl help zzz
rabbitmqctl version
rabbitmqctl --version
rabbitmqctl list_users --zzz
rabbitmqctl list_users extra
rabbitmqctl status zzz
rabbitmqctl -n rabbit@elsewhere list_users
rabbitmqctl -n rabbit@elsewhere status
rabbitmqctl list_ciphers --formatter json zzz
rabbitmqctl reset
rabbitmqctl force_reset zzz
rabbitmqctl stop_app
rabbitmqctl list_users
rabbitmqctl list_queues
rabbitmqctl cluster_status zzz
rabbitmqctl start_app
rabbitmqctl start_app
rabbitmqctl encode
rabbitmqctl eval node().
rabbitmqctl export_definitions
rabbitmqctl import_definitions /nonexistent
rabbitmqctl decode
rabbitmqctl list_node_auth_attempt_stats
rabbitmqctl schema_info zzz
rabbitmqctl report zzz
rabbitmqctl autocomplete list_q
rabbitmq-diagnostics ping
rabbitmq-diagnostics -q ping
rabbitmq-diagnostics check_running
rabbitmq-diagnostics -q check_running
rabbitmq-diagnostics check_local_alarms
rabbitmq-diagnostics check_alarms
rabbitmq-diagnostics alarms
rabbitmq-diagnostics check_port_connectivity
rabbitmq-diagnostics check_port_listener 9999
rabbitmq-diagnostics check_port_listener zzz
rabbitmq-diagnostics check_protocol_listener amqp
rabbitmq-diagnostics check_protocol_listener mqtt
rabbitmq-diagnostics check_virtual_hosts
rabbitmq-diagnostics check_certificate_expiration --unit weeks --within 2
rabbitmq-diagnostics check_if_node_is_mirror_sync_critical
rabbitmq-diagnostics check_if_node_is_quorum_critical
rabbitmq-diagnostics is_booting
rabbitmq-diagnostics is_running
rabbitmq-diagnostics server_version
rabbitmq-diagnostics erlang_cookie_hash zzz
rabbitmq-diagnostics cipher_suites zzz
rabbitmq-diagnostics tls_versions zzz
rabbitmq-diagnostics discover_peers
rabbitmq-diagnostics log_tail zzz
rabbitmq-diagnostics resolve_hostname localhost
rabbitmq-diagnostics zzz
rabbitmq-plugins is_enabled rabbitmq_management
rabbitmq-plugins is_enabled rabbitmq_mqtt
rabbitmq-plugins is_enabled zzz
rabbitmq-plugins list -e -m
rabbitmq-plugins list rabbitmq_management
rabbitmq-plugins list rabbitmq_management --formatter json
rabbitmq-plugins enable rabbitmq_management
rabbitmq-plugins directories zzz
rabbitmq-queues check_if_node_is_quorum_critical
rabbitmq-queues check_if_node_is_mirror_sync_critical
rabbitmq-queues quorum_status -p live quorum
rabbitmq-queues rebalance all
rabbitmq-queues peek -p live full 1
""".strip().splitlines()]
