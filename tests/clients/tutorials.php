<?php
// The tutorials' patterns and the error paths with php-amqplib. Argument: the port.
require_once "PhpAmqpLib/autoload.php";

use PhpAmqpLib\Connection\AMQPStreamConnection;
use PhpAmqpLib\Exception\AMQPProtocolException;
use PhpAmqpLib\Message\AMQPMessage;
use PhpAmqpLib\Wire\AMQPTable;

set_error_handler(fn (int $kind) => (bool) ($kind & (E_DEPRECATED | E_USER_DEPRECATED)));

function check($good, string $what): void
{
    if (!$good) {
        throw new RuntimeException("failed: $what");
    }
}

function refused(AMQPStreamConnection $connection, string $wanted, callable $run): void
{
    try {
        $run($connection->channel());
    } catch (AMQPProtocolException $e) {
        check(str_contains($e->getMessage(), $wanted), $e->getMessage() . " instead of $wanted");
        return;
    }
    throw new RuntimeException("not refused: $wanted");
}

$connection = new AMQPStreamConnection("127.0.0.1", (int) $argv[1], "guest", "guest");
$channel = $connection->channel();

// work queues with acknowledgements
$channel->queue_declare("php_work", false, true, false, false);
$channel->basic_qos(0, 1, false);
$got = [];
$channel->basic_consume("php_work", "", false, false, false, false, function ($message) use (&$got) {
    $got[] = $message->body;
    $message->ack();
});
foreach (range(0, 4) as $n) {
    $channel->basic_publish(new AMQPMessage("work $n", ["delivery_mode" => AMQPMessage::DELIVERY_MODE_PERSISTENT]), "", "php_work");
}
while (count($got) < 5) {
    $channel->wait(null, false, 10);
}
check($got === ["work 0", "work 1", "work 2", "work 3", "work 4"], "work queues");

// publish/subscribe, routing, topics, headers
foreach (["fanout" => ["", "any"], "direct" => ["red", "red"], "topic" => ["a.#", "a.b.c"]] as $kind => [$bound, $sent]) {
    $channel->exchange_declare("php_$kind", $kind, false, false, true);
    [$mine] = $channel->queue_declare("", false, false, true, false);
    $channel->queue_bind($mine, "php_$kind", $bound);
    $channel->basic_publish(new AMQPMessage($kind), "php_$kind", $sent);
    check($channel->basic_get($mine, true)->body === $kind, $kind);
}
$table = ["a" => 5, "text" => "two", "yes" => true, "none" => null, "list" => [1, "x"], "deep" => ["big" => 1 << 40, "neg" => -7], "half" => 0.5];
[$mine] = $channel->queue_declare("", false, false, true, false);
$channel->queue_bind($mine, "amq.headers", "", false, new AMQPTable(["x-match" => "all", "a" => 5, "text" => "two"]));
$channel->basic_publish(new AMQPMessage("h", ["application_headers" => new AMQPTable($table), "timestamp" => 1234, "priority" => 3, "expiration" => "60000"]), "amq.headers");
$message = $channel->basic_get($mine, true);
check($message->get("application_headers")->getNativeData() == $table, "headers: " . json_encode($message->get("application_headers")->getNativeData()));
check($message->get("timestamp") == 1234 && $message->get("expiration") === "60000", "properties");

// confirms, returns, nacks
$confirming = $connection->channel();
$confirming->confirm_select();
[$acks, $nacks, $returns] = [0, 0, []];
$confirming->set_ack_handler(function () use (&$acks) { $acks++; });
$confirming->set_nack_handler(function () use (&$nacks) { $nacks++; });
$confirming->set_return_listener(function ($code, $text) use (&$returns) { $returns[] = "$code $text"; });
$confirming->queue_declare("php_limited", false, false, true, false, false, new AMQPTable(["x-max-length" => 1, "x-overflow" => "reject-publish"]));
foreach (range(1, 3) as $n) {
    $confirming->basic_publish(new AMQPMessage("x"), "", "php_limited");
}
$confirming->basic_publish(new AMQPMessage("x"), "", "php_none", true);
$confirming->wait_for_pending_acks_returns(10);
check([$acks, $nacks, $returns] == [2, 2, ["312 NO_ROUTE"]], "confirms: $acks $nacks " . json_encode($returns));

// transactions
$tx = $connection->channel();
$tx->tx_select();
[$own] = $tx->queue_declare("", false, false, true, false);
$tx->basic_publish(new AMQPMessage("a"), "", $own);
$tx->tx_rollback();
$tx->basic_publish(new AMQPMessage("b"), "", $own);
$tx->tx_commit();
check($tx->basic_get($own, true)->body === "b" && $tx->basic_get($own, true) === null, "transactions");

// dead letters
[$dead] = $channel->queue_declare("", false, false, true, false);
[$source] = $channel->queue_declare("", false, false, true, false, false, new AMQPTable(["x-dead-letter-exchange" => "", "x-dead-letter-routing-key" => $dead]));
$channel->basic_publish(new AMQPMessage("no"), "", $source);
$channel->basic_get($source)->reject(false);
for ($message = null, $n = 0; $message === null && $n < 100; $n++) {
    $message = $channel->basic_get($dead, true);
    usleep(20000);
}
$death = $message->get("application_headers")->getNativeData()["x-death"][0];
check($death["reason"] === "rejected" && $death["queue"] === $source && $death["count"] === 1, "x-death");

// a queue deleted under its consumer
$channel->queue_declare("php_watched", false, false, false, false);
$channel->basic_consume("php_watched", "gone");
$connection->channel()->queue_delete("php_watched");
try {
    $channel->wait(null, false, 10);
    check(!isset($channel->callbacks["gone"]), "a cancel from the server");
} catch (PhpAmqpLib\Exception\AMQPBasicCancelException $e) {
    check($e->consumerTag === "gone", "a cancel from the server");
}

// what is refused
refused($connection, "NOT_FOUND - no queue 'php_none' in vhost '/'", fn ($c) => $c->queue_declare("php_none", true));
refused($connection, "PRECONDITION_FAILED - inequivalent arg 'durable' for queue 'php_work' in vhost '/': received 'false' but current is 'true'", fn ($c) => $c->queue_declare("php_work"));
refused($connection, "ACCESS_REFUSED - operation not permitted on the default exchange", fn ($c) => $c->queue_bind("php_work", ""));
refused($connection, "PRECONDITION_FAILED - unknown delivery tag 99", function ($c) { $c->basic_ack(99); $c->queue_declare("", false, false, true, false); });
try {
    new AMQPStreamConnection("127.0.0.1", (int) $argv[1], "guest", "wrong");
    throw new RuntimeException("a wrong password was let in");
} catch (PhpAmqpLib\Exception\AMQPConnectionClosedException | AMQPProtocolException $e) {
    check(str_contains($e->getMessage(), "ACCESS_REFUSED - Login was refused using authentication mechanism AMQPLAIN"), $e->getMessage());
}
$connection->close();
echo "ok php\n";
