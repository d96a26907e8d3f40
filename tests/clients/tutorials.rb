# The tutorials' patterns and the error paths with Bunny. Argument: the port.
require "bunny"

def check(good, what)
  raise "failed: #{what}" unless good
end

def refused(connection, wanted)
  channel = connection.create_channel
  yield channel
  raise "not refused: #{wanted}"
rescue Bunny::ChannelLevelException, Bunny::ConnectionLevelException => e
  check(e.message.include?(wanted), "#{e.message} instead of #{wanted}")
end

def wait_for(what)
  200.times do
    found = yield
    return found if found
    sleep 0.05
  end
  raise "failed: #{what}"
end

connection = Bunny.new(host: "127.0.0.1", port: ARGV[0].to_i, client_properties: { connection_name: "bunny's" })
connection.start
check(connection.server_properties["product"] == "RabbitMQ", "product")
channel = connection.create_channel

# simple queue, then work queues with acknowledgements
queue = channel.queue("ruby_work", durable: true)
channel.prefetch(2)
got = ::Queue.new
queue.subscribe(manual_ack: true) { |info, properties, body| got << [info, properties, body] }
5.times { |n| channel.default_exchange.publish("work #{n}", routing_key: "ruby_work", persistent: true) }
5.times do |n|
  info, properties, body = got.pop
  check(body == "work #{n}" && properties.delivery_mode == 2, "work #{n}")
  channel.ack(info.delivery_tag)
end

# publish/subscribe, routing, topics, headers
{ fanout: ["", "any"], direct: ["red", "red"], topic: ["a.*.c", "a.b.c"] }.each do |kind, (bound, sent)|
  exchange = channel.exchange("ruby_#{kind}", type: kind, auto_delete: true)
  mine = channel.queue("", exclusive: true).bind(exchange, routing_key: bound)
  exchange.publish(kind.to_s, routing_key: sent)
  check(wait_for(kind) { mine.pop[2] } == kind.to_s, kind)
end
headers = channel.headers("ruby_headers", auto_delete: true)
mine = channel.queue("", exclusive: true).bind(headers, arguments: { "x-match" => "any", "a" => 1, "b" => "two" })
table = { "a" => 5, "b" => "two", "list" => [1, "x", nil, true, 2.5], "deep" => { "at" => Time.at(5), "big" => 2**40, "neg" => -7 } }
headers.publish("h", headers: table, timestamp: 1234, priority: 3, type: "t", app_id: "app", message_id: "m", content_type: "text/plain")
_, properties, body = wait_for("headers") { found = mine.pop; found if found[2] }
check(body == "h" && properties.headers["list"] == [1, "x", nil, true, 2.5], "a list in headers: #{properties.headers}")
check(properties.headers["deep"]["big"] == 2**40 && properties.headers["deep"]["neg"] == -7, "numbers in headers")
check(properties.headers["deep"]["at"].to_i == 5 && properties.timestamp.to_i == 1234, "timestamps")

# remote calls, by a queue and by direct reply-to
server = connection.create_channel
calls = server.queue("ruby_rpc")
calls.subscribe { |_, p, b| server.default_exchange.publish((b.to_i * 2).to_s, routing_key: p.reply_to, correlation_id: p.correlation_id) }
answers = ::Queue.new
caller_ = connection.create_channel
caller_.queue("", exclusive: true).then do |own|
  own.subscribe { |_, p, b| answers << [p.correlation_id, b] }
  caller_.default_exchange.publish("21", routing_key: "ruby_rpc", reply_to: own.name, correlation_id: "7")
end
check(answers.pop == ["7", "42"], "a remote call")

# confirms, returns, transactions
confirming = connection.create_channel
confirming.confirm_select
3.times { confirming.default_exchange.publish("confirmed", routing_key: "ruby_work", persistent: true) }
check(confirming.wait_for_confirms, "confirms")
returned = ::Queue.new
exchange = confirming.default_exchange
exchange.on_return { |info, _, b| returned << [info.reply_code, info.reply_text, b] }
exchange.publish("nowhere", routing_key: "ruby_none", mandatory: true)
check(returned.pop == [312, "NO_ROUTE", "nowhere"], "a returned message")
limited = confirming.queue("ruby_limited", arguments: { "x-max-length" => 1, "x-overflow" => "reject-publish" })
2.times { exchange.publish("x", routing_key: limited.name) }
check(!confirming.wait_for_confirms && confirming.nacked_set.size == 1, "a nack")
tx = connection.create_channel
tx.tx_select
own = tx.queue("", exclusive: true)
tx.default_exchange.publish("a", routing_key: own.name)
tx.tx_rollback
tx.default_exchange.publish("b", routing_key: own.name)
tx.tx_commit
check(own.message_count == 1 && own.pop[2] == "b", "a transaction")

# time to live, dead letters, priorities
dead = channel.queue("", exclusive: true)
short = channel.queue("", exclusive: true, arguments: { "x-message-ttl" => 20, "x-dead-letter-exchange" => "", "x-dead-letter-routing-key" => dead.name })
channel.default_exchange.publish("late", routing_key: short.name)
_, properties, body = wait_for("a dead letter") { found = dead.pop; found if found[2] }
death = properties.headers["x-death"].first
check(body == "late" && death["reason"] == "expired" && death["count"] == 1 && death["time"].is_a?(Time), "x-death: #{death}")
ranked = channel.queue("", exclusive: true, arguments: { "x-max-priority" => 5 })
[1, 5, 3].each { |n| channel.default_exchange.publish(n.to_s, routing_key: ranked.name, priority: n) }
check(wait_for("priorities") { ranked.message_count == 3 } && ranked.pop[2] == "5", "priorities")

# a queue deleted under its consumer
cancelled = ::Queue.new
watched = channel.queue("ruby_watched")
watched.subscribe_with(Bunny::Consumer.new(channel, watched).tap { |c| c.on_cancellation { cancelled << true } })
connection.create_channel.queue_delete("ruby_watched")
check(cancelled.pop, "a cancel from the server")

# what is refused
refused(connection, "NOT_FOUND - no queue 'ruby_none' in vhost '/'") { |c| c.queue("ruby_none", passive: true) }
refused(connection, "PRECONDITION_FAILED - inequivalent arg 'durable' for queue 'ruby_work' in vhost '/'") { |c| c.queue("ruby_work") }
refused(connection, "ACCESS_REFUSED - queue name 'amq.mine' contains reserved prefix 'amq.*'") { |c| c.queue_declare("amq.mine") }
begin
  Bunny.new(host: "127.0.0.1", port: ARGV[0].to_i, password: "wrong", recover_from_connection_close: false, log_level: :fatal).start
  raise "a wrong password was let in"
rescue Bunny::AuthenticationFailureError
end
begin
  Bunny.new(host: "127.0.0.1", port: ARGV[0].to_i, vhost: "none", log_level: :fatal).start
  raise "a missing vhost was opened"
rescue Bunny::NotAllowedError => e
  check(e.message.include?("vhost none not found"), e.message)
end
connection.close
puts "ok bunny"
